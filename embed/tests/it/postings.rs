//! Search through postings against the products of all pairs.

use crate::random::Random;
use vicino_embed::postings::Scored;
use vicino_embed::{Postings, SparseVector};

/// Few dimensions and few values, so that ties are common.
fn vector(random: &mut Random) -> SparseVector {
    let indices: Vec<u32> = (0..20).filter(|_| random.below(4) == 0).collect();
    let values = indices.iter().map(|_| random.below(5) as f32 - 2.0).collect();
    SparseVector::new(indices, values).unwrap()
}

#[test]
fn finds_what_all_products_say() {
    for seed in 0..50 {
        let mut random = Random(seed);
        let vectors: Vec<SparseVector> = (0..random.below(60)).map(|_| vector(&mut random)).collect();
        let mut postings = Postings::new();
        postings.extend(vectors.iter().cloned());
        assert_eq!(postings.len(), vectors.len());
        for _ in 0..5 {
            let (query, k) = (vector(&mut random), random.below(70) as usize);
            let meets = |vector: &SparseVector| vector.indices().iter().any(|index| query.indices().contains(index));
            let mut expected: Vec<Scored> = (0..)
                .zip(&vectors)
                .filter(|(_, vector)| meets(vector))
                .map(|(number, vector)| Scored { vector: number, score: query.dot(vector) })
                .collect();
            expected.sort_by(|a, b| b.score.partial_cmp(&a.score).unwrap().then(a.vector.cmp(&b.vector)));
            expected.truncate(k);
            assert_eq!(postings.search(&query, k), expected, "seed {seed}, k {k}");
        }
    }
}

#[test]
fn a_query_may_know_more_dimensions() {
    let mut postings = Postings::new();
    assert!(postings.is_empty());
    postings.push(&SparseVector::new(vec![1], vec![2.0]).unwrap());
    let query = SparseVector::new(vec![1, u32::MAX], vec![3.0, 1.0]).unwrap();
    assert_eq!(postings.search(&query, 5), [Scored { vector: 0, score: 6.0 }]);
}
