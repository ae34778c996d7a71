//! Storing, removing, reading and counting points.

use std::sync::Arc;

use axum::extract::{Path, State};
use vicino_index::collection::{Change, Collection, Payload, Point, PointView};
use vicino_index::filter::Filter;
use vicino_index::{PointId, PointIdError};

use super::body::Body;
use super::envelope::{Answer, ApiResult};
use super::error::ApiError;
use super::inference;
use super::select::Selection;
use super::{App, change, read};
use crate::dto::{
    BatchIn, BatchVectors, Count, CountRequest, DeletePoints, DeleteVectors, FilterIn, Record, RetrieveRequest,
    ScrollPage, ScrollRequest, UpdateMode, UpdateResult, UpdateStatus, UpdateVectors, Upsert, VectorIn, VectorsIn,
};
use crate::store::Store;

/// Points in an answer, unless told otherwise.
pub(super) const DEFAULT_LIMIT: usize = 10;

pub(super) async fn upsert(
    State(app): State<App>,
    Path(name): Path<String>,
    Body(mut request): Body<Upsert>,
) -> ApiResult<UpdateResult> {
    let mode = request.update_mode.unwrap_or(UpdateMode::Upsert);
    let filter = request.update_filter.take().map(|FilterIn(filter)| filter);
    let Columns { ids, vectors, payloads } = columns(request)?;
    let vectors = inference::vectors(&app, &name, vectors).await?;
    let points = ids.into_iter().zip(vectors).zip(payloads);
    let points = points.map(|((id, vectors), payload)| Point { id, vectors, payload: payload.unwrap_or_default() });
    let points = points.collect();
    let wanted = match (mode, filter) {
        (UpdateMode::Upsert, None) => Change::Upsert(points),
        (UpdateMode::Upsert, Some(filter)) => Change::UpsertMatching(points, filter),
        (UpdateMode::InsertOnly, _) => Change::Insert(points),
        (UpdateMode::UpdateOnly, filter) => Change::Update(points, filter),
    };
    change(app.store, name, wanted).await.map(completed)
}

pub(super) async fn delete(
    State(store): State<Arc<Store>>,
    Path(name): Path<String>,
    Body(request): Body<DeletePoints>,
) -> ApiResult<UpdateResult> {
    let wanted = match which(request.points, request.filter)? {
        Which::Ids(ids) => Change::Delete(ids),
        Which::Matching(filter) => Change::DeleteMatching(filter),
    };
    change(store, name, wanted).await.map(completed)
}

pub(super) async fn update_vectors(
    State(app): State<App>,
    Path(name): Path<String>,
    Body(request): Body<UpdateVectors>,
) -> ApiResult<UpdateResult> {
    not_empty("points", request.points.len())?;
    let (ids, vectors): (Vec<PointId>, _) = request.points.into_iter().map(|point| (point.id, point.vector)).unzip();
    let points = ids.into_iter().zip(inference::vectors(&app, &name, vectors).await?).collect();
    let filter = request.update_filter.map(|FilterIn(filter)| filter);
    change(app.store, name, Change::UpdateVectors(points, filter)).await.map(completed)
}

pub(super) async fn delete_vectors(
    State(store): State<Arc<Store>>,
    Path(name): Path<String>,
    Body(request): Body<DeleteVectors>,
) -> ApiResult<UpdateResult> {
    not_empty("vector", request.vector.len())?;
    let wanted = match which(request.points, request.filter)? {
        Which::Ids(ids) => Change::DeleteVectors(ids, request.vector),
        Which::Matching(filter) => Change::DeleteVectorsMatching(filter, request.vector),
    };
    change(store, name, wanted).await.map(completed)
}

/// Checks a list that must not be empty.
fn not_empty(field: &'static str, len: usize) -> Result<(), ApiError> {
    match len {
        0 => Err(ApiError::Validation { field, problem: "an empty list, expected at least one".into() }),
        _ => Ok(()),
    }
}

/// The points that a change is about.
pub(super) enum Which {
    Ids(Vec<PointId>),
    Matching(Filter),
}

/// Reads `points` or `filter`, one of which must be given.
pub(super) fn which(points: Option<Vec<PointId>>, filter: Option<FilterIn>) -> Result<Which, ApiError> {
    match (points, filter) {
        (Some(points), None) => Ok(Which::Ids(points)),
        (None, Some(FilterIn(filter))) => Ok(Which::Matching(filter)),
        _ => Err(ApiError::Format("expected either `points`, a list of ids, or `filter`".into())),
    }
}

pub(super) async fn one(
    State(store): State<Arc<Store>>,
    Path((name, id)): Path<(String, String)>,
) -> ApiResult<Record> {
    let id = id.parse().map_err(|error: PointIdError| ApiError::WrongInput(error.to_string()))?;
    let all = Selection::everything();
    let record = read(store, name, move |collection| {
        collection.get(id).map(|point| all.record(point)).ok_or(ApiError::NoPoint(id))
    });
    record.await.map(Answer)
}

