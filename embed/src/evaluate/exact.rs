//! A collection's queries answered by a dense or multi-vector encoder and exact search.

use super::Run;
use super::beir::{Collection, Text};
use super::rank::{DEPTH, SameId};
use crate::bert::gemm::{View, multiply};
use crate::dense::DenseBatch;
use crate::encoder::{Counts, DenseEncoder, EncodeError, EncodeOptions, MultiVectorEncoder, TextKind};
use crate::hybrid::best;
use crate::multivector::MaxSim;
use crate::multivector::fde::Fde;
use rayon::prelude::*;

/// Texts encoded at once.
const BATCH: usize = 1024;

/// Documents whose token vectors are held at once.
const MULTI_VECTOR_BATCH: usize = 128;

/// Queries compared with all documents in one product.
const QUERIES: usize = 64;

/// Documents that single vectors find and late interaction scores again.
pub const RESCORED: usize = 100;

/// What late interaction finds.
#[derive(Debug, Clone)]
pub struct LateInteraction {
    /// All documents scored.
    pub exact: Run,
    /// By single vectors that stand for many, if such were asked for.
    pub single: Option<SingleVectors>,
    /// What the encoder looked at.
    pub counts: Counts,
}

/// What single vectors find in place of many.
#[derive(Debug, Clone)]
pub struct SingleVectors {
    /// By their product.
    pub alone: Run,
    /// The [`RESCORED`] best of them by late interaction.
    pub rescored: Run,
}

/// Ranks all of `collection` by the inner product of unit vectors: [`DEPTH`] documents for each query, and what the encoder
/// looked at. `progress` hears of texts done and their number, documents and queries together.
pub fn rank_dense(
    encoder: &dyn DenseEncoder,
    collection: &Collection,
    same_id: SameId,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<(Run, Counts), EncodeError> {
    let encode = |texts: &[&str], options: &EncodeOptions<'_>| {
        let (vectors, counts) = encoder.encode_with(texts, options)?;
        let mut vectors = vectors.into_data();
        if !encoder.normalized() {
            vectors.chunks_exact_mut(encoder.dim()).for_each(crate::bert::ops::normalize);
        }
        Ok((vectors, counts))
    };
    let mut seen = Progress { done: 0, counts: Counts::default(), collection, progress };
    let mut side = |texts, kind| {
        let mut rows = Vec::new();
        seen.batches(texts, BATCH, kind, encode, |_, batch| rows.extend(batch))?;
        Ok::<_, EncodeError>(DenseBatch::new(rows, encoder.dim()).expect("rows of an encoder"))
    };
    let documents = side(&collection.corpus, TextKind::Document)?;
    let queries = side(&collection.queries, TextKind::Query)?;
    let counts = seen.counts;
    Ok((rank_vectors(collection, &documents, &queries, same_id), counts))
}

/// Ranks `collection` by the inner products of vectors that are there: `documents` and `queries` in its order, of one dimension.
pub fn rank_vectors(collection: &Collection, documents: &DenseBatch, queries: &DenseBatch, same_id: SameId) -> Run {
    assert_eq!(
        (documents.len(), queries.len(), documents.dim()),
        (collection.corpus.len(), collection.queries.len(), queries.dim()),
        "a vector for each text"
    );
    let (dim, count) = (documents.dim(), documents.len());
    let documents = View::rows(documents.as_slice(), dim);
    let answers = queries.as_slice().chunks(QUERIES * dim).flat_map(|queries| {
        let mut scores = vec![0.0; queries.len() / dim * count];
        multiply(View::rows(queries, dim), documents.transposed(), &mut scores, count, false);
        scores.chunks(count).map(<[f32]>::to_vec).collect::<Vec<_>>()
    });
    run(collection, same_id, answers.map(|scores| best(&scores, scores.len())))
}

