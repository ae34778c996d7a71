//! Bodies that store, delete, read and count points.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use vicino_index::PointId;
use vicino_index::collection::{Payload, PointVectors, PointView};

use super::{FilterIn, Unserved, VectorIn, VectorsIn};

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
    /// Its vectors.
    pub vector: VectorsIn,
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
    /// `[points]`; or by name, `[points]` under each.
    pub vectors: BatchVectors,
    /// `[points]`, or absent.
    #[serde(default)]
    pub payloads: Option<Vec<Option<Payload>>>,
}

/// The vectors of several points.
#[derive(Debug, Clone)]
pub enum BatchVectors {
    /// Point by point.
    Points(Vec<VectorsIn>),
    /// Name by name, for each point one.
    Names(Vec<(String, Vec<VectorIn>)>),
}

impl<'de> Deserialize<'de> for BatchVectors {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PointsOrNames)
    }
}

struct PointsOrNames;

impl<'de> Visitor<'de> for PointsOrNames {
    type Value = BatchVectors;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of vectors, or a map of such lists by name")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<BatchVectors, A::Error> {
        let mut points = Vec::new();
        while let Some(vectors) = seq.next_element()? {
            points.push(vectors);
        }
        Ok(BatchVectors::Points(points))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<BatchVectors, A::Error> {
        let mut names = Vec::new();
        while let Some(entry) = map.next_entry()? {
            names.push(entry);
        }
        Ok(BatchVectors::Names(names))
    }
}

/// `PUT …/points/vectors`: these points get these vectors; others of theirs stay.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateVectors {
    /// The points, all of which must exist.
    pub points: Vec<PointVectorsIn>,
    /// Of these points those that match, as they are.
    #[serde(default)]
    pub update_filter: Option<FilterIn>,
    /// Not served yet.
    #[serde(default)]
    pub shard_key: Unserved,
}

/// New vectors of one point.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PointVectorsIn {
    /// Its id.
    pub id: PointId,
    /// The vectors.
    pub vector: VectorsIn,
}

/// `POST …/points/vectors/delete`: vectors of these names go.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeleteVectors {
    /// The names.
    pub vector: Vec<String>,
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
    /// Its vectors, as stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vector: Option<VectorsOut>,
}

/// The vectors of a point, as clients get them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum VectorsOut {
    /// The one without a name.
    One(Vec<f32>),
    /// By name.
    Named(BTreeMap<String, Vec<f32>>),
}

impl From<VectorsOut> for PointVectors {
    fn from(vectors: VectorsOut) -> Self {
        match vectors {
            VectorsOut::One(vector) => vector.into(),
            VectorsOut::Named(vectors) => vectors.into_iter().collect(),
        }
    }
}

impl VectorsOut {
    /// Those vectors of `point` whose names are `wanted`; none if the only one, which has no name, is not.
    pub fn of(point: PointView<'_>, wanted: impl Fn(&str) -> bool) -> Option<Self> {
        match point.has_vector("") {
            true => point.vector("").filter(|_| wanted("")).map(VectorsOut::One),
            false => {
                let vectors = point.vectors().into_iter().filter(|(name, _)| wanted(name));
                Some(VectorsOut::Named(vectors.collect()))
            }
        }
    }
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
    /// Those of these names; "" is the one without a name.
    Named(Vec<String>),
}
