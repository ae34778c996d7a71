//! The exact top k of the n² sums of two score lists, without forming them: product keys.
//!
//! Lample et al., "Large Memory Layers with Product Keys" (arXiv:1907.05242), section 3.2. Slot `i·n + j` has the score
//! `left[i] + right[j]`. The order is total: higher score first, then lower slot. A slot among the best k has its left half
//! among the best k of the left scores, and likewise the right, for any k halves before it make k slots before it. With both
//! sorted, slot (a, b), counted from 1, comes after the a·b − 1 slots above and left of it, so only pairs with a·b ≤ k can win:
//! 119 of 1,024 for k = 32.
//!
//! Scores are compared as real numbers, not as rounded sums: the rounding error of each sum is kept as its second word. A
//! rounded tie between sums that differ would otherwise let a slot win by its number though its half was dropped.

/// A score as the first word, its rounding error as the second, both in an order that integers have, then the slot, falling.
/// Larger is better.
type Rank = u128;

/// A half and its place, larger is better: higher score, then lower place.
type Half = u64;

/// Buffers that are used again from query to query.
#[derive(Debug, Default, Clone)]
pub(crate) struct Selection {
    lanes: Vec<u32>,
    left: Vec<Half>,
    right: Vec<Half>,
    pairs: Vec<Rank>,
}

/// A slot and its score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// Which slot, key or pattern.
    pub id: u32,
    /// Its inner product with the query.
    pub score: f32,
}

impl Selection {
    /// The best `k` slots of `left.len() × right.len()`, best first, ties by lower slot, appended to `ids` and `scores`.
    /// Scores are finite, and so are their sums; `k` is at least 1 and at most the number of slots.
    pub(crate) fn top_k(&mut self, left: &[f32], right: &[f32], k: usize, ids: &mut Vec<u32>, scores: &mut Vec<f32>) {
        best_halves(left, k, &mut self.lanes, &mut self.left);
        best_halves(right, k, &mut self.lanes, &mut self.right);
        let threshold = self.threshold(k);
        self.pairs.clear();
        let n = right.len() as u32;
        for (a, &i) in self.left.iter().enumerate() {
            // Sums fall along b, and rounding keeps that, so the first one below the threshold ends the row.
            let most = (k / (a + 1)).min(self.right.len());
            for &j in &self.right[..most] {
                let (sum, error) = exact_sum(score(i), score(j));
                if sum < threshold {
                    break;
                }
                self.pairs.push(rank(sum, error, place(i) * n + place(j)));
            }
        }
        self.pairs.sort_unstable_by(|a, b| b.cmp(a));
        ids.extend(self.pairs[..k].iter().map(|&rank| !(rank as u32)));
        scores.extend(self.pairs[..k].iter().map(|&rank| unordered((rank >> 64) as u32)));
    }

    /// The best `min(k, scores.len())` of a list of scores, best first, ties by lower place.
    pub(crate) fn best(&mut self, scores: &[f32], k: usize) -> Vec<Hit> {
        best_halves(scores, k, &mut self.lanes, &mut self.left);
        self.left.iter().map(|&half| Hit { id: place(half), score: score(half) }).collect()
    }

    /// The best `k` of the given slots, in the order of [`top_k`](Self::top_k). `k` is at most their number.
    pub(crate) fn best_of(&mut self, left: &[f32], right: &[f32], slots: &[u32], k: usize) -> Vec<Hit> {
        self.pairs.clear();
        self.pairs.extend(slots.iter().map(|&slot| {
            let (sum, error) = exact_sum(left[slot as usize / right.len()], right[slot as usize % right.len()]);
            rank(sum, error, slot)
        }));
        if k < self.pairs.len() {
            self.pairs.select_nth_unstable_by(k, |a, b| b.cmp(a));
            self.pairs.truncate(k);
        }
        self.pairs.sort_unstable_by(|a, b| b.cmp(a));
        self.pairs.iter().map(|&rank| Hit { id: !(rank as u32), score: unordered((rank >> 64) as u32) }).collect()
    }

