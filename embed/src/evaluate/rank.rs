//! A collection's queries answered by a sparse encoder and exact search: the run that is judged.

use super::Run;
use super::beir::{Collection, Text};
use crate::encoder::{EncodeError, SparseEncoder, TextKind};
use crate::postings::Postings;

/// Documents kept for each query: what published tables keep, and ten times what the deepest measure looks at.
pub const DEPTH: usize = 1000;

/// Texts encoded at once.
const BATCH: usize = 256;

/// What becomes of a document with the id of the query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameId {
    /// It is a document like any other: the ids have nothing to do with each other.
    Keep,
    /// It is the query itself, as in ArguAna and Quora, and no result.
    Drop,
}

/// Encodes all of `collection` and finds the [`DEPTH`] best documents for each query. `progress` hears of texts done and
/// their number, documents and queries together.
pub fn rank(
    encoder: &dyn SparseEncoder,
    collection: &Collection,
    same_id: SameId,
    progress: &dyn Fn(usize, usize),
) -> Result<Run, EncodeError> {
    let total = collection.corpus.len() + collection.queries.len();
    let mut done = 0;
    let mut postings = Postings::new();
    for documents in collection.corpus.chunks(BATCH) {
        postings.extend(encoder.encode(&texts(documents), TextKind::Document)?);
        done += documents.len();
        progress(done, total);
    }
    let mut run = Run::new();
    for queries in collection.queries.chunks(BATCH) {
        for (query, vector) in queries.iter().zip(encoder.encode(&texts(queries), TextKind::Query)?) {
            let hits = postings.search(&vector, DEPTH).into_iter();
            let named = hits.map(|hit| (collection.corpus[hit.vector as usize].id.clone(), hit.score));
            let found = named.filter(|(id, _)| same_id == SameId::Keep || *id != query.id).collect();
            run.insert(query.id.clone(), found);
        }
        done += queries.len();
        progress(done, total);
    }
    Ok(run)
}

fn texts(batch: &[Text]) -> Vec<&str> {
    batch.iter().map(|text| text.text.as_str()).collect()
}
