//! Retrieval by a modern Hopfield network: a state is moved to the stored patterns it resembles, `ξ ← X softmax(β Xᵀ ξ)`, until
//! it rests.
//!
//! Ramsauer et al., "Hopfield Networks is All You Need" (arXiv:2008.02217). With large β a state moves to the one nearest
//! pattern, with small β to a mean of many. The energy `E(ξ) = −lse(β, Xᵀξ) + ½ ξᵀξ + β⁻¹ ln N + ½ M²` lies between 0 and 2M²
//! (`M` is the longest pattern's length, and states within it) and falls at every step.
//!
//! Here the softmax runs over the best k patterns. The best k are those whose log-sum-exp is largest, so the energy over them is
//! the least of the energies over all k-subsets; a step lowers that of its own subset and the next choice only lowers it
//! further: over an exact index the energy falls at every step for any k. What was dropped is bounded at each step
//! ([`Softmax::dropped`](crate::memory::Softmax)).
//!
//! ```
//! use vicino_embed::hopfield::{Hopfield, Recall};
//! use vicino_embed::memory::FlatKeys;
//!
//! let patterns = FlatKeys::from_rows(&[1.0, 0.0, 0.0, 1.0, -1.0, 0.0], 2)?; // three patterns
//! let network = Hopfield::new(patterns, 20.0)?;
//! let found = network.recall(&[0.8, 0.5], &Recall::default())?;
//! assert_eq!(found.ids[0], 0);
//! assert!(found.converged && (found.state[0] - 1.0).abs() < 1e-3);
//! # Ok::<(), vicino_embed::memory::MemoryError>(())
//! ```

use crate::memory::{KeyIndex, MemoryError, Softmax, norm, search};

/// A network over the patterns of an index.
#[derive(Debug)]
pub struct Hopfield<I> {
    patterns: I,
    beta: f64,
    longest: f64,
}

/// How far to go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recall {
    /// Patterns in each softmax; all of them if there are no more.
    pub k: usize,
    /// Steps at most, at least 1.
    pub max_steps: usize,
    /// A step that moves the state by no more than this is the last one.
    pub tolerance: f64,
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Energy of the state before the step, over the patterns it chose.
    pub energy: f64,
    /// Entropy of the softmax, in nats: 0 for a single pattern.
    pub entropy: f64,
    /// `ln Σ exp(β · score)` over the patterns that were kept.
    pub log_sum_exp: f64,
    /// At most this part of the softmax over all patterns lies on those dropped, if the index is exact; over all patterns the
    /// step would end at most 2 · `dropped` · M away.
    pub dropped: f64,
    /// How far the state moved.
    pub moved: f64,
}

/// Where a state came to rest.
#[derive(Debug, Clone, PartialEq)]
pub struct Retrieval {
    /// The state after the last step. `[dim]`
    pub state: Vec<f32>,
    /// Patterns in the last step's softmax, best first.
    pub ids: Vec<u32>,
    /// Their weights.
    pub weights: Vec<f32>,
    /// The steps, first to last.
    pub steps: Vec<Step>,
    /// Energy of the state at the end.
    pub energy: f64,
    /// Whether the last step was within the tolerance.
    pub converged: bool,
}

impl Default for Recall {
    /// 32 patterns, 32 steps, 10⁻⁵.
    fn default() -> Self {
        Recall { k: 32, max_steps: 32, tolerance: 1e-5 }
    }
}

/// The patterns a state chose, in f64: rounding must not lift an energy.
struct Chosen {
    ids: Vec<u32>,
    rows: Vec<f64>, // [ids × dim]
    softmax: Softmax,
    masses: Vec<f64>,
    energy: f64,
}

impl<I: KeyIndex> Hopfield<I> {
    /// A network over `patterns`, at least one, with inverse temperature `beta`, positive. Reads each pattern once.
    pub fn new(patterns: I, beta: f64) -> Result<Self, MemoryError> {
        MemoryError::check_positive("beta", beta)?;
        if patterns.is_empty() {
            return Err(MemoryError::Empty);
        }
        let mut pattern = vec![0.0; patterns.dim()];
        let mut longest = 0.0_f64;
        for id in 0..patterns.len() as u32 {
            patterns.key(id, &mut pattern);
            longest = longest.max(norm(&pattern));
        }
        Ok(Hopfield { patterns, beta, longest })
    }

    /// The patterns.
    pub fn patterns(&self) -> &I {
        &self.patterns
    }

    /// M, the length of the longest pattern.
    pub fn longest(&self) -> f64 {
        self.longest
    }

