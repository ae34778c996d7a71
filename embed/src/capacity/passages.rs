//! One vector against several of the same storage, by passage length: which passage holds a span of words?
//!
//! The containing-passage task of Luan et al. (arXiv:2005.00181, §5.1): passages of one length, queries that are spans of
//! 5 to 25 of a passage's words, and the reciprocal rank of the passage a span is from. A collection's texts are joined and
//! cut into passages anew, as many at every length, so that only the length differs. Encoders are random projections of
//! BM25 vectors, of the whole passage or of its parts, beside BM25 itself ([`measure`]); or a trained dense encoder, cut to its
//! first principal components where a shape has fewer dimensions ([`measure_encoder`]).

use super::project::Projection;
use crate::bm25::{Bm25, Bm25Params};
use crate::dense::DenseBatch;
use crate::distill::components::components;
use crate::encoder::{DenseEncoder, EncodeError, SparseEncoder, TextKind};
use crate::hybrid::dot;
use crate::multivector::windows::cut;
use crate::postings::Postings;
use crate::random::Random;
use serde::Serialize;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Words of a query.
pub const SPAN_WORDS: std::ops::RangeInclusive<usize> = 5..=25;

/// Passages of one length, and spans of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Words of each passage.
    pub words: usize,
    /// The passages.
    pub passages: Vec<String>,
    /// Spans, each with its passage's place.
    pub queries: Vec<(String, usize)>,
}

/// Vectors of a passage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Shape {
    /// Parts a passage is cut into, each with a vector.
    pub vectors: usize,
    /// Dimensions of a vector.
    pub dim: usize,
}

/// How often spans find their passage.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Found {
    /// Words of a passage.
    pub words: usize,
    /// Passages.
    pub passages: usize,
    /// Spans.
    pub queries: usize,
    /// Mean reciprocal rank among the first 10, by BM25.
    pub bm25: f64,
    /// The same by each shape.
    pub shapes: Vec<(Shape, f64)>,
}

/// Cuts `texts`, joined, into `count` passages of `words` words and draws `queries` spans. `None` if there is not enough text.
pub fn sample(texts: &[&str], words: usize, count: usize, queries: usize, seed: u64) -> Option<Sample> {
    assert!(words >= *SPAN_WORDS.end() && count > 0, "passages are longer than spans");
    let all: Vec<&str> = texts.iter().flat_map(|text| text.split_whitespace()).collect();
    let mut random = Random::new(seed);
    let mut starts: Vec<usize> = (0..all.len() / words).map(|passage| passage * words).collect();
    if starts.len() < count {
        return None;
    }
    random.shuffle(&mut starts);
    starts.truncate(count);
    let passages = starts.iter().map(|&start| all[start..start + words].join(" ")).collect();
    let span = |_| {
        let passage = random.below(count);
        let length = SPAN_WORDS.start() + random.below(SPAN_WORDS.count());
        let from = starts[passage] + random.below(words - length + 1);
        (all[from..from + length].join(" "), passage)
    };
    let queries = (0..queries).map(span).collect();
    Some(Sample { words, passages, queries })
}

/// Measures BM25 and its projections of each shape on `sample`. Shapes of one `vectors` share a projection to their largest
/// dimension; `seed` chooses its signs.
pub fn measure(sample: &Sample, params: Bm25Params, shapes: &[Shape], seed: u64) -> Result<Found, EncodeError> {
    let passages: Vec<&str> = sample.passages.iter().map(String::as_str).collect();
    let mut bm25 = Bm25::new(params);
    bm25.extend(passages.iter().copied());
    let texts: Vec<&str> = sample.queries.iter().map(|(text, _)| text.as_str()).collect();
    let queries = bm25.encode(&texts, TextKind::Query)?;

    let mut postings = Postings::new();
    postings.extend(bm25.encode(&passages, TextKind::Document)?);
    let mut exact = 0.0;
    for (query, &(_, passage)) in queries.iter().zip(&sample.queries) {
        let mut scores = vec![0.0; passages.len()];
        postings.search(query, passages.len()).iter().for_each(|hit| scores[hit.vector as usize] = hit.score);
        exact += reciprocal_rank(&scores, passage);
    }

    let mut found = Vec::new();
    for &shape in shapes {
        let projection = Projection::new(seed, shape.dim);
        let mut rows = Vec::with_capacity(passages.len());
        for passage in &passages {
            let parts = bm25.encode(&cut(passage, shape.vectors), TextKind::Document)?;
            rows.push(parts.iter().map(|part| projection.project(part)).collect::<Vec<_>>());
        }
        let mut sum = 0.0;
        for (query, &(_, passage)) in queries.iter().zip(&sample.queries) {
            let query = projection.project(query);
            let best = |parts: &Vec<Vec<f32>>| parts.iter().map(|part| dot(&query, part)).fold(f32::MIN, f32::max);
            sum += reciprocal_rank(&rows.iter().map(best).collect::<Vec<_>>(), passage);
        }
        found.push((shape, sum / queries.len() as f64));
    }
    Ok(Found {
        words: sample.words,
        passages: passages.len(),
        queries: queries.len(),
        bm25: exact / queries.len() as f64,
        shapes: found,
    })
}

