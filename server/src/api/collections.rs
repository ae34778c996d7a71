//! Making, listing, describing and removing collections, and the vectors their points may have.

use std::sync::Arc;

use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Map, Value};
use vicino_index::collection::{Change, Collection, Schema, VectorSet};
use vicino_index::filter::IndexedField;
use vicino_index::{ElementType, HnswParams, LayoutPolicy, Recall, VectorSpec};

use super::body::Body;
use super::envelope::{Answer, ApiResult};
use super::error::ApiError;
use super::points::{completed, positive};
use super::{blocking, change, find};
use crate::dto::{
    CollectionConfig, CollectionDescription, CollectionInfo, CollectionList, CollectionParams, CreateCollection,
    CreateVector, Datatype, Exists, HnswConfig, HnswInfo, IndexInfo, LayoutName, OptimizerInfo, QuantizationConfig,
    UpdateResult, VectorParams, VicinoConfig,
};
use crate::store::{CollectionName, Store};

/// Where the schema's note keeps the vectors' settings as given.
const VECTORS: &str = "vectors";
/// And where it keeps those of quantization.
const QUANTIZATION: &str = "quantization_config";

pub(super) async fn list(State(store): State<Arc<Store>>) -> Answer<CollectionList> {
    let names = store.names().into_iter().map(|name| (name, None));
    let damaged = store.damaged().into_iter().map(|(name, why)| (name, Some(why)));
    let mut all: Vec<_> = names.chain(damaged).collect();
    all.sort();
    let describe = |(name, error): (CollectionName, _)| CollectionDescription { name: name.to_string(), error };
    Answer(CollectionList { collections: all.into_iter().map(describe).collect() })
}

pub(super) async fn exists(State(store): State<Arc<Store>>, Path(name): Path<String>) -> Answer<Exists> {
    Answer(Exists { exists: store.get(&name).is_some() || store.damage(&name).is_some() })
}

pub(super) async fn create(
    State(store): State<Arc<Store>>,
    Path(name): Path<String>,
    Body(request): Body<CreateCollection>,
) -> ApiResult<bool> {
    let name = CollectionName::new(&name)?;
    let schema = schema(request)?;
    blocking(move || match store.create(name.clone(), schema)? {
        true => Ok(Answer(true)),
        false => Err(ApiError::Exists(name.to_string())),
    })
    .await
}

pub(super) async fn remove(State(store): State<Arc<Store>>, Path(name): Path<String>) -> ApiResult<bool> {
    blocking(move || Ok(store.remove(&name)?)).await.map(Answer)
}

pub(super) async fn info(State(store): State<Arc<Store>>, Path(name): Path<String>) -> ApiResult<CollectionInfo> {
    let collection = find(&store, name)?;
    blocking(move || {
        let read_only = collection.read_only();
        Ok(Answer(CollectionInfo {
            status: if read_only.is_some() { "red" } else { "green" },
            ..describe(&collection.read())
        }))
    })
    .await
}

/// What a request to make a collection asks for.
pub(crate) fn schema(request: CreateCollection) -> Result<Schema, ApiError> {
    let copies = [
        ("shard_number", request.shard_number),
        ("replication_factor", request.replication_factor),
        ("write_consistency_factor", request.write_consistency_factor),
    ];
    if let Some((field, Some(found))) = copies.into_iter().find(|(_, found)| found.is_some_and(|found| found != 1)) {
        return Err(ApiError::Validation { field, problem: format!("value {found} is not supported yet, must be 1") });
    }
    let for_all = request.hnsw_config.unwrap_or_default();
    let mut note = Map::new();
    let (vectors, own): (VectorSet, OfVector) = match is_named(&request.vectors) {
        true => (named(&request.vectors)?, OfVector::default()),
        false => {
            let (spec, own) = vector(VECTORS, &request.vectors)?;
            note.insert(VECTORS.into(), request.vectors.into());
            (spec.into(), own)
        }
    };
    let for_vector = own.hnsw.unwrap_or_default();
    let m = for_vector.m.or(for_all.m).unwrap_or(HnswConfig::DEFAULT_M);
    let ef_construct = for_vector.ef_construct.or(for_all.ef_construct).unwrap_or(HnswConfig::DEFAULT_EF_CONSTRUCT);
    let threshold = for_vector.full_scan_threshold.or(for_all.full_scan_threshold);
    let for_all = request.quantization_config.as_ref().map(|given| quantization(QUANTIZATION, given)).transpose()?;
    note.extend(request.quantization_config.map(|given| (QUANTIZATION.into(), given.into())));
    let (layout, recall) = settings(request.vicino_config.unwrap_or_default(), own.quantization.or(for_all))?;
    Ok(Schema {
        hnsw: HnswParams::new(m, ef_construct),
        full_scan_bytes: threshold.map_or(Schema::DEFAULT_FULL_SCAN_BYTES, |kib| kib.saturating_mul(1024)),
        layout,
        recall,
        note,
        ..Schema::new(vectors)
    })
}

/// The layout of graphs that Qdrant's settings in `given`, which stand at `place`, ask for.
fn quantization(place: &str, given: &Map<String, Value>) -> Result<LayoutPolicy, ApiError> {
    let config = QuantizationConfig::deserialize(given);
    let config = config.map_err(|error| ApiError::Format(format!("{place}: {error}")))?;
    config.policy().map_err(|problem| ApiError::Format(format!("{place}: {problem}")))
}