/// Ranks all of `collection` by late interaction: the sum over a query's vectors of the largest inner product with one of a
/// document's; and, with `single`, by the vectors it makes of many. Queries' vectors are held, documents' a batch at a time.
pub fn rank_multi_vector(
    encoder: &dyn MultiVectorEncoder,
    collection: &Collection,
    same_id: SameId,
    single: Option<&Fde>,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<LateInteraction, EncodeError> {
    let (dim, documents) = (encoder.dim(), collection.corpus.len());
    let encode = |texts: &[&str], options: &EncodeOptions<'_>| encoder.encode_with(texts, options);
    let mut seen = Progress { done: 0, counts: Counts::default(), collection, progress };
    let mut queries: Vec<Vec<f32>> = Vec::new();
    seen.batches(&collection.queries, BATCH, TextKind::Query, encode, |_, batch| {
        queries.extend((0..batch.len()).map(|text| batch.text(text).to_vec()));
    })?;
    let mut scores = vec![vec![0.0; documents]; queries.len()];
    let mut rows = Vec::new();
    seen.batches(&collection.corpus, MULTI_VECTOR_BATCH, TextKind::Document, encode, |first, batch| {
        scores.par_iter_mut().zip(&queries).for_each_init(MaxSim::default, |max_sim, (scores, query)| {
            for (text, score) in scores[first..first + batch.len()].iter_mut().enumerate() {
                *score = max_sim.score(query, batch.text(text), dim).unwrap_or(f32::NEG_INFINITY);
            }
        });
        if let Some(fde) = single {
            rows.par_extend((0..batch.len()).into_par_iter().map(|text| fde.document(batch.text(text))));
        }
    })?;
    let counts = seen.counts;
    let single = single.map(|fde| {
        let rows = DenseBatch::new(rows.concat(), fde.dim()).expect("sums of finite numbers");
        let asked: Vec<Vec<f32>> = queries.iter().map(|query| fde.query(query)).collect();
        let asked = DenseBatch::new(asked.concat(), fde.dim()).expect("sums of finite numbers");
        let alone = rank_vectors(collection, &rows, &asked, same_id);
        let places: std::collections::HashMap<&str, usize> =
            collection.corpus.iter().map(|text| text.id.as_str()).zip(0..).collect();
        let rescored = collection.queries.iter().zip(&scores).map(|(query, scores)| {
            let found = alone[&query.id].iter().take(RESCORED);
            let mut found: Vec<(String, f32)> =
                found.map(|(id, _)| (id.clone(), scores[places[id.as_str()]])).collect();
            found.sort_by(|a, b| b.1.total_cmp(&a.1));
            (query.id.clone(), found)
        });
        SingleVectors { rescored: rescored.collect(), alone }
    });
    let exact = run(collection, same_id, scores.iter().map(|scores| best(scores, documents)));
    Ok(LateInteraction { exact, single, counts })
}

/// What has been encoded of a collection.
struct Progress<'a> {
    done: usize,
    counts: Counts,
    collection: &'a Collection,
    progress: &'a (dyn Fn(usize, usize) + Sync),
}

impl Progress<'_> {
    /// Gives `take` the place of each batch's first text and what `encode` makes of the batch.
    fn batches<T>(
        &mut self,
        texts: &[Text],
        size: usize,
        kind: TextKind,
        encode: impl Fn(&[&str], &EncodeOptions<'_>) -> Result<(T, Counts), EncodeError>,
        mut take: impl FnMut(usize, T),
    ) -> Result<(), EncodeError> {
        let total = self.collection.corpus.len() + self.collection.queries.len();
        for (at, batch) in texts.chunks(size).enumerate() {
            let report = |part, _| (self.progress)(self.done + part, total);
            let options = EncodeOptions { progress: Some(&report), ..EncodeOptions::new(kind) };
            let texts: Vec<&str> = batch.iter().map(|text| text.text.as_str()).collect();
            let (encoded, counts) = encode(&texts, &options)?;
            self.counts.tokens += counts.tokens;
            self.counts.cut += counts.cut;
            self.done += batch.len();
            take(at * size, encoded);
        }
        Ok(())
    }
}

/// The best documents of each query, in the collection's order of queries.
fn run(collection: &Collection, same_id: SameId, answers: impl Iterator<Item = Vec<crate::postings::Scored>>) -> Run {
    let named = collection.queries.iter().zip(answers).map(|(query, hits)| {
        let named = hits.into_iter().map(|hit| (collection.corpus[hit.vector as usize].id.clone(), hit.score));
        let kept = named.filter(|(id, score)| score.is_finite() && (same_id == SameId::Keep || *id != query.id));
        (query.id.clone(), kept.take(DEPTH).collect())
    });
    named.collect()
}
