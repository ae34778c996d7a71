//! The measures against numbers worked out by hand, and against `trec_eval`'s.

use std::collections::HashMap;
use vicino_embed::evaluate::{Judgments, Run, measure};

fn judged(grades: &[(&str, i32)]) -> Judgments {
    let grades = grades.iter().map(|&(document, grade)| (document.to_owned(), grade)).collect();
    Judgments::from([("q".to_owned(), grades)])
}

fn found(scores: &[(&str, f32)]) -> Run {
    let scores = scores.iter().map(|&(document, score)| (document.to_owned(), score)).collect();
    Run::from([("q".to_owned(), scores)])
}

fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-12, "{found} for {expected}");
}

#[test]
fn graded_gains_by_hand() {
    let judgments = judged(&[("a", 3), ("b", 1), ("c", 2), ("d", 0)]);
    let run = found(&[("d", 9.0), ("b", 8.0), ("x", 7.0), ("a", 6.0)]);
    let measures = measure(&judgments, &run);
    let log3 = 3.0_f64.log2();
    close(measures.ndcg_at_10, (1.0 / log3 + 3.0 / 5.0_f64.log2()) / (3.0 + 2.0 / log3 + 1.0 / 2.0));
    close(measures.recall_at_100, 2.0 / 3.0);
    close(measures.mrr_at_10, 1.0 / 2.0);
}

#[test]
fn ties_go_to_the_larger_id() {
    let judgments = judged(&[("b", 1)]);
    close(measure(&judgments, &found(&[("a", 1.0), ("b", 1.0)])).mrr_at_10, 1.0);
    close(measure(&judgments, &found(&[("b", 1.0), ("c", 1.0)])).mrr_at_10, 0.5);
}

#[test]
fn depths_are_ten_and_a_hundred() {
    let documents: Vec<String> = (0..200).map(|rank| format!("d{rank}")).collect();
    let scores: Vec<(&str, f32)> =
        documents.iter().map(String::as_str).zip((0..200).map(|rank| -(rank as f32))).collect();
    let (inside, outside) = (judged(&[("d9", 1), ("d99", 1)]), judged(&[("d10", 1), ("d100", 1)]));
    let (inside, outside) = (measure(&inside, &found(&scores)), measure(&outside, &found(&scores)));
    close(inside.recall_at_100, 1.0);
    close(outside.recall_at_100, 0.5);
    close(inside.mrr_at_10, 0.1);
    close(outside.mrr_at_10, 0.0);
    close(inside.ndcg_at_10, (1.0 / 11.0_f64.log2()) / (1.0 + 1.0 / 3.0_f64.log2()));
    close(outside.ndcg_at_10, 0.0);
}

#[test]
fn judged_queries_without_results_count_as_zero() {
    let mut judgments = judged(&[("a", 1)]);
    judgments.insert("unanswered".into(), HashMap::from([("a".into(), 1)]));
    judgments.insert("nothing is relevant".into(), HashMap::from([("a".into(), 0)]));
    let mut run = found(&[("a", 1.0)]);
    run.insert("nobody judged".into(), vec![("a".into(), 1.0)]);
    let measures = measure(&judgments, &run);
    assert_eq!(measures.queries, 3);
    for mean in [measures.ndcg_at_10, measures.recall_at_100, measures.mrr_at_10] {
        close(mean, 1.0 / 3.0);
    }
    assert_eq!(measure(&Judgments::new(), &run).ndcg_at_10, 0.0);
}

/// Five queries of 150 documents with many ties, grades up to 3 and, in the last query, below 0. The numbers are those
/// of `trec_eval` 9 (pytrec_eval-terrier 0.5.11): `ndcg_cut_10`, `recall_100`, and `recip_rank` where it is at least .1.
#[test]
fn agrees_with_trec_eval() {
    const EXPECTED: [[f64; 3]; 5] = [
        [0.15906368450135414, 0.6944444444444444, 0.3333333333333333],
        [0.18340980524840012, 0.6571428571428571, 1.0],
        [0.15155044279729812, 0.696969696969697, 0.25],
        [0.15968959569310176, 0.7142857142857143, 0.3333333333333333],
        [0.11004588314904008, 0.6956521739130435, 0.3333333333333333],
    ];
    for (query, [ndcg, recall, reciprocal_rank]) in (0..).zip(EXPECTED) {
        let offset = if query == 4 { 1 } else { 0 };
        let grades = (0..150).filter(|document| (document * 7 + query * 5) % 13 < 4);
        let grades = grades.map(|document| (format!("d{document}"), document % 4 - offset)).collect();
        let scores = (0..150).map(|document| (format!("d{document}"), ((document * 37 + query * 11) % 23) as f32));
        let scores = scores.filter(|&(_, score)| score > 2.0).collect();
        let measures = measure(&Judgments::from([("q".into(), grades)]), &Run::from([("q".into(), scores)]));
        close(measures.ndcg_at_10, ndcg);
        close(measures.recall_at_100, recall);
        close(measures.mrr_at_10, reciprocal_rank);
    }
}