    /// Moves `state: [dim]`, finite, until it rests or the steps are used up. Each step is one search for `recall.k` patterns
    /// and `2 · k · dim` multiply-adds.
    pub fn recall(&self, state: &[f32], recall: &Recall) -> Result<Retrieval, MemoryError> {
        if recall.max_steps == 0 {
            return Err(MemoryError::Size { what: "max_steps", expected: "at least 1", found: 0 });
        }
        let mut state: Vec<f64> = state.iter().copied().map(f64::from).collect();
        let mut chosen = self.choose(&state, recall.k)?;
        let (mut steps, mut converged) = (Vec::new(), false);
        while steps.len() < recall.max_steps && !converged {
            let next = chosen.blend(state.len());
            let moved = state.iter().zip(&next).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
            let Softmax { entropy, log_sum_exp, dropped, .. } = chosen.softmax;
            steps.push(Step { energy: chosen.energy, entropy, log_sum_exp, dropped, moved });
            converged = moved <= recall.tolerance;
            state = next;
            chosen = self.choose(&state, recall.k)?;
        }
        Ok(Retrieval {
            state: state.iter().map(|&x| x as f32).collect(),
            ids: chosen.ids,
            weights: chosen.softmax.weights,
            steps,
            energy: chosen.energy,
            converged,
        })
    }

    /// Δ of pattern `id`: its inner product with itself, less the largest with another. Infinite if it is the only one.
    pub fn separation(&self, id: u32) -> Result<f64, MemoryError> {
        if id as usize >= self.patterns.len() {
            return Err(MemoryError::Id { len: self.patterns.len(), found: id });
        }
        let mut pattern = vec![0.0; self.patterns.dim()];
        self.patterns.key(id, &mut pattern);
        let hits = search(&self.patterns, &pattern, 2)?;
        let other = hits.iter().find(|hit| hit.id != id).map_or(f64::NEG_INFINITY, |hit| f64::from(hit.score));
        Ok(norm(&pattern).powi(2) - other)
    }

    /// The paper's bound on how far one full step from a state at `distance` from a pattern of separation `separation` ends
    /// from the pattern: `2 (N − 1) M exp(−β (Δ − 2 M · distance))`.
    pub fn step_error_bound(&self, separation: f64, distance: f64) -> f64 {
        let others = self.patterns.len() as f64 - 1.0;
        let exponent = -self.beta * (separation - 2.0 * self.longest * distance);
        if others == 0.0 { 0.0 } else { 2.0 * others * self.longest * exponent.exp() }
    }

    /// The paper's bound on how far the fixed point near a pattern of separation `separation` is from it, if states within
    /// `1 / (2 β M)` of it are its own: `2 e (N − 1) M exp(−β Δ)`.
    pub fn rest_error_bound(&self, separation: f64) -> f64 {
        std::f64::consts::E * self.step_error_bound(separation, 0.0)
    }

    fn choose(&self, state: &[f64], k: usize) -> Result<Chosen, MemoryError> {
        let query: Vec<f32> = state.iter().map(|&x| x as f32).collect();
        let hits = search(&self.patterns, &query, k)?;
        let (dim, count) = (state.len(), self.patterns.len());
        let mut pattern = vec![0.0; dim];
        let mut rows = Vec::with_capacity(hits.len() * dim);
        for hit in &hits {
            self.patterns.key(hit.id, &mut pattern);
            rows.extend(pattern.iter().copied().map(f64::from));
        }
        let product = |row: &[f64]| row.iter().zip(state).map(|(a, b)| a * b).sum::<f64>();
        let scores: Vec<f64> = rows.chunks_exact(dim).map(product).collect();
        let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let masses: Vec<f64> = scores.iter().map(|score| (self.beta * (score - best)).exp()).collect();
        let sum: f64 = masses.iter().sum();
        let lse = best + sum.ln() / self.beta;
        let square: f64 = state.iter().map(|x| x * x).sum();
        let kept: Vec<f32> = scores.iter().map(|&score| score as f32).collect();
        Ok(Chosen {
            ids: hits.iter().map(|hit| hit.id).collect(),
            rows,
            softmax: Softmax::of_best(&kept, self.beta, count),
            masses: masses.iter().map(|mass| mass / sum).collect(),
            energy: -lse + 0.5 * square + (count as f64).ln() / self.beta + 0.5 * self.longest.powi(2),
        })
    }
}