    /// A sum that the k-th best reaches: (a, b) with a·b ≥ k has k slots at or above it.
    fn threshold(&self, k: usize) -> f32 {
        let sums = self.left.iter().enumerate().filter_map(|(a, &i)| {
            let b = k.div_ceil(a + 1);
            Some(score(i) + score(*self.right.get(b - 1)?))
        });
        sums.fold(f32::NEG_INFINITY, f32::max)
    }
}

/// Every slot from best to worst, as far as it is asked: the multi-sequence algorithm of Babenko & Lempitsky, "The Inverted
/// Multi-Index" (2012). Costs two sorts of the halves, then a heap operation or two for each slot.
pub(crate) struct Walk {
    left: Vec<Half>,
    right: Vec<Half>,
    /// The next pair of each left half that was reached, as rank and places in the sorted lists.
    heap: std::collections::BinaryHeap<(Rank, u32, u32)>,
}

impl Walk {
    pub(crate) fn new(left: &[f32], right: &[f32]) -> Walk {
        let sorted = |scores: &[f32]| {
            let mut halves: Vec<Half> = scores.iter().enumerate().map(|(at, &score)| half(score, at)).collect();
            halves.sort_unstable_by(|a, b| b.cmp(a));
            halves
        };
        let mut walk = Walk { left: sorted(left), right: sorted(right), heap: std::collections::BinaryHeap::new() };
        walk.push(0, 0);
        walk
    }

    fn push(&mut self, a: usize, b: usize) {
        if let (Some(&i), Some(&j)) = (self.left.get(a), self.right.get(b)) {
            let (sum, error) = exact_sum(score(i), score(j));
            let slot = place(i) * self.right.len() as u32 + place(j);
            self.heap.push((rank(sum, error, slot), a as u32, b as u32));
        }
    }
}

impl Iterator for Walk {
    type Item = Hit;

    fn next(&mut self) -> Option<Hit> {
        let (rank, a, b) = self.heap.pop()?;
        let (a, b) = (a as usize, b as usize);
        if b == 0 {
            self.push(a + 1, 0);
        }
        self.push(a, b + 1);
        Some(Hit { id: !(rank as u32), score: unordered((rank >> 64) as u32) })
    }
}

/// Puts the best `min(k, scores.len())` halves into `out`, best first.
fn best_halves(scores: &[f32], k: usize, lanes: &mut Vec<u32>, out: &mut Vec<Half>) {
    let k = k.min(scores.len());
    out.clear();
    // The k-th largest of the maxima of at least 2k groups is reached by k scores, and by few more.
    let groups = (2 * k).next_power_of_two().max(64);
    if scores.len() >= 4 * groups {
        lanes.clear();
        lanes.resize(groups, 0);
        for scores in scores.chunks(groups) {
            lanes.iter_mut().zip(scores).for_each(|(most, &score)| *most = ordered(score).max(*most));
        }
        let (.., &mut threshold, _) = lanes.select_nth_unstable(groups - k);
        let threshold = unordered(threshold);
        // Every half is written, and the end moves over those that are kept: no branch to guess.
        out.resize(scores.len(), 0);
        let mut end = 0;
        for (at, &score) in scores.iter().enumerate() {
            out[end] = half(score, at);
            end += usize::from(score >= threshold);
        }
        out.truncate(end);
    } else {
        out.extend(scores.iter().enumerate().map(|(at, &score)| half(score, at)));
        if k < out.len() {
            out.select_nth_unstable_by(k, |a, b| b.cmp(a));
            out.truncate(k);
        }
    }
    out.sort_unstable_by(|a, b| b.cmp(a));
    out.truncate(k);
}

/// The score of one pair as a rounded sum and its rounding error: exact, by Knuth's two-sum.
#[inline(always)]
pub(crate) fn exact_sum(a: f32, b: f32) -> (f32, f32) {
    let sum = a + b;
    let part = sum - a;
    (sum, (a - (sum - part)) + (b - part))
}

#[inline(always)]
fn rank(sum: f32, error: f32, slot: u32) -> Rank {
    u128::from(ordered(sum)) << 64 | u128::from(ordered(error)) << 32 | u128::from(!slot)
}

#[inline(always)]
fn half(score: f32, place: usize) -> Half {
    u64::from(ordered(score)) << 32 | u64::from(!(place as u32))
}

#[inline(always)]
fn score(half: Half) -> f32 {
    unordered((half >> 32) as u32)
}

