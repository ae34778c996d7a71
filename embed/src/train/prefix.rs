//! A loss over prefixes: the first numbers of a vector learn to stand for the whole.
//!
//! Matryoshka representations (Kusupati et al., arXiv:2205.13147) add up the loss over a few prefixes; nested dropout (Rippel,
//! Gelbart & Adams, arXiv:1402.0915) draws one prefix for each step. Either way a prefix is cut, scaled to length 1, scored.

use super::Gradients;
use super::unit::Unit;
use crate::random::Random;

/// Which prefixes a step looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prefixes {
    /// The same at every step, alike in weight.
    Fixed(Vec<usize>),
    /// One, drawn evenly from `least..=dim`.
    Drawn {
        /// The shortest.
        least: usize,
    },
}

impl Prefixes {
    /// The lengths for one step, each in `1..=dim`.
    pub fn lengths(&self, dim: usize, random: &mut Random) -> Vec<usize> {
        match self {
            Prefixes::Fixed(lengths) => lengths.iter().map(|&length| length.clamp(1, dim)).collect(),
            Prefixes::Drawn { least } => {
                let least = (*least).clamp(1, dim);
                vec![least + random.below(dim - least + 1)]
            }
        }
    }
}

/// The mean of `loss(queries, documents, length)` over the prefixes of both sides' rows, with the gradients by the whole rows,
/// which need not have length 1. `loss` sees rows of length 1.
pub fn over_prefixes(
    queries: &[f32],
    documents: &[f32],
    dim: usize,
    lengths: &[usize],
    mut loss: impl FnMut(&[f32], &[f32], usize) -> Gradients,
) -> Gradients {
    assert!(!lengths.is_empty() && lengths.iter().all(|length| (1..=dim).contains(length)), "prefixes of {dim}");
    let mut sum = Gradients { loss: 0.0, queries: vec![0.0; queries.len()], documents: vec![0.0; documents.len()] };
    let share = 1.0 / lengths.len() as f32;
    let cut = |rows: &[f32], length: usize| {
        let rows = rows.chunks_exact(dim).flat_map(|row| &row[..length]);
        Unit::new(rows.copied().collect(), length)
    };
    for &length in lengths {
        let (left, right) = (cut(queries, length), cut(documents, length));
        let found = loss(&left.rows, &right.rows, length);
        sum.loss += f64::from(share) * found.loss;
        for (sum, unit, slope) in
            [(&mut sum.queries, &left, found.queries), (&mut sum.documents, &right, found.documents)]
        {
            let slope = unit.backward(slope);
            for (sum, slope) in sum.chunks_exact_mut(dim).zip(slope.chunks_exact(length)) {
                sum.iter_mut().zip(slope).for_each(|(sum, slope)| *sum += share * slope);
            }
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::super::contrastive::{Batch, Contrastive};
    use super::super::negatives::Masked;
    use super::*;

    #[test]
    fn gradients_match_differences_and_lengths_are_in_range() {
        let mut random = Random::new(61);
        let dim = 6;
        let (queries, documents) = (check::normal(&mut random, 4 * dim), check::normal(&mut random, 5 * dim));
        let contrastive = Contrastive { scale: 3.0, symmetric: true };
        let total = |queries: &[f32], documents: &[f32]| {
            over_prefixes(queries, documents, dim, &[2, 5, 6], |queries, documents, dim| {
                contrastive.plain(Batch { queries, documents, dim, masked: &Masked::default() })
            })
        };
        let found = total(&queries, &documents);
        check::gradient(&queries, &found.queries, 2e-3, |queries| total(queries, &documents).loss);
        check::gradient(&documents, &found.documents, 2e-3, |documents| total(&queries, documents).loss);

        let drawn = Prefixes::Drawn { least: 3 };
        let mut seen: Vec<usize> = (0..200).flat_map(|_| drawn.lengths(dim, &mut random)).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, [3, 4, 5, 6]);
        assert_eq!(Prefixes::Fixed(vec![2, 900]).lengths(dim, &mut random), [2, 6]);
    }
}
