//! Searching: each segment by a scan or its graph, and the nearest of all.

use std::cell::RefCell;

use super::{Collection, Found, IndexKind, Search};
use crate::filter::{Estimate, Filter};
use crate::ids::{PointId, Slot};
use crate::named::NamedVector;
use crate::params::SearchParams;
use crate::planner::{Explain, Plan};
use crate::query::{Hit, SearchError};
use crate::rows::VectorRef;
use crate::segment::{Buffers, Column, Part};

thread_local! {
    /// A search's buffers stay with the thread, so that a search allocates only its answer.
    static BUFFERS: RefCell<(Buffers, Vec<Hit>)> = RefCell::default();
}

/// How one segment was searched, and why.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct SegmentExplain {
    /// What finds the near vectors there.
    pub kind: IndexKind,
    /// How many of its points were expected to match, before any was looked at; absent without a filter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Estimate>,
    /// Points that payload indexes left to be asked by their payloads.
    pub asked: usize,
    /// What was chosen, what it was expected to take and what it did.
    #[serde(flatten)]
    pub search: Explain,
}

/// What is searched in one part.
struct Candidates<'a> {
    vector: &'a NamedVector,
    filter: Option<Filter>,
    k: usize,
    ef: usize,
    exact: bool,
    except: Option<PointId>,
}

impl Collection {
    /// The nearest points, nearest first, ties by id; of those that have a vector of the name [`using`](Search::using). Exact if asked for; else each segment is searched by its graph, unless it has none
    /// or its vectors to be compared are at most [`Schema::full_scan_bytes`](super::Schema::full_scan_bytes). With a filter, payload
    /// indexes say which points match, as far as they know; the others are asked, and the way to the nearest is chosen by what each
    /// costs: `k` of them unless there are fewer. Errors if the vector does not fit the schema, or no
    /// vector has that name.
    pub fn search(&self, vector: &[f32], search: Search<'_>) -> Result<Vec<Found<'_>>, SearchError> {
        self.search_parts(vector, search, &mut |_, _, _| ())
    }

    /// As [`search`](Collection::search), and how each segment was searched.
    pub fn search_explained(
        &self,
        vector: &[f32],
        search: Search<'_>,
    ) -> Result<(Vec<Found<'_>>, Vec<SegmentExplain>), SearchError> {
        let mut explained = Vec::new();
        let using = search.using;
        let filter = search.filter.map(|filter| filter.bound_to(&self.fields));
        let found = self.search_parts(vector, search, &mut |part, asked, search| {
            let estimate = filter.as_ref().map(|filter| part.estimate(filter, &self.fields, &self.schema.vectors));
            let vector = self.schema.vectors.get(using).expect("a vector that was searched for");
            let kind = part.segment.column(vector.number()).map_or(IndexKind::Flat, Column::kind);
            explained.push(SegmentExplain { kind, estimate, asked, search });
        })?;
        Ok((found, explained))
    }

    fn search_parts(
        &self,
        vector: &[f32],
        search: Search<'_>,
        explain: &mut dyn FnMut(&Part, usize, Explain),
    ) -> Result<Vec<Found<'_>>, SearchError> {
        let query = VectorRef::from(vector);
        let Search { k, ef, exact, except, filter, using } = search;
        let vectors = &self.schema.vectors;
        let vector = vectors.get(using).ok_or_else(|| SearchError::UnknownVector { name: using.into() })?;
        vector.spec().check(query)?;
        let filter = filter.map(|filter| filter.bound_to(&self.fields));
        let wanted = Candidates { vector, filter, k, ef, exact, except };
        BUFFERS.with_borrow_mut(|(buffers, hits)| {
            let mut nearest: Vec<(f32, PointId, &Part, Slot)> = Vec::new();
            for part in self.parts() {
                let (asked, done) = match (part.segment.column(vector.number()), &wanted.filter) {
                    (Some(column), Some(filter)) => {
                        self.search_matching((part, column), query, filter, &wanted, buffers, hits)?
                    }
                    (Some(column), None) => (0, self.search_live((part, column), query, &wanted, buffers, hits)?),
                    (None, _) => {
                        hits.clear();
                        (0, Explain::of(Plan::Nothing, 0, part.segment.table.len(), 0))
                    }
                };
                explain(part, asked, done);
                nearest
                    .extend(hits.iter().map(|hit| (hit.distance, part.segment.table.id(hit.slot.0), part, hit.slot)));
            }
            nearest.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            nearest.truncate(k);
            let metric = vector.spec().metric();
            let found = nearest.into_iter();
            Ok(found
                .map(|(distance, _, part, row)| Found {
                    point: part.view(row.0, vectors),
                    score: metric.score(distance),
                })
                .collect())
        })
    }

