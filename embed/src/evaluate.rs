//! How good a ranking is: nDCG, recall and reciprocal rank against human judgments, as `trec_eval` computes them.
//!
//! Järvelin & Kekäläinen, "Cumulated gain-based evaluation of IR techniques" (2002), with the grade itself as gain and
//! `1 / log2(rank + 1)` as discount. Like `trec_eval`, the ranking given counts for nothing but its scores: they are
//! sorted here, equal ones by descending id, so that a system gains nothing by how it happens to break ties. Every
//! judged query counts, one without results with zeros (`trec_eval -c`).

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

pub mod beir;
pub mod exact;
pub mod rank;
pub mod trec;

/// For each query the judged documents and their grades; relevant is a grade above 0.
pub type Judgments = BTreeMap<String, HashMap<String, i32>>;

/// For each query the documents found, with their scores, in any order.
pub type Run = HashMap<String, Vec<(String, f32)>>;

/// Means over the judged queries.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Measures {
    /// Judged queries.
    pub queries: usize,
    /// Normalised discounted cumulated gain of the first 10.
    pub ndcg_at_10: f64,
    /// The part of the relevant documents that is among the first 100.
    pub recall_at_100: f64,
    /// One over the rank of the first relevant document, 0 if it is not among the first 10.
    pub mrr_at_10: f64,
}

/// Judges `run`, whose scores are ordered by [`f32::total_cmp`]. Without judgments all means are 0.
///
/// ```
/// use std::collections::HashMap;
/// use vicino_embed::evaluate::{Judgments, Run, measure};
///
/// let judgments = Judgments::from([("q".into(), HashMap::from([("good".into(), 1)]))]);
/// let run = Run::from([("q".into(), vec![("good".into(), 1.0), ("bad".into(), 2.0)])]);
/// assert_eq!(measure(&judgments, &run).mrr_at_10, 0.5);
/// ```
pub fn measure(judgments: &Judgments, run: &Run) -> Measures {
    let mut sum = Measures { queries: judgments.len(), ndcg_at_10: 0.0, recall_at_100: 0.0, mrr_at_10: 0.0 };
    for (query, judged) in judgments {
        let found = run.get(query).map_or(&[][..], Vec::as_slice);
        let grades = ranked_grades(judged, found);
        let mut ideal: Vec<i32> = judged.values().copied().filter(|&grade| grade > 0).collect();
        ideal.sort_unstable_by_key(|&grade| Reverse(grade));
        sum.ndcg_at_10 += ratio(gain(&grades, 10), gain(&ideal, 10));
        let relevant = grades.iter().take(100).filter(|&&grade| grade > 0).count();
        sum.recall_at_100 += ratio(relevant as f64, ideal.len() as f64);
        let first = grades.iter().take(10).position(|&grade| grade > 0);
        sum.mrr_at_10 += first.map_or(0.0, |rank| 1.0 / (rank + 1) as f64);
    }
    let mean = |sum| ratio(sum, judgments.len() as f64);
    Measures {
        queries: sum.queries,
        ndcg_at_10: mean(sum.ndcg_at_10),
        recall_at_100: mean(sum.recall_at_100),
        mrr_at_10: mean(sum.mrr_at_10),
    }
}

/// The grades of what was found, best score first, 0 for what nobody judged.
fn ranked_grades(judged: &HashMap<String, i32>, found: &[(String, f32)]) -> Vec<i32> {
    let mut ranked: Vec<&(String, f32)> = found.iter().collect();
    ranked.sort_by(|(a, a_score), (b, b_score)| b_score.total_cmp(a_score).then(b.cmp(a)));
    ranked.into_iter().map(|(document, _)| judged.get(document).copied().unwrap_or(0)).collect()
}

/// Discounted cumulated gain of the first `depth` grades.
fn gain(grades: &[i32], depth: usize) -> f64 {
    let discounted = |(rank, &grade): (usize, &i32)| f64::from(grade.max(0)) / ((rank + 2) as f64).log2();
    grades.iter().take(depth).enumerate().map(discounted).sum()
}

/// `part / whole`, 0 of nothing.
fn ratio(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { 0.0 } else { part / whole }
}