#[inline(always)]
fn place(half: Half) -> u32 {
    !(half as u32)
}

/// An integer for each finite number, in the same order; both zeros are one.
#[inline(always)]
fn ordered(number: f32) -> u32 {
    let bits = (number + 0.0).to_bits();
    bits ^ ((bits.cast_signed() >> 31).cast_unsigned() | 1 << 31)
}

#[inline(always)]
fn unordered(integer: u32) -> f32 {
    let flip = (!integer.cast_signed() >> 31).cast_unsigned() | 1 << 31;
    f32::from_bits(integer ^ flip)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// All sums in f64, which holds them exactly here, sorted.
    fn brute_force(left: &[f32], right: &[f32], k: usize) -> Vec<u32> {
        let n = right.len();
        let sum = |slot: u32| f64::from(left[slot as usize / n]) + f64::from(right[slot as usize % n]);
        let mut slots: Vec<u32> = (0..(left.len() * n) as u32).collect();
        slots.sort_by(|&a, &b| sum(b).partial_cmp(&sum(a)).unwrap().then(a.cmp(&b)));
        slots.truncate(k);
        slots
    }

    #[test]
    fn top_k_equals_brute_force_with_and_without_ties() {
        let seed = 21;
        let mut random = Random::new(seed);
        let mut selection = Selection::default();
        for (n, k) in [(1, 1), (2, 3), (5, 25), (16, 7), (40, 64), (300, 1), (300, 32), (513, 32), (700, 100)] {
            // Few levels: most sums tie exactly. Many: some tie after rounding only. Free: hardly any tie.
            for levels in [2, 7, 1 << 22, 0] {
                let mut draw = || match levels {
                    0 => random.normal() as f32,
                    _ => (random.below(levels) as f32 - (levels / 2) as f32) / 3.0,
                };
                let left: Vec<f32> = (0..n).map(|_| draw()).collect();
                let right: Vec<f32> = (0..n).map(|_| draw()).collect();
                let (mut ids, mut scores) = (Vec::new(), Vec::new());
                selection.top_k(&left, &right, k, &mut ids, &mut scores);
                assert_eq!(ids, brute_force(&left, &right, k), "seed {seed}, n {n}, k {k}, levels {levels}");
                for (&id, &score) in ids.iter().zip(&scores) {
                    assert_eq!(score, left[id as usize / n] + right[id as usize % n]);
                }
                let walked: Vec<Hit> = Walk::new(&left, &right).take(k).collect();
                assert!(walked.iter().map(|hit| hit.id).eq(ids.iter().copied()));
                assert!(walked.iter().map(|hit| hit.score).eq(scores.iter().copied()));
            }
        }
    }

    #[test]
    fn sums_that_round_alike_are_told_apart() {
        // Slot 0 is 1 + 2⁻³⁰, slot 1 is 1 + 2⁻²⁹: the same f32. The better one wins though its number is higher.
        let (left, right) = ([1.0], [2.0_f32.powi(-30), 2.0_f32.powi(-29)]);
        let (mut ids, mut scores) = (Vec::new(), Vec::new());
        Selection::default().top_k(&left, &right, 1, &mut ids, &mut scores);
        assert_eq!((ids, scores), (vec![1], vec![1.0]));
    }

    #[test]
    fn a_walk_sees_every_slot_once() {
        let mut random = Random::new(22);
        let mut draw = |n: usize| (0..n).map(|_| random.below(9) as f32).collect::<Vec<_>>();
        let (left, right) = (draw(13), draw(13));
        let walked: Vec<u32> = Walk::new(&left, &right).map(|hit| hit.id).collect();
        assert_eq!(walked, brute_force(&left, &right, 169));
    }

    #[test]
    fn integers_keep_the_order_of_numbers() {
        let numbers = [f32::MIN, -1.5, -f32::MIN_POSITIVE, -0.0, 0.0, 1e-40, 2.5, f32::MAX];
        for pair in numbers.windows(2) {
            assert_eq!(pair[0] < pair[1], ordered(pair[0]) < ordered(pair[1]), "{pair:?}");
        }
        assert!(numbers.iter().all(|&number| unordered(ordered(number)) == number));
    }
}
