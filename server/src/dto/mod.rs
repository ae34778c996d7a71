//! The bodies of requests and answers, as Qdrant's REST API writes them (compatibility level [`QDRANT_VERSION`]).
//!
//! A field that Qdrant has and this server does not serve yet is an [`Unserved`]; a field that Qdrant does not have is refused by name, but
//! for `vicino_config`, `params.min_recall` and `params.bits`, which are our own. Nothing is ignored silently.

mod collection;
mod filter;
mod index;
mod layout;
mod model;
mod params;
mod point;
mod query;
mod snapshot;
mod unserved;
mod vector;

pub use collection::{
    CollectionConfig, CollectionDescription, CollectionInfo, CollectionList, CollectionParams, Compacted,
    CreateCollection, CreateVector, Datatype, Distance, Exists, HnswConfig, HnswInfo, OptimizerInfo, VectorParams,
};
pub use filter::{FilterIn, MAX_CONDITIONS, MAX_FILTER_DEPTH};
pub use index::{CreateIndex, FieldKind, FieldParams, FieldSchema, IndexInfo, TextInfo, TokenizerIn};
pub use layout::{
    BinaryEncoding, BinaryQuantization, LayoutName, QuantizationConfig, ScalarQuantization, ScalarType, VicinoConfig,
};
pub use model::{ModelDescription, ModelList};
pub use params::{CallParams, WriteOrdering};
pub use point::{
    BatchIn, BatchVectors, ClearPayload, Count, CountRequest, DeletePayload, DeletePoints, DeleteVectors, ExcludeKeys,
    IncludeKeys, PointIn, PointVectorsIn, Record, RetrieveRequest, ScrollPage, ScrollRequest, SetPayload, UpdateMode,
    UpdateResult, UpdateStatus, UpdateVectors, Upsert, VectorsOut, WithPayload, WithVector,
};
pub use query::{
    Explained, QuantizationSearch, QueryAnswer, QueryBatch, QueryRequest, ScoredPoint, SearchParamsIn, SearchRequest,
};
pub use snapshot::{RecoverSnapshot, SnapshotDescription, SnapshotPriority, UploadParams};
pub use unserved::Unserved;
pub use vector::{Document, NamedVector, QueryIn, SearchVector, VectorIn, VectorsIn};

/// The version of Qdrant's API that is spoken; clients compare it with their own.
pub const QDRANT_VERSION: &str = "1.19.0";
