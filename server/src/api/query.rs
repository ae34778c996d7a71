//! Searching.

use std::borrow::Cow;
use std::slice;
use std::sync::Arc;

use axum::extract::{Path, State};
use vicino_embed::TextKind;
use vicino_index::collection::{Collection, Found, PointView, Search};
use vicino_index::filter::Filter;
use vicino_index::{CodeBits, Effort, Metric, PointId, Recall, SearchParams};

use super::body::Body;
use super::envelope::{Answer, ApiResult};
use super::error::ApiError;
use super::inference::Text;
use super::points::{DEFAULT_LIMIT, in_id_order, positive};
use super::select::Selection;
use super::{App, inference, read};
use crate::dto::{
    Explained, FilterIn, QuantizationSearch, QueryAnswer, QueryBatch, QueryIn, QueryRequest, ScoredPoint,
    SearchParamsIn, SearchRequest,
};
use crate::store::Store;

pub(super) async fn query(
    State(app): State<App>,
    Path(name): Path<String>,
    Body(request): Body<QueryRequest>,
) -> ApiResult<QueryAnswer> {
    let mut plan = Plan::new(request)?;
    embed(&app, &name, slice::from_mut(&mut plan)).await?;
    read(app.store, name, move |collection| plan.run(collection)).await.map(|points| Answer(QueryAnswer { points }))
}

pub(super) async fn batch(
    State(app): State<App>,
    Path(name): Path<String>,
    Body(request): Body<QueryBatch>,
) -> ApiResult<Vec<QueryAnswer>> {
    let mut plans = request.searches.into_iter().map(Plan::new).collect::<Result<Vec<Plan>, ApiError>>()?;
    embed(&app, &name, &mut plans).await?;
    let answers = read(app.store, name, move |collection| {
        plans.iter().map(|plan| plan.run(collection).map(|points| QueryAnswer { points })).collect()
    });
    answers.await.map(Answer)
}

pub(super) async fn search(
    State(store): State<Arc<Store>>,
    Path(name): Path<String>,
    Body(request): Body<SearchRequest>,
) -> ApiResult<Vec<ScoredPoint>> {
    let plan = Plan::new(request.into())?;
    read(store, name, move |collection| plan.run(collection)).await.map(Answer)
}

/// How a query is answered, segment by segment, and the answer.
pub(super) async fn explain(
    State(app): State<App>,
    Path(name): Path<String>,
    Body(request): Body<QueryRequest>,
) -> ApiResult<Explained> {
    let mut plan = Plan::new(request)?;
    embed(&app, &name, slice::from_mut(&mut plan)).await?;
    read(app.store, name, move |collection| plan.explain(collection)).await.map(Answer)
}

/// Puts vectors in the place of the texts that `plans` ask with.
async fn embed(app: &App, collection: &str, plans: &mut [Plan]) -> Result<(), ApiError> {
    let (mut texts, mut places) = (Vec::new(), Vec::new());
    for (at, plan) in plans.iter_mut().enumerate() {
        if let Some(QueryIn::Document(document)) = plan.query.take_if(|query| matches!(query, QueryIn::Document(_))) {
            texts.push(Text { document, vector: plan.using.clone() });
            places.push(at);
        }
    }
    let vectors = inference::embed(app, collection, texts, TextKind::Query).await?;
    for (at, vector) in places.into_iter().zip(vectors) {
        plans[at].query = Some(QueryIn::Vector(vector));
    }
    Ok(())
}

/// Times as many results found on codes as asked for, at most.
const MAX_OVERSAMPLING: f64 = 100.0;

/// A vector, and how it is searched for.
type Asked<'a> = (Cow<'a, [f32]>, Search<'a>);

/// How far walks look, checked.
struct Look {
    effort: Option<Effort>,
    bits: Option<CodeBits>,
    oversampling: Option<f64>,
}

impl Look {
    fn new(params: SearchParamsIn) -> Result<Self, ApiError> {
        let ef = positive("params.hnsw_ef", params.hnsw_ef)?;
        let QuantizationSearch { rescore, oversampling, .. } = params.quantization.unwrap_or_default();
        if rescore == Some(false) {
            return Err(ApiError::unserved("params.quantization.rescore: results that are not scored on vectors"));
        }
        if let Some(found) = oversampling.filter(|times| !(1.0..=MAX_OVERSAMPLING).contains(times)) {
            let problem = format!("value {found} invalid, must be from 1 to {MAX_OVERSAMPLING}");
            return Err(ApiError::Validation { field: "params.quantization.oversampling", problem });
        }
        let recall = params.min_recall.map(Recall::new).transpose();
        let recall =
            recall.map_err(|error| ApiError::Validation { field: "params.min_recall", problem: error.to_string() })?;
        if recall.is_some() && (ef.is_some() || oversampling.is_some()) {
            let also = if ef.is_some() { "params.hnsw_ef" } else { "params.quantization.oversampling" };
            return Err(ApiError::WrongInput(format!("params.min_recall beside {also}: expected one of them")));
        }
        let bits = match params.bits {
            None => None,
            Some(2) => Some(CodeBits::Two),
            Some(4) => Some(CodeBits::Four),
            Some(8) => Some(CodeBits::Eight),
            Some(found) => {
                let problem = format!("value {found} invalid, must be 2, 4 or 8");
                return Err(ApiError::Validation { field: "params.bits", problem });
            }
        };
        Ok(Look { effort: recall.map(Effort::Recall).or(ef.map(Effort::Beam)), bits, oversampling })
    }

