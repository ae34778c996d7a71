//! The experiment: BM25's first document per query, and whether it is still first when everything is projected.

use super::margin::{cost, normalized};
use super::project::Projection;
use crate::hybrid::dot;
use crate::postings::Postings;
use crate::sparse::SparseVector;
use serde::Serialize;

/// How deep a list may be read, in the order of [`Kept::within`].
pub const DEPTHS: [usize; 3] = [1, 10, 100];
/// Part of the pairs that must keep their order for a dimension to be enough.
pub const ENOUGH: f64 = 0.95;

/// What is measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Survival {
    /// Documents.
    pub documents: usize,
    /// Queries that match a document.
    pub queries: usize,
    /// Pairs of a query's first document and a document of smaller score.
    pub pairs: usize,
    /// The least margin of a pair.
    pub least_margin: f64,
    /// The median.
    pub median_margin: f64,
    /// For each dimension, in ascending order.
    pub kept: Vec<Kept>,
    /// Pairs by what their margin costs, cheap ones first.
    pub by_cost: Vec<CostBin>,
}

/// One dimension.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Kept {
    /// Dimensions projected to.
    pub dim: usize,
    /// Part of the queries whose first document is among the best 1, 10 and 100 after projection: where a list of so many is
    /// scored again by the exact vectors, as a hybrid does, the first document is found.
    pub within: [f64; 3],
    /// Part of the pairs that keep their order.
    pub pairs: f64,
}

/// Pairs whose margin costs about the same.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CostBin {
    /// [`cost`] from here…
    pub from: f64,
    /// …to below this.
    pub to: f64,
    /// Pairs.
    pub pairs: usize,
    /// Part that keeps its order, for each dimension.
    pub kept: Vec<f64>,
    /// The least dimension that keeps [`ENOUGH`] of them, if one does.
    pub dim: Option<usize>,
}

impl Survival {
    /// The least dimension that keeps the first document of `part` of the queries among the best `DEPTHS[depth]`.
    pub fn least_dim(&self, depth: usize, part: f64) -> Option<usize> {
        self.kept.iter().find(|kept| kept.within[depth] >= part).map(|kept| kept.dim)
    }

    /// The least dimension that keeps the order of [`ENOUGH`] of the pairs.
    pub fn least_dim_for_pairs(&self) -> Option<usize> {
        self.kept.iter().find(|kept| kept.pairs >= ENOUGH).map(|kept| kept.dim)
    }
}

/// A pair's place among the cost bins: [`FIRST_COST`] doubled so many times.
const FIRST_COST: f64 = 25.0;
const BINS: usize = 10;

/// A query's first document, and each other document's margin to it; `None` where the scores are equal.
struct Query {
    vector: usize,
    first: usize,
    margins: Vec<Option<f64>>,
}

/// Projects `documents` and `queries` to each of `dims`, ascending, and compares with their own products; means over `seeds`.
/// A projection of all documents takes `documents · largest dim · 4` bytes.
pub fn survival(documents: &[SparseVector], queries: &[SparseVector], dims: &[usize], seeds: &[u64]) -> Survival {
    assert!(dims.is_sorted() && dims.first().is_some_and(|&dim| dim > 0) && !seeds.is_empty(), "dimensions and seeds");
    let asked = exact(documents, queries);
    let mut margins: Vec<f64> = asked.iter().flat_map(|query| &query.margins).filter_map(|margin| *margin).collect();
    margins.sort_unstable_by(f64::total_cmp);

    let mut within = vec![[0_usize; 3]; dims.len()];
    let mut pairs = vec![[0_usize; BINS]; dims.len()];
    for &seed in seeds {
        let projection = Projection::new(seed, *dims.last().expect("not empty"));
        let rows: Vec<Vec<f32>> = documents.iter().map(|vector| projection.project(vector)).collect();
        for query in &asked {
            let projected = projection.project(&queries[query.vector]);
            let mut scores = vec![0.0; documents.len()];
            let mut from = 0;
            for (at, &dim) in dims.iter().enumerate() {
                scores.iter_mut().zip(&rows).for_each(|(sum, row)| *sum += dot(&projected[from..dim], &row[from..dim]));
                from = dim;
                count(query, &scores, &mut within[at], &mut pairs[at]);
            }
        }
    }

    let mut sizes = [0; BINS];
    margins.iter().for_each(|&margin| sizes[bin(margin)] += 1);
    let part = |count: usize, whole: usize| count as f64 / (whole * seeds.len()).max(1) as f64;
    let kept = dims.iter().zip(&within).zip(&pairs).map(|((&dim, within), pairs)| Kept {
        dim,
        within: within.map(|count| part(count, asked.len())),
        pairs: part(pairs.iter().sum(), margins.len()),
    });
    let bins = (0..BINS).filter(|&bin| sizes[bin] > 0).map(|bin| {
        let kept: Vec<f64> = pairs.iter().map(|counts| part(counts[bin], sizes[bin])).collect();
        let dim = kept.iter().position(|&kept| kept >= ENOUGH).map(|at| dims[at]);
        let from = if bin == 0 { 0.0 } else { FIRST_COST * f64::from(1 << (bin - 1)) };
        let to = if bin + 1 == BINS { f64::INFINITY } else { FIRST_COST * f64::from(1 << bin) };
        CostBin { from, to, pairs: sizes[bin], kept, dim }
    });
    Survival {
        documents: documents.len(),
        queries: asked.len(),
        pairs: margins.len(),
        least_margin: margins.first().copied().unwrap_or(0.0),
        median_margin: margins.get(margins.len() / 2).copied().unwrap_or(0.0),
        kept: kept.collect(),
        by_cost: bins.collect(),
    }
}