/// The layout of graphs by our own settings and Qdrant's, and the recall of searches.
fn settings(own: VicinoConfig, quantization: Option<LayoutPolicy>) -> Result<(LayoutPolicy, Option<Recall>), ApiError> {
    let VicinoConfig { layout, bytes_per_vector, min_recall } = own;
    let problem = |field, problem: String| ApiError::Validation { field, problem };
    let recall = min_recall.map(Recall::new).transpose();
    let recall = recall.map_err(|error| problem("vicino_config.min_recall", error.to_string()))?;
    let bytes_per_vector = positive("vicino_config.bytes_per_vector", bytes_per_vector)?;
    let asked = (layout.is_some() || bytes_per_vector.is_some()).then(|| {
        let policy = layout.unwrap_or(LayoutName::Auto).policy(bytes_per_vector);
        policy.map_err(|words| problem("vicino_config.bytes_per_vector", words))
    });
    match (asked.transpose()?, quantization) {
        (Some(asked), Some(other)) if asked != other => {
            let words = "another layout in vicino_config than by quantization_config: expected one of them";
            Err(ApiError::WrongInput(words.into()))
        }
        (asked, other) => Ok((asked.or(other).unwrap_or_default(), recall)),
    }
}

/// Whether `given` has the settings of vectors by name, rather than those of the one that has none.
fn is_named(given: &Map<String, Value>) -> bool {
    given.values().all(Value::is_object)
}

/// Vectors by name, each with its settings as given.
fn named(given: &Map<String, Value>) -> Result<VectorSet, ApiError> {
    let vectors = given.iter().map(|(name, params)| {
        let params = params.as_object().expect("checked by whoever calls");
        Ok((name.as_str(), named_vector(&format!("{VECTORS}.{name}"), params)?, params.clone()))
    });
    Ok(VectorSet::named(vectors.collect::<Result<Vec<_>, ApiError>>()?)?)
}

/// What a vector with a name must be.
fn named_vector(place: &str, given: &Map<String, Value>) -> Result<VectorSpec, ApiError> {
    let (spec, own) = vector(place, given)?;
    let set = [(own.hnsw.is_some(), "hnsw_config"), (own.quantization.is_some(), QUANTIZATION)];
    match set.into_iter().find(|(is_set, _)| *is_set) {
        None => Ok(spec),
        Some((_, setting)) => Err(ApiError::unserved(&format!("{place}: {setting} of one of several vectors"))),
    }
}

/// Settings that a vector has for itself, and that go before the collection's.
#[derive(Default)]
struct OfVector {
    hnsw: Option<HnswConfig>,
    quantization: Option<LayoutPolicy>,
}

/// What a vector must be, and its own settings, by what is in `given`, which stands at `place`.
fn vector(place: &str, given: &Map<String, Value>) -> Result<(VectorSpec, OfVector), ApiError> {
    let params = VectorParams::deserialize(given).map_err(|error| ApiError::Format(format!("{place}: {error}")))?;
    let element = params.datatype.map_or(ElementType::F32, Datatype::element);
    let spec = VectorSpec::new(params.size, params.distance.metric(), element)?;
    let codes = params.quantization_config.as_ref();
    let codes = codes.map(|given| quantization(&format!("{place}.{QUANTIZATION}"), given)).transpose()?;
    Ok((spec, OfVector { hnsw: params.hnsw_config, quantization: codes }))
}

pub(super) async fn add_vector(
    State(store): State<Arc<Store>>,
    Path((collection, name)): Path<(String, String)>,
    Body(request): Body<CreateVector>,
) -> ApiResult<UpdateResult> {
    let spec = named_vector("dense", &request.dense)?;
    change(store, collection, Change::AddVector(name, spec, request.dense)).await.map(completed)
}

pub(super) async fn drop_vector(
    State(store): State<Arc<Store>>,
    Path((collection, name)): Path<(String, String)>,
) -> ApiResult<UpdateResult> {
    change(store, collection, Change::DropVector(name)).await.map(completed)
}

/// The settings of a collection's vectors, as given.
fn vectors_as_given(schema: &Schema) -> Value {
    match schema.vectors.is_named() {
        true => {
            let given = schema.vectors.iter().map(|vector| (vector.name().into(), vector.note().clone().into()));
            Value::Object(given.collect())
        }
        false => schema.note.get(VECTORS).cloned().unwrap_or_default(),
    }
}

fn describe(collection: &Collection) -> CollectionInfo {
    let (schema, segments) = (collection.schema(), collection.segments().collect::<Vec<_>>());
    let fields = collection.fields().iter();
    let index = |(field, points): (&IndexedField, usize)| (field.name().into(), IndexInfo::new(field.of(), points));
    CollectionInfo {
        status: "green",
        optimizer_status: "ok",
        indexed_vectors_count: segments.iter().map(|segment| segment.indexed).sum(),
        points_count: collection.len(),
        // The one that grows counts while it is empty, too.
        segments_count: segments.len().max(1),
        config: CollectionConfig {
            params: CollectionParams {
                vectors: vectors_as_given(schema),
                shard_number: 1,
                replication_factor: 1,
                write_consistency_factor: 1,
                on_disk_payload: false,
            },
            hnsw_config: HnswInfo {
                m: schema.hnsw.m,
                ef_construct: schema.hnsw.ef_construction,
                full_scan_threshold: schema.full_scan_bytes / 1024,
                max_indexing_threads: 0,
                on_disk: false,
            },
            optimizer_config: OptimizerInfo {
                deleted_threshold: Collection::MAX_DEAD_PERCENT as f64 / 100.0,
                vacuum_min_vector_number: 0,
                default_segment_number: 1,
                flush_interval_sec: 0,
            },
            wal_config: None,
            quantization_config: schema.note.get(QUANTIZATION).cloned(),
            vicino_config: VicinoConfig::of(schema.layout, schema.recall.map(Recall::get)),
        },
        payload_schema: fields.zip(collection.indexed_points()).map(index).collect(),
    }
}