    /// Whether to compare `count` vectors one by one whatever graph there is.
    fn is_small(&self, wanted: &Candidates<'_>, count: usize) -> bool {
        wanted.exact || count * wanted.vector.row_bytes() <= self.schema.full_scan_bytes
    }

    /// Puts the nearest live rows of one part into `hits`.
    fn search_live(
        &self,
        (part, column): (&Part, &Column),
        query: VectorRef<'_>,
        wanted: &Candidates<'_>,
        buffers: &mut Buffers,
        hits: &mut Vec<Hit>,
    ) -> Result<Explain, SearchError> {
        hits.clear();
        let except = wanted.except.and_then(|id| part.row_of(&id.to_bytes())).filter(|&row| column.contains(row));
        let (rows, live) = (column.len(part.segment.table.len()), column.live(&part.dead));
        let k = wanted.k.min(live - usize::from(except.is_some()));
        if k == 0 {
            return Ok(Explain::of(Plan::Nothing, live, rows, 0));
        }
        let accept = |row: Slot| !part.dead.contains(row.0) && Some(row.0) != except;
        if self.is_small(wanted, live) || column.kind() == IndexKind::Flat {
            column.exact(query, k, &accept, buffers, hits)?;
            return Ok(Explain::of(Plan::Scan, live, rows, rows as u64));
        }
        let stats = column.search(query, SearchParams::new(k, wanted.ef.min(live)), &accept, buffers, hits)?;
        Ok(Explain { hops: stats.hops, ..Explain::of(Plan::Walk, live, rows, stats.distances) })
    }

    /// Puts the nearest rows of one part that match into `hits`; how many were asked by their payloads.
    fn search_matching(
        &self,
        (part, column): (&Part, &Column),
        query: VectorRef<'_>,
        filter: &Filter,
        wanted: &Candidates<'_>,
        buffers: &mut Buffers,
        hits: &mut Vec<Hit>,
    ) -> Result<(usize, Explain), SearchError> {
        hits.clear();
        let vectors = &self.schema.vectors;
        let answer = part.answer(filter, &self.fields, vectors);
        let asked = answer.open().map_or(0, |open| open.len());
        let mut mask = answer.settle(|row| part.view(row.0, vectors).passes(filter));
        column.restrict(&mut mask);
        if let Some(row) = wanted.except.and_then(|id| part.row_of(&id.to_bytes())) {
            mask.remove(Slot(row));
        }
        let (rows, matching) = (mask.rows(), mask.len());
        let k = wanted.k.min(matching);
        if k == 0 {
            return Ok((asked, Explain::of(Plan::Nothing, matching, rows, 0)));
        }
        let scan = Explain::of(Plan::Scan, matching, rows, matching as u64);
        if self.is_small(wanted, matching) {
            column.exact_among(query, k, &mask, buffers, hits)?;
            return Ok((asked, scan));
        }
        let params = SearchParams::new(k, wanted.ef.min(matching));
        Ok((asked, column.search_masked(query, params, &mask, buffers, hits)?.unwrap_or(scan)))
    }
}