impl Chosen {
    /// The weighted sum of the patterns.
    fn blend(&self, dim: usize) -> Vec<f64> {
        let mut sum = vec![0.0; dim];
        for (row, mass) in self.rows.chunks_exact(dim).zip(&self.masses) {
            sum.iter_mut().zip(row).for_each(|(sum, number)| *sum += mass * number);
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::FlatKeys;
    use crate::random::Random;

    const DIM: usize = 24;

    fn unit_rows(random: &mut Random, count: usize) -> Vec<f32> {
        let mut rows: Vec<f32> = (0..count * DIM).map(|_| random.normal() as f32).collect();
        for row in rows.chunks_exact_mut(DIM) {
            let length = norm(row) as f32;
            row.iter_mut().for_each(|x| *x /= length);
        }
        rows
    }

    fn distance(a: &[f32], b: &[f32]) -> f64 {
        a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum::<f64>().sqrt()
    }

    #[test]
    fn energy_falls_at_every_step_for_any_k_and_stays_in_its_range() {
        let seed = 111;
        let mut random = Random::new(seed);
        let rows = unit_rows(&mut random, 300);
        let states = unit_rows(&mut random, 40);
        for beta in [0.5, 3.0, 8.0, 30.0] {
            let network = Hopfield::new(FlatKeys::from_rows(&rows, DIM).unwrap(), beta).unwrap();
            for k in [1, 2, 17, 300] {
                let recall = Recall { k, max_steps: 60, tolerance: 1e-9 };
                for state in states.chunks_exact(DIM) {
                    let found = network.recall(state, &recall).unwrap();
                    let energies: Vec<f64> = found.steps.iter().map(|step| step.energy).chain([found.energy]).collect();
                    for pair in energies.windows(2) {
                        // Patterns are chosen by f32 scores, so a tie may be taken the wrong way round.
                        assert!(pair[1] <= pair[0] + 1e-7, "seed {seed}, beta {beta}, k {k}: {energies:?}");
                    }
                    if k == 300 {
                        let range = -1e-9..=2.0 * network.longest().powi(2) + 1e-9;
                        assert!(energies.iter().all(|energy| range.contains(energy)), "{energies:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn errors_stay_within_the_papers_bounds() {
        let seed = 112;
        let mut random = Random::new(seed);
        let rows = unit_rows(&mut random, 60);
        let mut tight = 0;
        for beta in [5.0, 20.0, 60.0] {
            let network = Hopfield::new(FlatKeys::from_rows(&rows, DIM).unwrap(), beta).unwrap();
            for (id, pattern) in rows.chunks_exact(DIM).enumerate() {
                let separation = network.separation(id as u32).unwrap();
                let noise = unit_rows(&mut random, 1);
                let state: Vec<f32> = pattern.iter().zip(&noise).map(|(x, noise)| x + 0.1 * noise).collect();
                let recall = Recall { k: 60, max_steps: 1, tolerance: 0.0 };
                let found = network.recall(&state, &recall).unwrap();
                let bound = network.step_error_bound(separation, distance(&state, pattern));
                let error = distance(&found.state, pattern);
                assert!(error <= bound + 1e-6, "seed {seed}, beta {beta}, pattern {id}: {error} over {bound}");
                tight += usize::from(bound < 0.5);
            }
        }
        assert!(tight > 40, "bounds that say something: {tight}");
    }

    #[test]
    fn a_step_over_the_best_k_ends_as_near_to_the_full_step_as_it_says() {
        let mut random = Random::new(113);
        let (rows, states) = (unit_rows(&mut random, 500), unit_rows(&mut random, 30));
        let network = Hopfield::new(FlatKeys::from_rows(&rows, DIM).unwrap(), 15.0).unwrap();
        for state in states.chunks_exact(DIM) {
            let step = |k| network.recall(state, &Recall { k, max_steps: 1, tolerance: 0.0 }).unwrap();
            let full = step(500);
            assert_eq!(full.steps[0].dropped, 0.0);
            for k in [1, 8, 64] {
                let best = step(k);
                let moved = distance(&best.state, &full.state);
                assert!(moved <= 2.0 * best.steps[0].dropped * network.longest() + 1e-6);
            }
        }
    }

    #[test]
    fn refuses_what_does_not_fit() {
        let empty = FlatKeys::new(3).unwrap();
        assert_eq!(
            Hopfield::new(empty, 1.0).unwrap_err().to_string(),
            "expected at least one key, found an empty memory"
        );
        let one = FlatKeys::from_rows(&[1.0, 0.0, 0.0], 3).unwrap();
        let error = Hopfield::new(one.clone(), 0.0).unwrap_err().to_string();
        assert_eq!(error, "beta: expected a positive finite number, found 0");
        let network = Hopfield::new(one, 1.0).unwrap();
        let recalled = |state: &[f32], recall: Recall| network.recall(state, &recall).unwrap_err().to_string();
        assert_eq!(recalled(&[1.0], Recall::default()), "query: expected 3 numbers, found 1");
        assert!(recalled(&[f32::NAN, 0.0, 0.0], Recall::default()).contains("found NaN"));
        let none = Recall { max_steps: 0, ..Recall::default() };
        assert_eq!(recalled(&[0.0; 3], none), "max_steps: expected at least 1, found 0");
        assert_eq!(network.separation(0).unwrap(), f64::INFINITY);
        assert_eq!(network.separation(1).unwrap_err().to_string(), "expected an id below 1, found 1");
    }
}
