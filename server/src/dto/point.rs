//! Bodies that store, delete, read and count points.

use serde::{Deserialize, Serialize};
use vicino_index::PointId;
use vicino_index::collection::Payload;

use super::{FilterIn, Unserved, VectorIn};

/// `PUT …/points`: `points` or `batch`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upsert {
    /// The points, one by one.
    #[serde(default)]
    pub points: Option<Vec<PointIn>>,
    /// The points, by column.
    #[serde(default)]
    pub batch: Option<BatchIn>,
    /// What to do with points that exist.
    #[serde(default)]
    pub update_mode: Option<UpdateMode>,
    /// Not served yet.
    #[serde(default)]
    pub shard_key: Unserved,
    /// Points that exist are replaced only if they match, as they are.
    #[serde(default)]
    pub update_filter: Option<FilterIn>,
}

/// One point to store.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PointIn {
    /// Its id.
    pub id: PointId,
    /// Its vector.
    pub vector: VectorIn,
    /// Its payload, stored as it is.
    #[serde(default)]
    pub payload: Option<Payload>,
}

/// Points by column: as many of each.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchIn {
    /// `[points]`.
    pub ids: Vec<PointId>,
    /// `[points]`.
    pub vectors: Vec<VectorIn>,
    /// `[points]`, or absent.
    #[serde(default)]
    pub payloads: Option<Vec<Option<Payload>>>,
}

/// What to do with points that exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpdateMode {
    /// Replace them.
    Upsert,
    /// Leave them as they are: only new points are stored.
    InsertOnly,
    /// Replace them, and store no new ones.
    UpdateOnly,
}

/// `POST …/points/delete`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeletePoints {
    /// Which; or `filter`.
    #[serde(default)]
    pub points: Option<Vec<PointId>>,
    /// Those that match.
    #[serde(default)]
    pub filter: Option<FilterIn>,
    /// Not served yet.
    #[serde(default)]
    pub shard_key: Unserved,
}

/// `POST …/points/payload` (these keys get these values) and `PUT …/points/payload` (this is all of it).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetPayload {
    /// The values.
    pub payload: Payload,
    /// Of which points, all of which must exist; or `filter`.
    #[serde(default)]
    pub points: Option<Vec<PointId>>,
    /// Those that match.
    #[serde(default)]
    pub filter: Option<FilterIn>,
    /// Not served yet.
    #[serde(default)]
    pub key: Unserved,
    /// Not served yet.
    #[serde(default)]
    pub shard_key: Unserved,
}

/// `POST …/points/payload/delete`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeletePayload {
    /// The keys that go, as paths: `a.b` is key `b` of the object at `a`.
    pub keys: Vec<String>,
    /// Of which points, all of which must exist; or `filter`.
    #[serde(default)]
    pub points: Option<Vec<PointId>>,
    /// Those that match.
    #[serde(default)]
    pub filter: Option<FilterIn>,
    /// Not served yet.
    #[serde(default)]
    pub shard_key: Unserved,
}

/// `POST …/points/payload/clear`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClearPayload {
    /// Of which points, all of which must exist; or `filter`.
    #[serde(default)]
    pub points: Option<Vec<PointId>>,
    /// Those that match.
    #[serde(default)]
    pub filter: Option<FilterIn>,
    /// Not served yet.
    #[serde(default)]
    pub shard_key: Unserved,
}

/// What became of a change.
#[derive(Debug, Serialize)]
pub struct UpdateResult {
    /// Its number in the order of the collection's changes.
    pub operation_id: u64,
    /// How far it is.
    pub status: UpdateStatus,
}

/// How far a change is.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UpdateStatus {
    /// Visible to every later call.
    Completed,
}

/// `POST …/points`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetrieveRequest {
    /// Which points; those that do not exist are left out.
    pub ids: Vec<PointId>,
    /// Absent: all of it.
    #[serde(default)]
    pub with_payload: Option<WithPayload>,
    /// Absent: no.
    #[serde(default)]
    pub with_vector: Option<WithVector>,
    /// Not served yet.
    #[serde(default)]
    pub shard_key: Unserved,
}

/// `POST …/points/scroll`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScrollRequest {
    /// The first id, inclusive.
    #[serde(default)]
    pub offset: Option<PointId>,
    /// Points on a page; absent: 10.
    #[serde(default)]
    pub limit: Option<usize>,
    /// Absent: all of it.
    #[serde(default)]
    pub with_payload: Option<WithPayload>,
    /// Absent: no.
    #[serde(default)]
    pub with_vector: Option<WithVector>,
    /// Those that match.
    #[serde(default)]
    pub filter: Option<FilterIn>,
    /// Not served yet.
    #[serde(default)]
    pub order_by: Unserved,
    /// Not served yet.
    #[serde(default)]
    pub shard_key: Unserved,
}

/// A page of points in the order of ids.
#[derive(Debug, Serialize)]
pub struct ScrollPage {
    /// The points.
    pub points: Vec<Record>,
    /// Where the next page starts; absent at the end.
    pub next_page_offset: Option<PointId>,
}

/// `POST …/points/count`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CountRequest {
    /// Whether an estimate will not do: the count is always exact.
    #[serde(default)]
    pub exact: Option<bool>,
    /// Those that match.
    #[serde(default)]
    pub filter: Option<FilterIn>,
    /// Not served yet.
    #[serde(default)]
    pub shard_key: Unserved,
}

/// Number of points.
#[derive(Debug, Serialize)]
pub struct Count {
    /// That many.
    pub count: usize,
}

/// A stored point, as far as it was asked for.
#[derive(Debug, Serialize)]
pub struct Record {
    /// Its id.
    pub id: PointId,
    /// Its payload, or the part that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Payload>,
    /// Its vector, as stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vector: Option<Vec<f32>>,
}

/// How much of the payload to return. Keys are paths: `a.b` is key `b` of the object at `a`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "a boolean, a list of keys, {\"include\": [keys]} or {\"exclude\": [keys]}")]
pub enum WithPayload {
    /// All or nothing.
    All(bool),
    /// Only these keys.
    Keys(Vec<String>),
    /// Only these keys.
    Include(IncludeKeys),
    /// All but these keys.
    Exclude(ExcludeKeys),
}

/// Keys to return.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IncludeKeys {
    /// The keys.
    pub include: Vec<String>,
}

/// Keys to leave out.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExcludeKeys {
    /// The keys.
    pub exclude: Vec<String>,
}

/// Whether to return the vector.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "a boolean or a list of vector names")]
pub enum WithVector {
    /// Yes or no.
    All(bool),
    /// Those of these names; only the default one, "", exists.
    Named(Vec<String>),
}
