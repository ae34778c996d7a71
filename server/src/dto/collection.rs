//! Bodies that make and describe collections.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use vicino_index::collection::Usage;
use vicino_index::{ElementType, HnswParams, Metric};

use super::{IndexInfo, Unserved, VicinoConfig};

/// `PUT /collections/{name}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateCollection {
    /// [`VectorParams`], or a map of them by name; kept as given, since clients compare what comes back with what they sent. Absent: named
    /// vectors, of which there are none until some are added.
    #[serde(default)]
    pub vectors: Map<String, Value>,
    /// How graphs are built.
    #[serde(default)]
    pub hnsw_config: Option<HnswConfig>,
    /// Served: 1.
    #[serde(default)]
    pub shard_number: Option<u32>,
    /// Served: 1.
    #[serde(default)]
    pub replication_factor: Option<u32>,
    /// Served: 1.
    #[serde(default)]
    pub write_consistency_factor: Option<u32>,
    /// Not served yet.
    #[serde(default)]
    pub sharding_method: Unserved,
    /// Not served yet: payloads are kept in memory.
    #[serde(default)]
    pub on_disk_payload: Unserved,
    /// Not served yet.
    #[serde(default)]
    pub payload: Unserved,
    /// Not served yet.
    #[serde(default)]
    pub id_tracker: Unserved,
    /// Not served yet.
    #[serde(default)]
    pub wal_config: Unserved,
    /// Not served yet.
    #[serde(default)]
    pub optimizers_config: Unserved,
    /// [`QuantizationConfig`](super::QuantizationConfig), kept as given.
    #[serde(default)]
    pub quantization_config: Option<Map<String, Value>>,
    /// Settings of our own.
    #[serde(default)]
    pub vicino_config: Option<VicinoConfig>,
    /// Not served yet.
    #[serde(default)]
    pub sparse_vectors: Unserved,
    /// Not served yet.
    #[serde(default)]
    pub strict_mode_config: Unserved,
    /// Not served yet.
    #[serde(default)]
    pub metadata: Unserved,
}

/// What the vectors of a collection are.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VectorParams {
    /// Coordinates per vector.
    pub size: usize,
    /// How vectors are compared.
    pub distance: Distance,
    /// How a coordinate is stored; by default as a 32-bit float.
    #[serde(default)]
    pub datatype: Option<Datatype>,
    /// How the graph is built; goes before the collection's setting. Not served yet for vectors with names.
    #[serde(default)]
    pub hnsw_config: Option<HnswConfig>,
    /// Not served yet: vectors are kept in memory.
    #[serde(default)]
    pub on_disk: Unserved,
    /// Not served yet.
    #[serde(default)]
    pub memory: Unserved,
    /// [`QuantizationConfig`](super::QuantizationConfig); goes before the collection's setting. Not served yet for vectors with names.
    #[serde(default)]
    pub quantization_config: Option<Map<String, Value>>,
    /// Not served yet.
    #[serde(default)]
    pub multivector_config: Unserved,
}

/// `PUT /collections/{name}/vectors/{vector}`: points may have this vector, too.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateVector {
    /// What it is: [`VectorParams`], kept as given.
    pub dense: Map<String, Value>,
    /// Not served yet.
    #[serde(default)]
    pub sparse: Unserved,
}

/// The metrics, by Qdrant's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Distance {
    /// Cosine similarity.
    Cosine,
    /// Euclidean distance.
    Euclid,
    /// Inner product.
    Dot,
    /// Sum of absolute differences.
    Manhattan,
}

impl Distance {
    /// The metric of this name.
    pub fn metric(self) -> Metric {
        match self {
            Distance::Cosine => Metric::Cosine,
            Distance::Euclid => Metric::L2,
            Distance::Dot => Metric::Dot,
            Distance::Manhattan => Metric::L1,
        }
    }

    /// The name of `metric`; Hamming has none.
    pub fn of(metric: Metric) -> Option<Self> {
        match metric {
            Metric::Cosine => Some(Distance::Cosine),
            Metric::L2 => Some(Distance::Euclid),
            Metric::Dot => Some(Distance::Dot),
            Metric::L1 => Some(Distance::Manhattan),
            Metric::Hamming => None,
        }
    }
}

/// The element types, by Qdrant's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Datatype {
    /// 32-bit float.
    Float32,
    /// 16-bit float.
    Float16,
    /// Unsigned byte.
    Uint8,
}

impl Datatype {
    /// The element type of this name.
    pub fn element(self) -> ElementType {
        match self {
            Datatype::Float32 => ElementType::F32,
            Datatype::Float16 => ElementType::F16,
            Datatype::Uint8 => ElementType::U8,
        }
    }
}