    /// How far a search for `k` goes; none: as the collection's do.
    fn effort(&self, k: usize) -> Option<Effort> {
        let Some(times) = self.oversampling else { return self.effort };
        let ef = if let Some(Effort::Beam(ef)) = self.effort { ef } else { SearchParams::DEFAULT_EF };
        Some(Effort::Beam(ef.max((k as f64 * times).ceil() as usize)))
    }
}

/// A query, checked.
struct Plan {
    query: Option<QueryIn>,
    using: String,
    limit: usize,
    offset: usize,
    look: Look,
    exact: bool,
    threshold: Option<f32>,
    filter: Option<Filter>,
    wanted: Selection,
}

impl Plan {
    fn new(request: QueryRequest) -> Result<Self, ApiError> {
        if request.query.is_none() && request.score_threshold.is_some() {
            return Err(ApiError::WrongInput("score_threshold without a query: expected `query`".into()));
        }
        let params = request.params.unwrap_or_default();
        Ok(Plan {
            query: request.query,
            using: request.using.unwrap_or_default(),
            limit: positive("limit", request.limit)?.unwrap_or(DEFAULT_LIMIT),
            offset: request.offset.unwrap_or(0),
            exact: params.exact.unwrap_or(false),
            look: Look::new(params)?,
            threshold: request.score_threshold,
            filter: request.filter.map(|FilterIn(filter)| filter),
            wanted: Selection::new(request.with_payload, request.with_vector, false)?,
        })
    }

    fn run(&self, collection: &Collection) -> Result<Vec<ScoredPoint>, ApiError> {
        match self.search(collection)? {
            None => Ok(self.in_id_order(collection)),
            Some((vector, search)) => Ok(self.scored_all(collection, collection.search(&vector, search)?)),
        }
    }

    fn explain(&self, collection: &Collection) -> Result<Explained, ApiError> {
        let Some((vector, search)) = self.search(collection)? else {
            return Err(ApiError::WrongInput("nothing is searched: expected `query`".into()));
        };
        let (found, segments) = collection.search_explained(&vector, search)?;
        let recalls: Option<Vec<f32>> = segments.iter().map(|segment| segment.expected_recall).collect();
        let expected_recall = recalls.map(|recalls| recalls.into_iter().fold(1.0, f32::min));
        Ok(Explained { points: self.scored_all(collection, found), expected_recall, segments })
    }

    /// What is searched for, and how; none without a query.
    fn search(&self, collection: &Collection) -> Result<Option<Asked<'_>>, ApiError> {
        self.wanted.check(collection)?;
        let using = self.using.as_str();
        if !using.is_empty() && collection.schema().vectors.get(using).is_none() {
            return Err(ApiError::NoVector(self.using.clone()));
        }
        let (vector, except) = match &self.query {
            None => return Ok(None),
            Some(QueryIn::Vector(vector)) => (Cow::Borrowed(vector.as_slice()), None),
            Some(QueryIn::Document(_)) => unreachable!("`embed` has put its vector in its place"),
            Some(QueryIn::Point(id)) => {
                let point = collection.get(*id).ok_or(ApiError::NoPoint(*id))?;
                let vector = point.vector(using).ok_or_else(|| match using {
                    "" => ApiError::NoVector(String::new()),
                    _ => ApiError::WrongInput(format!("point {id} has no vector `{using}` to search with")),
                });
                (Cow::Owned(vector?), Some(*id))
            }
        };
        let k = self.limit.saturating_add(self.offset);
        let (effort, bits) = (self.look.effort(k), self.look.bits);
        let filter = self.filter.as_ref();
        Ok(Some((vector, Search { k, effort, bits, exact: self.exact, except, filter, using })))
    }

    fn scored_all(&self, collection: &Collection, found: Vec<Found<'_>>) -> Vec<ScoredPoint> {
        let metric = collection.schema().vectors.metric(&self.using);
        let larger_is_nearer = metric.is_some_and(Metric::larger_is_nearer);
        let good_enough = |score: f32| match self.threshold {
            None => true,
            Some(threshold) => {
                if larger_is_nearer {
                    score >= threshold
                } else {
                    score <= threshold
                }
            }
        };
        let wanted = found.into_iter().skip(self.offset).filter(|found| good_enough(found.score));
        wanted.map(|found| self.scored(found.point, found.score)).collect()
    }

    /// Without a query there is no nearness: points come by id, each with score 0.
    fn in_id_order(&self, collection: &Collection) -> Vec<ScoredPoint> {
        let points = in_id_order(collection, PointId::FIRST, self.filter.as_ref()).skip(self.offset).take(self.limit);
        points.map(|point| self.scored(point, 0.0)).collect()
    }

    fn scored(&self, point: PointView<'_>, score: f32) -> ScoredPoint {
        let (payload, vector) = (self.wanted.payload(point), self.wanted.vectors(point));
        ScoredPoint { id: point.id(), version: point.version(), score, payload, vector }
    }
}