/// Adds what survives of one query: its first document's rank, and the pairs in order.
fn count(query: &Query, scores: &[f32], within: &mut [usize; 3], pairs: &mut [usize; BINS]) {
    let first = scores[query.first];
    let mut ahead = 0;
    for (&score, margin) in scores.iter().zip(&query.margins) {
        let Some(margin) = *margin else { continue };
        if score < first {
            pairs[bin(margin)] += 1;
        } else {
            ahead += 1;
        }
    }
    for (count, depth) in within.iter_mut().zip(DEPTHS) {
        *count += usize::from(ahead < depth);
    }
}

/// The exact side: first documents and margins. Queries that match nothing are left out.
fn exact(documents: &[SparseVector], queries: &[SparseVector]) -> Vec<Query> {
    let mut postings = Postings::new();
    documents.iter().for_each(|vector| postings.push(vector));
    let all = |vector: &SparseVector| {
        let mut products = vec![0.0; documents.len()];
        postings
            .search(vector, documents.len())
            .iter()
            .for_each(|hit| products[hit.vector as usize] = hit.score.into());
        products
    };
    let squares: Vec<f64> = documents.iter().map(|vector| f64::from(vector.dot(vector))).collect();
    let mut asked = Vec::new();
    for (vector, query) in queries.iter().enumerate() {
        let Some(first) = postings.search(query, 1).first().map(|hit| hit.vector as usize) else { continue };
        let (scores, shared) = (all(query), all(&documents[first]));
        let norm = f64::from(query.dot(query)).sqrt();
        let margin = |other: usize| {
            let difference = (squares[first] + squares[other] - 2.0 * shared[other]).max(0.0).sqrt();
            let ahead: f64 = scores[first] - scores[other];
            (ahead > 0.0).then(|| normalized(ahead, norm, difference))
        };
        asked.push(Query { vector, first, margins: (0..documents.len()).map(margin).collect() });
    }
    asked
}

fn bin(margin: f64) -> usize {
    let doublings = (cost(margin) / FIRST_COST).log2().floor() + 1.0;
    (doublings.max(0.0) as usize).min(BINS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// Texts of words drawn by Zipf's law: what BM25 sees, without weights.
    fn collection(random: &mut Random, documents: usize, length: usize) -> Vec<SparseVector> {
        let vector = |random: &mut Random| {
            let mut terms: Vec<u32> = (0..length).map(|_| (5000_f64.powf(random.unit())) as u32).collect();
            terms.sort_unstable();
            terms.dedup();
            let values = vec![1.0; terms.len()];
            SparseVector::new(terms, values).unwrap()
        };
        (0..documents).map(|_| vector(random)).collect()
    }

    #[test]
    fn agrees_with_plain_counting() {
        let seed = 21;
        let mut random = Random::new(seed);
        let documents = collection(&mut random, 60, 30);
        let queries = collection(&mut random, 5, 6);
        let found = survival(&documents, &queries, &[16, 100], &[seed]);
        let (mut kept, mut pairs, mut top) = (0, 0, 0_u32);
        for query in &queries {
            let scores: Vec<f32> = documents.iter().map(|vector| query.dot(vector)).collect();
            let first = (0..60).rev().max_by(|&a, &b| scores[a].total_cmp(&scores[b])).unwrap();
            let projection = Projection::new(seed, 16);
            let projected = |vector| dot(&projection.project(query), &projection.project(vector));
            let rivals = || (0..60).filter(|&other| scores[other] < scores[first]);
            let lost = rivals().filter(|&other| projected(&documents[other]) >= projected(&documents[first])).count();
            pairs += rivals().count();
            kept += rivals().count() - lost;
            top += u32::from(lost < 10);
        }
        assert_eq!((found.queries, found.pairs), (5, pairs), "seed {seed}");
        assert!((found.kept[0].pairs - kept as f64 / pairs as f64).abs() < 1e-12, "seed {seed}");
        assert!((found.kept[0].within[1] - f64::from(top) / 5.0).abs() < 1e-12, "seed {seed}");
        assert_eq!(found.by_cost.iter().map(|bin| bin.pairs).sum::<usize>(), pairs);
    }

    #[test]
    fn more_dimensions_keep_more_and_long_documents_need_more() {
        let dims = [32, 64, 128, 256, 512, 1024, 2048];
        let least: Vec<usize> = [20, 60, 180]
            .into_iter()
            .map(|length| {
                let mut random = Random::new(length as u64);
                let documents = collection(&mut random, 300, length);
                let queries = collection(&mut random, 30, 8);
                let found = survival(&documents, &queries, &dims, &[1, 2]);
                assert!(found.kept.is_sorted_by(|a, b| a.pairs <= b.pairs), "{:?}", found.kept);
                let (cheap, dear) = (&found.by_cost[0], found.by_cost.last().unwrap());
                assert!(cheap.kept[3] > dear.kept[3] + 0.1, "{cheap:?} {dear:?}");
                found.least_dim_for_pairs().expect("2048 dimensions are enough")
            })
            .collect();
        assert!(least.is_sorted() && least[0] < least[2], "{least:?}");
    }
}
