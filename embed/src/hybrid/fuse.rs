//! How two scores become one: a weighted sum, the sum of scores brought to one scale, or of reciprocal ranks.
//!
//! Raw scores of two kinds must not simply be added: BM25's are some ten times a cosine, so their plain sum ranks nearly as
//! BM25 does. The weighted sum needs a weight, which [`Judged::tune`](super::Judged::tune) finds; the other two need
//! nothing, and reach less.

use super::Candidate;
use crate::postings::Scored;
use std::fmt;

/// A rule that orders candidates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fusion {
    /// The dense score alone.
    Dense,
    /// The sparse score alone.
    Sparse,
    /// `dense + lambda · sparse` (Luan et al., §7).
    Weighted {
        /// What a unit of the sparse score is worth in units of the dense one.
        lambda: f32,
    },
    /// `(1 − sparse_weight) · dense + sparse_weight · sparse`, both scaled so that a list's best is 1 and its last 0. A
    /// candidate that a list lacks gets its true score on the list's scale, which may be less than 0.
    MinMax {
        /// Share of the sparse side, in `0..=1`.
        sparse_weight: f32,
    },
    /// The sum of `1 / (k + rank)` over the lists that hold a candidate, ranks from 1 (Cormack, Clarke & Büttcher, 2009).
    ReciprocalRank {
        /// How little the first places stand out.
        k: f32,
    },
}

impl Fusion {
    /// For cosines and Lucene's BM25, where no judged queries are at hand to tune on.
    pub const DEFAULT: Fusion = Fusion::Weighted { lambda: 0.04 };
    /// Both sides alike.
    pub const MIN_MAX: Fusion = Fusion::MinMax { sparse_weight: 0.5 };
    /// With the constant of its authors.
    pub const RECIPROCAL_RANK: Fusion = Fusion::ReciprocalRank { k: 60.0 };

    /// The candidates under this rule's score, best first, ties by lower number.
    pub fn rank(self, candidates: &[Candidate]) -> Vec<Scored> {
        let score: &dyn Fn(&Candidate) -> f32 = match self {
            Fusion::Dense => &|candidate| candidate.dense,
            Fusion::Sparse => &|candidate| candidate.sparse,
            Fusion::Weighted { lambda } => &move |candidate| candidate.dense + lambda * candidate.sparse,
            Fusion::MinMax { sparse_weight } => {
                let dense = Scale::of(candidates.iter().filter(|c| c.dense_rank.is_some()).map(|c| c.dense));
                let sparse = Scale::of(candidates.iter().filter(|c| c.sparse_rank.is_some()).map(|c| c.sparse));
                &move |c: &Candidate| {
                    (1.0 - sparse_weight) * dense.apply(c.dense) + sparse_weight * sparse.apply(c.sparse)
                }
            }
            Fusion::ReciprocalRank { k } => {
                let part = move |rank: Option<u32>| rank.map_or(0.0, |rank| 1.0 / (k + (rank + 1) as f32));
                &move |candidate: &Candidate| part(candidate.dense_rank) + part(candidate.sparse_rank)
            }
        };
        let mut ranked: Vec<Scored> =
            candidates.iter().map(|c| Scored { vector: c.document, score: score(c) }).collect();
        ranked.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(a.vector.cmp(&b.vector)));
        ranked
    }
}

impl fmt::Display for Fusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fusion::Dense => write!(f, "dense"),
            Fusion::Sparse => write!(f, "sparse"),
            Fusion::Weighted { lambda } => write!(f, "dense + {lambda} · sparse"),
            Fusion::MinMax { sparse_weight } => write!(f, "min-max, sparse {sparse_weight}"),
            Fusion::ReciprocalRank { k } => write!(f, "reciprocal rank, k = {k}"),
        }
    }
}

/// The map that takes a list's least score to 0 and its largest to 1; all to 0 where they are equal.
#[derive(Clone, Copy)]
struct Scale {
    least: f32,
    width: f32,
}

impl Scale {
    fn of(scores: impl Iterator<Item = f32>) -> Scale {
        let (least, most) = scores.fold((f32::INFINITY, f32::NEG_INFINITY), |(a, b), s| (a.min(s), b.max(s)));
        Scale { least, width: most - least }
    }

    fn apply(self, score: f32) -> f32 {
        if self.width > 0.0 { (score - self.least) / self.width } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(document: u32, dense: (f32, Option<u32>), sparse: (f32, Option<u32>)) -> Candidate {
        Candidate { document, dense: dense.0, sparse: sparse.0, dense_rank: dense.1, sparse_rank: sparse.1 }
    }

    fn ranked(fusion: Fusion, candidates: &[Candidate]) -> Vec<(u32, f32)> {
        fusion.rank(candidates).into_iter().map(|hit| (hit.vector, hit.score)).collect()
    }

    #[test]
    fn scores_are_those_of_the_formulas() {
        let candidates = [
            candidate(2, (0.9, Some(0)), (4.0, None)),
            candidate(5, (0.5, Some(1)), (20.0, Some(0))),
            candidate(7, (0.1, None), (10.0, Some(1))),
        ];
        assert_eq!(ranked(Fusion::Dense, &candidates), [(2, 0.9), (5, 0.5), (7, 0.1)]);
        assert_eq!(ranked(Fusion::Sparse, &candidates), [(5, 20.0), (7, 10.0), (2, 4.0)]);
        let weighted = ranked(Fusion::Weighted { lambda: 0.0625 }, &candidates);
        assert_eq!(weighted, [(5, 1.75), (2, 1.15), (7, 0.725)]);
        // dense: .9 → 1, .5 → 0, .1 → −1; sparse: 20 → 1, 10 → 0, 4 → −.6
        let close = |found: Vec<(u32, f32)>, expected: [(u32, f32); 3]| {
            for (found, expected) in found.iter().zip(expected) {
                assert!(found.0 == expected.0 && (found.1 - expected.1).abs() < 1e-6, "{found:?} {expected:?}");
            }
        };
        close(ranked(Fusion::MIN_MAX, &candidates), [(5, 0.5), (2, 0.2), (7, -0.5)]);
        let places = ranked(Fusion::RECIPROCAL_RANK, &candidates);
        close(places, [(5, 1.0 / 62.0 + 1.0 / 61.0), (2, 1.0 / 61.0), (7, 1.0 / 62.0)]);
    }

    #[test]
    fn equal_scores_and_empty_lists_are_no_trouble() {
        let same = [candidate(3, (0.5, Some(0)), (0.0, None)), candidate(1, (0.5, Some(1)), (0.0, None))];
        for fusion in [Fusion::DEFAULT, Fusion::MIN_MAX] {
            assert!(ranked(fusion, &same).iter().all(|(_, score)| score.is_finite()));
            assert_eq!(ranked(fusion, &same).iter().map(|hit| hit.0).collect::<Vec<_>>(), [1, 3]);
            assert!(fusion.rank(&[]).is_empty());
        }
    }
}