pub(super) async fn retrieve(
    State(store): State<Arc<Store>>,
    Path(name): Path<String>,
    Body(request): Body<RetrieveRequest>,
) -> ApiResult<Vec<Record>> {
    let wanted = Selection::new(request.with_payload, request.with_vector, true)?;
    let records = read(store, name, move |collection| {
        wanted.check(collection)?;
        Ok(request.ids.iter().filter_map(|&id| collection.get(id)).map(|point| wanted.record(point)).collect())
    });
    records.await.map(Answer)
}

pub(super) async fn scroll(
    State(store): State<Arc<Store>>,
    Path(name): Path<String>,
    Body(request): Body<ScrollRequest>,
) -> ApiResult<ScrollPage> {
    let wanted = Selection::new(request.with_payload, request.with_vector, true)?;
    let limit = positive("limit", request.limit)?.unwrap_or(DEFAULT_LIMIT);
    let filter = request.filter.map(|FilterIn(filter)| filter);
    let from = request.offset.unwrap_or(PointId::FIRST);
    let page = read(store, name, move |collection| {
        wanted.check(collection)?;
        let mut rest = in_id_order(collection, from, filter.as_ref());
        let points = rest.by_ref().take(limit).map(|point| wanted.record(point)).collect();
        Ok(ScrollPage { points, next_page_offset: rest.next().map(|point| point.id()) })
    });
    page.await.map(Answer)
}

/// Every point from id `from` on that matches, if there is a filter.
pub(super) fn in_id_order<'a>(
    collection: &'a Collection,
    from: PointId,
    filter: Option<&'a Filter>,
) -> Box<dyn Iterator<Item = PointView<'a>> + 'a> {
    match filter {
        None => Box::new(collection.scroll(from)),
        Some(filter) => Box::new(collection.matching(from, filter)),
    }
}

pub(super) async fn count(
    State(store): State<Arc<Store>>,
    Path(name): Path<String>,
    Body(request): Body<CountRequest>,
) -> ApiResult<Count> {
    let count = move |collection: &Collection| match &request.filter {
        Some(FilterIn(filter)) => collection.count(filter),
        None => collection.len(),
    };
    read(store, name, move |collection| Ok(Count { count: count(collection) })).await.map(Answer)
}

pub(super) fn completed(operation_id: u64) -> Answer<UpdateResult> {
    Answer(UpdateResult { operation_id, status: UpdateStatus::Completed })
}

/// A number that must not be 0, if it is given.
pub(super) fn positive(field: &'static str, number: Option<usize>) -> Result<Option<usize>, ApiError> {
    match number {
        Some(0) => Err(ApiError::Validation { field, problem: "value 0 invalid, must be 1 or larger".into() }),
        other => Ok(other),
    }
}

/// Points by column, as many of each.
struct Columns {
    ids: Vec<PointId>,
    vectors: Vec<VectorsIn>,
    payloads: Vec<Option<Payload>>,
}

fn columns(request: Upsert) -> Result<Columns, ApiError> {
    match (request.points, request.batch) {
        (Some(points), None) => {
            let rows = points.into_iter().map(|point| ((point.id, point.vector), point.payload));
            let ((ids, vectors), payloads) = rows.unzip();
            Ok(Columns { ids, vectors, payloads })
        }
        (None, Some(BatchIn { ids, vectors, payloads })) => {
            let rows = ids.len();
            let vectors = match vectors {
                BatchVectors::Points(vectors) => vectors,
                BatchVectors::Names(names) => by_point(names, rows)?,
            };
            let payloads = payloads.unwrap_or_else(|| vec![None; rows]);
            for (column, found) in [("vectors", vectors.len()), ("payloads", payloads.len())] {
                if found != rows {
                    let problem = format!("{rows} ids but {found} {column}");
                    return Err(ApiError::Validation { field: "batch", problem });
                }
            }
            Ok(Columns { ids, vectors, payloads })
        }
        _ => Err(ApiError::Format("expected either `points` or `batch`".into())),
    }
}

/// Vectors by name, one of each for every point, as the vectors of `points` points.
fn by_point(names: Vec<(String, Vec<VectorIn>)>, points: usize) -> Result<Vec<VectorsIn>, ApiError> {
    let mut rows = vec![VectorsIn(Vec::new()); points];
    for (name, vectors) in names {
        if vectors.len() != points {
            let problem = format!("{points} ids but {} vectors `{name}`", vectors.len());
            return Err(ApiError::Validation { field: "batch", problem });
        }
        rows.iter_mut().zip(vectors).for_each(|(row, vector)| row.0.push((name.clone(), vector)));
    }
    Ok(rows)
}
