//! Bodies that search.

use serde::{Deserialize, Serialize};
use vicino_index::PointId;
use vicino_index::collection::{Payload, SegmentExplain};

use super::{FilterIn, NamedVector, QueryIn, SearchVector, Unserved, VectorsOut, WithPayload, WithVector};

/// `POST …/points/query`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueryRequest {
    /// What is searched for; absent: points in the order of ids.
    #[serde(default)]
    pub query: Option<QueryIn>,
    /// Points to return; absent: 10.
    #[serde(default)]
    pub limit: Option<usize>,
    /// Points to leave out before the first.
    #[serde(default)]
    pub offset: Option<usize>,
    /// How far to look.
    #[serde(default)]
    pub params: Option<SearchParamsIn>,
    /// The worst score returned.
    #[serde(default)]
    pub score_threshold: Option<f32>,
    /// Absent: none.
    #[serde(default)]
    pub with_payload: Option<WithPayload>,
    /// Absent: no.
    #[serde(default)]
    pub with_vector: Option<WithVector>,
    /// The name of the vector that is compared; absent or "": the one without a name.
    #[serde(default)]
    pub using: Option<String>,
    /// Which points may be answers; absent: all.
    #[serde(default)]
    pub filter: Option<FilterIn>,
    /// Not served yet.
    #[serde(default)]
    pub prefetch: Unserved,
    /// Not served yet.
    #[serde(default)]
    pub lookup_from: Unserved,
    /// Not served yet.
    #[serde(default)]
    pub shard_key: Unserved,
}

/// How far to look.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchParamsIn {
    /// Beam width; absent: [`vicino_index::SearchParams::DEFAULT_EF`].
    #[serde(default)]
    pub hnsw_ef: Option<usize>,
    /// Compare every vector.
    #[serde(default)]
    pub exact: Option<bool>,
    /// Whether to search only what is in the graph: everything is.
    #[serde(default)]
    pub indexed_only: Option<bool>,
    /// The recall to look for, above 0 and below 1, in place of a beam width. How far that is was measured when a graph was built; where
    /// nothing was (graphs over vectors), it is a beam of [`vicino_index::SearchParams::DEFAULT_EF`].
    #[serde(default)]
    pub min_recall: Option<f32>,
    /// Bits of each coordinate that walks through compact graphs read: 2, 4 or 8; absent: 4. Other graphs have no choice.
    #[serde(default)]
    pub bits: Option<usize>,
    /// How codes are used.
    #[serde(default)]
    pub quantization: Option<QuantizationSearch>,
    /// Not served yet.
    #[serde(default)]
    pub acorn: Unserved,
    /// Not served yet.
    #[serde(default)]
    pub idf: Unserved,
}

/// How codes are used.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuantizationSearch {
    /// Not served yet: graphs on codes are walked on codes. `exact` compares vectors.
    #[serde(default)]
    pub ignore: Unserved,
    /// Whether results are scored on vectors: they always are.
    #[serde(default)]
    pub rescore: Option<bool>,
    /// How many times as many results as asked for are found on codes, at least; how many are scored on vectors follows from the codes' errors.
    #[serde(default)]
    pub oversampling: Option<f64>,
}

/// `POST …/points/query/batch`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueryBatch {
    /// Answered in this order.
    pub searches: Vec<QueryRequest>,
}

/// `POST …/points/search`, which older clients send.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchRequest {
    /// What is searched for.
    pub vector: SearchVector,
    /// Points to return.
    pub limit: usize,
    /// Points to leave out before the first.
    #[serde(default)]
    pub offset: Option<usize>,
    /// How far to look.
    #[serde(default)]
    pub params: Option<SearchParamsIn>,
    /// The worst score returned.
    #[serde(default)]
    pub score_threshold: Option<f32>,
    /// Absent: none.
    #[serde(default)]
    pub with_payload: Option<WithPayload>,
    /// Absent: no.
    #[serde(default)]
    pub with_vector: Option<WithVector>,
    /// Which points may be answers; absent: all.
    #[serde(default)]
    pub filter: Option<FilterIn>,
    /// Not served yet.
    #[serde(default)]
    pub shard_key: Unserved,
}

impl From<SearchRequest> for QueryRequest {
    fn from(search: SearchRequest) -> Self {
        let (using, vector) = match search.vector {
            SearchVector::Default(vector) => (None, vector),
            SearchVector::Named(NamedVector { name, vector }) => (Some(name), vector),
        };
        QueryRequest {
            query: Some(QueryIn::Vector(vector)),
            limit: Some(search.limit),
            offset: search.offset,
            params: search.params,
            score_threshold: search.score_threshold,
            with_payload: search.with_payload,
            with_vector: search.with_vector,
            using,
            filter: search.filter,
            ..QueryRequest::default()
        }
    }
}

/// The points found by one query.
#[derive(Debug, Serialize)]
pub struct QueryAnswer {
    /// Nearest first.
    pub points: Vec<ScoredPoint>,
}

/// `POST /v1/collections/{name}/explain`: an answer, and how it was come by.
#[derive(Debug, Serialize)]
pub struct Explained {
    /// Nearest first.
    pub points: Vec<ScoredPoint>,
    /// The recall to be expected at least, if it is known of all segments: the least of theirs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_recall: Option<f32>,
    /// How each segment was searched, the oldest first.
    pub segments: Vec<SegmentExplain>,
}

/// A point found.
#[derive(Debug, Serialize)]
pub struct ScoredPoint {
    /// Its id.
    pub id: PointId,
    /// Number of the change that stored it.
    pub version: u64,
    /// Its nearness by the collection's distance.
    pub score: f32,
    /// Its payload, or the part that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Payload>,
    /// Its vectors, as stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vector: Option<VectorsOut>,
}