/// Measures `encoder` on `sample`, for each shape: a vector of the whole passage, or one for each of its parts, of which the best
/// counts. Fewer dimensions than the encoder has are its vectors' first principal components over the passages, which lose least.
/// Panics at shapes of more.
pub fn measure_encoder(
    sample: &Sample,
    encoder: &dyn DenseEncoder,
    shapes: &[Shape],
) -> Result<Vec<(Shape, f64)>, EncodeError> {
    assert!(shapes.iter().all(|shape| shape.dim <= encoder.dim()), "shapes of at most {} dimensions", encoder.dim());
    let texts: Vec<&str> = sample.queries.iter().map(|(text, _)| text.as_str()).collect();
    let queries = encoder.encode(&texts, TextKind::Query)?;
    let mut parts: BTreeMap<usize, (DenseBatch, Vec<usize>)> = BTreeMap::new();
    for &Shape { vectors, .. } in shapes {
        if let Entry::Vacant(place) = parts.entry(vectors) {
            let cut: Vec<Vec<&str>> = sample.passages.iter().map(|passage| cut(passage, vectors)).collect();
            let ends = cut.iter().scan(0, |end, parts| {
                *end += parts.len();
                Some(*end)
            });
            let ends = ends.collect();
            place.insert((encoder.encode(&cut.concat(), TextKind::Document)?, ends));
        }
    }
    let found = shapes.iter().map(|&shape| {
        let (rows, ends) = &parts[&shape.vectors];
        let main = components(rows.as_slice(), encoder.dim(), shape.dim);
        let (rows, queries) = (main.project(rows.as_slice()), main.project(queries.as_slice()));
        let ranks = queries.chunks_exact(shape.dim).zip(&sample.queries).map(|(query, &(_, passage))| {
            let products: Vec<f32> = rows.chunks_exact(shape.dim).map(|row| dot(query, row)).collect();
            let starts = std::iter::once(&0).chain(ends);
            let best =
                starts.zip(ends).map(|(&start, &end)| products[start..end].iter().copied().fold(f32::MIN, f32::max));
            reciprocal_rank(&best.collect::<Vec<_>>(), passage)
        });
        (shape, ranks.sum::<f64>() / sample.queries.len() as f64)
    });
    Ok(found.collect())
}

/// One over the rank of `scores[right]`, 0 past the tenth; equal scores count as ahead.
pub fn reciprocal_rank(scores: &[f32], right: usize) -> f64 {
    let ahead = scores.iter().enumerate().filter(|&(at, score)| at != right && *score >= scores[right]).count();
    if ahead < 10 { 1.0 / (ahead + 1) as f64 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(count: usize, seed: u64) -> Vec<String> {
        let mut random = Random::new(seed);
        (0..count).map(|_| format!("w{}", (3000_f64.powf(random.unit())) as u32)).collect()
    }

    #[test]
    fn spans_are_of_their_passage() {
        let text = words(3000, 1).join(" ");
        let sample = sample(&[&text[..5000], &text[5000..]], 50, 40, 200, 2).unwrap();
        assert_eq!((sample.passages.len(), sample.queries.len()), (40, 200));
        assert!(sample.passages.iter().all(|passage| passage.split(' ').count() == 50));
        for (span, passage) in &sample.queries {
            assert!(SPAN_WORDS.contains(&span.split(' ').count()) && sample.passages[*passage].contains(span));
        }
        assert_eq!(super::sample(&["a b c"], 50, 1, 1, 2), None);
    }

    #[test]
    fn ranks_count_ties_as_lost() {
        assert_eq!(reciprocal_rank(&[1.0, 2.0, 1.0], 1), 1.0);
        assert_eq!(reciprocal_rank(&[1.0, 2.0, 1.0], 0), 1.0 / 3.0);
        assert_eq!(reciprocal_rank(&[2.0; 12], 0), 0.0);
    }

    #[test]
    fn length_costs_and_more_vectors_pay() {
        let text = words(40_000, 3).join(" ");
        let (one, many) = (Shape { vectors: 1, dim: 128 }, Shape { vectors: 4, dim: 128 });
        let found: Vec<Found> = [50, 400]
            .into_iter()
            .map(|words| {
                let sample = sample(&[&text], words, 100, 100, 4).unwrap();
                measure(&sample, Bm25Params::ANSERINI, &[one, many], 5).unwrap()
            })
            .collect();
        let reached = |at: usize, shape: usize| found[at].shapes[shape].1;
        assert!(found.iter().all(|found| found.bm25 > 0.95), "{found:?}");
        assert!(reached(0, 0) > reached(1, 0), "longer passages are harder: {found:?}");
        assert!(reached(1, 1) > reached(1, 0), "a vector for each part regains some: {found:?}");
    }

    #[test]
    fn an_encoder_is_measured_in_every_shape() {
        let sample = sample(&[include_str!("../../README.md")], 40, 20, 60, 6).unwrap();
        let encoder = crate::StaticEncoder::builtin();
        let shape = |vectors, dim| Shape { vectors, dim };
        let shapes = [shape(1, 2), shape(1, 256), shape(4, 256)];
        let found = measure_encoder(&sample, encoder, &shapes).unwrap();
        assert_eq!(found.iter().map(|(shape, _)| *shape).collect::<Vec<_>>(), shapes);
        assert!(found[0].1 < found[1].1 && found[1].1 > 0.5, "two dimensions hold less than all: {found:?}");

        // All components are a rotation, which changes no product: as the vectors themselves.
        let passages: Vec<&str> = sample.passages.iter().map(String::as_str).collect();
        let rows = DenseEncoder::encode(encoder, &passages, TextKind::Document).unwrap();
        let plain = sample.queries.iter().map(|(span, passage)| {
            let query = DenseEncoder::encode(encoder, &[span], TextKind::Query).unwrap();
            let scores: Vec<f32> = (0..rows.len()).map(|row| dot(query.row(0), rows.row(row))).collect();
            reciprocal_rank(&scores, *passage)
        });
        let plain = plain.sum::<f64>() / sample.queries.len() as f64;
        assert!((plain - found[1].1).abs() < 0.01, "{plain} {found:?}");
    }
}
