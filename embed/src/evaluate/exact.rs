//! A collection's queries answered by a dense or multi-vector encoder and exact search.

use super::Run;
use super::beir::{Collection, Text};
use super::rank::{DEPTH, SameId};
use crate::bert::gemm::{View, multiply};
use crate::encoder::{Counts, DenseEncoder, EncodeError, EncodeOptions, MultiVectorEncoder, TextKind};

/// Texts encoded at once.
const BATCH: usize = 1024;

/// Queries compared with all documents in one product.
const QUERIES: usize = 64;

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
    let (documents, queries, counts) = encode_all(collection, progress, encode)?;
    let (documents, queries) = (documents.concat(), queries.concat());
    let (documents, dim) = (View::rows(&documents, encoder.dim()), encoder.dim());
    let answers = queries.chunks(QUERIES * dim).flat_map(|queries| {
        let mut scores = vec![0.0; queries.len() / dim * collection.corpus.len()];
        multiply(View::rows(queries, dim), documents.transposed(), &mut scores, collection.corpus.len(), false);
        scores.chunks(collection.corpus.len()).map(<[f32]>::to_vec).collect::<Vec<_>>()
    });
    Ok((run(collection, same_id, answers), counts))
}

/// Ranks all of `collection` by late interaction: the sum over a query's vectors of the largest inner product with one of a
/// document's. The vectors of all documents are held in memory.
pub fn rank_multi_vector(
    encoder: &dyn MultiVectorEncoder,
    collection: &Collection,
    same_id: SameId,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<(Run, Counts), EncodeError> {
    let dim = encoder.dim();
    let encode = |texts: &[&str], options: &EncodeOptions<'_>| encoder.encode_with(texts, options);
    let (documents, queries, counts) = encode_all(collection, progress, encode)?;
    let documents: Vec<&[f32]> =
        documents.iter().flat_map(|batch| (0..batch.len()).map(|text| batch.text(text))).collect();
    let mut products = Vec::new();
    let answers = queries.iter().flat_map(|batch| (0..batch.len()).map(|text| batch.text(text))).map(|query| {
        let score = |document: &&[f32]| {
            let rows = document.len() / dim;
            products.resize(query.len() / dim * rows, 0.0);
            multiply(View::rows(query, dim), View::rows(document, dim).transposed(), &mut products, rows, false);
            products
                .chunks_exact(rows.max(1))
                .map(|row| row.iter().fold(f32::NEG_INFINITY, |best, &x| best.max(x)))
                .sum()
        };
        documents.iter().map(score).collect::<Vec<f32>>()
    });
    Ok((run(collection, same_id, answers), counts))
}

/// What `encode` makes of the documents and of the queries, batch by batch.
#[allow(clippy::type_complexity)]
fn encode_all<T>(
    collection: &Collection,
    progress: &(dyn Fn(usize, usize) + Sync),
    encode: impl Fn(&[&str], &EncodeOptions<'_>) -> Result<(T, Counts), EncodeError>,
) -> Result<(Vec<T>, Vec<T>, Counts), EncodeError> {
    let total = collection.corpus.len() + collection.queries.len();
    let (mut done, mut counts) = (0, Counts::default());
    let mut side = |texts: &[Text], kind| {
        let mut batches = Vec::new();
        for batch in texts.chunks(BATCH) {
            let report = |part, _| progress(done + part, total);
            let options = EncodeOptions { progress: Some(&report), ..EncodeOptions::new(kind) };
            let texts: Vec<&str> = batch.iter().map(|text| text.text.as_str()).collect();
            let (encoded, counted) = encode(&texts, &options)?;
            batches.push(encoded);
            counts.tokens += counted.tokens;
            counts.cut += counted.cut;
            done += batch.len();
        }
        Ok::<_, EncodeError>(batches)
    };
    let documents = side(&collection.corpus, TextKind::Document)?;
    let queries = side(&collection.queries, TextKind::Query)?;
    Ok((documents, queries, counts))
}

/// The best documents of each query, whose scores `answers` gives in the order of the corpus.
fn run(collection: &Collection, same_id: SameId, answers: impl Iterator<Item = Vec<f32>>) -> Run {
    let queries = collection.queries.iter().zip(answers);
    let ranked = queries.map(|(query, scores)| {
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.retain(|&at| same_id == SameId::Keep || collection.corpus[at].id != query.id);
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        let found = order.iter().take(DEPTH).map(|&at| (collection.corpus[at].id.clone(), scores[at]));
        (query.id.clone(), found.collect())
    });
    ranked.collect()
}