/// Settings of a graph; what is absent keeps its default.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HnswConfig {
    /// Links per node.
    #[serde(default)]
    pub m: Option<usize>,
    /// Beam width while building.
    #[serde(default)]
    pub ef_construct: Option<usize>,
    /// KiB of vectors up to which a segment gets no graph, and a search compares all of them if this is not the default; see
    /// [`Schema`](vicino_index::collection::Schema::full_scan_bytes).
    #[serde(default)]
    pub full_scan_threshold: Option<usize>,
    /// Not served yet: all cores are used.
    #[serde(default)]
    pub max_indexing_threads: Unserved,
    /// Not served yet: graphs are kept in memory.
    #[serde(default)]
    pub on_disk: Unserved,
    /// Not served yet.
    #[serde(default)]
    pub memory: Unserved,
    /// Not served yet.
    #[serde(default)]
    pub payload_m: Unserved,
    /// Not served yet.
    #[serde(default)]
    pub inline_storage: Unserved,
}

impl HnswConfig {
    /// The default [`m`](HnswConfig::m).
    pub const DEFAULT_M: usize = HnswParams::DEFAULT_M;
    /// The default [`ef_construct`](HnswConfig::ef_construct), as Qdrant has it.
    pub const DEFAULT_EF_CONSTRUCT: usize = 100;
}

/// `GET /collections/{name}/exists`.
#[derive(Debug, Serialize)]
pub struct Exists {
    /// Whether it does.
    pub exists: bool,
}

/// `GET /collections`.
#[derive(Debug, Serialize)]
pub struct CollectionList {
    /// By name.
    pub collections: Vec<CollectionDescription>,
}

/// A collection in a list.
#[derive(Debug, Serialize)]
pub struct CollectionDescription {
    /// Its name.
    pub name: String,
    /// Why it cannot be opened, if it cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// `GET /collections/{name}`.
#[derive(Debug, Serialize)]
pub struct CollectionInfo {
    /// `green`: updates are finished before they are answered. `red`: they are refused since the disk failed.
    pub status: &'static str,
    /// `ok`: there is no background work that could fail.
    pub optimizer_status: &'static str,
    /// Points whose vectors are in the graph: all.
    pub indexed_vectors_count: usize,
    /// Points stored.
    pub points_count: usize,
    /// Graphs: one.
    pub segments_count: usize,
    /// What the collection was made with.
    pub config: CollectionConfig,
    /// Indexed payload fields.
    pub payload_schema: BTreeMap<String, IndexInfo>,
}

/// What a collection was made with.
#[derive(Debug, Serialize)]
pub struct CollectionConfig {
    /// Its vectors and their place.
    pub params: CollectionParams,
    /// Its graph.
    pub hnsw_config: HnswInfo,
    /// Required by clients; nothing is optimised in the background.
    pub optimizer_config: OptimizerInfo,
    /// Settings of Qdrant's write-ahead log, of which ours has none.
    pub wal_config: Option<Value>,
    /// As given when the collection was made.
    pub quantization_config: Option<Value>,
    /// Settings of our own, if any is another than by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vicino_config: Option<VicinoConfig>,
}

/// The vectors of a collection and their place.
#[derive(Debug, Serialize)]
pub struct CollectionParams {
    /// As given when the collection was made.
    pub vectors: Value,
    /// One.
    pub shard_number: u32,
    /// One.
    pub replication_factor: u32,
    /// One.
    pub write_consistency_factor: u32,
    /// Payloads are kept in memory.
    pub on_disk_payload: bool,
}

/// The settings of a collection's graph.
#[derive(Debug, Serialize)]
pub struct HnswInfo {
    /// Links per node.
    pub m: usize,
    /// Beam width while building.
    pub ef_construct: usize,
    /// KiB of vectors up to which a segment gets no graph, and a search compares all of them if this is not the default; see
    /// [`Schema`](vicino_index::collection::Schema::full_scan_bytes).
    pub full_scan_threshold: usize,
    /// 0: as many as there are cores.
    pub max_indexing_threads: usize,
    /// Graphs are kept in memory.
    pub on_disk: bool,
}

/// Settings of background work, which there is not.
#[derive(Debug, Serialize)]
pub struct OptimizerInfo {
    /// Share of dead rows above which the graph is built anew.
    pub deleted_threshold: f64,
    /// Rows below which that does not happen.
    pub vacuum_min_vector_number: usize,
    /// Graphs per collection.
    pub default_segment_number: usize,
    /// Seconds between flushes; 0: a change is flushed before it is answered, or as `--sync` says.
    pub flush_interval_sec: u64,
}

/// What giving room back did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compacted {
    /// What the collection took.
    pub before: Usage,
    /// What it takes now.
    pub after: Usage,
}
