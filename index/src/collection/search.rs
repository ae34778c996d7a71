//! Searching: each segment by a scan or its graph, and the nearest of all.

use std::cell::RefCell;

use super::{Collection, Depth, Found, IndexKind, Search};
use crate::choose::Layout;
use crate::filter::{Estimate, Filter};
use crate::ids::{PointId, Slot};
use crate::named::NamedVector;
use crate::params::{Effort, SearchParams};
use crate::planner::{Explain, Plan};
use crate::quant::nested::Bits;
use crate::query::{Hit, SearchError};
use crate::rows::VectorRef;
use crate::segment::{Buffers, Column, Part, Reach, Way};
use crate::sketch::Sketch;

thread_local! {
    /// A search's buffers stay with the thread, so that a search allocates only its answer.
    static BUFFERS: RefCell<(Buffers, Vec<Hit>)> = RefCell::default();
}

/// How one segment was searched, and why.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct SegmentExplain {
    /// What finds the near vectors there.
    pub kind: IndexKind,
    /// Why it is that, in words.
    pub reasons: Vec<String>,
    /// The part of the true neighbours that is to be expected: 1 of a scan, .997 of one over codes, and of a walk to a recall, without a filter, what was measured when the
    /// graph was built. Absent where nothing was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_recall: Option<f32>,
    /// How far the walk went; absent where there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depth: Option<Depth>,
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
    effort: Effort,
    bits: Option<Bits>,
    exact: bool,
    except: Option<PointId>,
}

impl Candidates<'_> {
    /// What a search for `k` of `live` rows of `column` is after.
    fn reach(&self, column: &Column, (k, within): (usize, f32), live: usize) -> Reach {
        Reach { k, depth: column.depth(k, self.effort).among(live), bits: self.bits, within }
    }
}

/// What was done in one part.
struct Done {
    /// Points that were asked by their payloads.
    asked: usize,
    /// What the walk was after, if there was one.
    reach: Option<Reach>,
    search: Explain,
}

impl From<Explain> for Done {
    /// Without a walk.
    fn from(search: Explain) -> Self {
        Done { asked: 0, reach: None, search }
    }
}

impl Collection {
    /// The nearest points, nearest first, ties by id; of those that have a vector of the name [`using`](Search::using). Exact if asked for; else each segment is searched by its graph, or where
    /// it has none by a scan, over codes if there are many rows, unless its vectors to be compared are so few that all are
    /// ([`Schema::full_scan_bytes`](super::Schema::full_scan_bytes)). With a filter, payload
    /// indexes say which points match, as far as they know; the others are asked, and the way to the nearest is chosen by what each
    /// costs: `k` of them unless there are fewer. Errors if the vector does not fit the schema, or no
    /// vector has that name.
    pub fn search(&self, vector: &[f32], search: Search<'_>) -> Result<Vec<Found<'_>>, SearchError> {
        self.search_parts(vector, search, &mut |_, _| ())
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
        let found = self.search_parts(vector, search, &mut |part, Done { asked, reach, search }| {
            let estimate = filter.as_ref().map(|filter| part.estimate(filter, &self.fields, &self.schema.vectors));
            let vector = self.schema.vectors.get(using).expect("a vector that was searched for");
            let column = part.segment.column(vector.number());
            let expected_recall = match (&filter, column, reach) {
                _ if search.is_by_codes() => Some(Sketch::EXPECTED_RECALL),
                _ if search.fell_back => Some(1.0),
                (_, _, None) | (_, None, _) => Some(1.0),
                (None, Some(column), Some(reach)) => column.expected_recall(reach),
                // Filters were not measured.
                (Some(_), ..) => None,
            };
            let kind = column.map_or(IndexKind::Flat, Column::kind);
            let reasons = column.map_or_else(Vec::new, |column| self.reasons(part, column, vector));
            let depth = reach.map(|reach| reach.depth);
            explained.push(SegmentExplain { kind, reasons, expected_recall, depth, estimate, asked, search });
        })?;
        Ok((found, explained))
    }

    /// Why a segment's vectors have the index they have.
    fn reasons(&self, part: &Part, column: &Column, vector: &NamedVector) -> Vec<String> {
        let rows = column.len(part.segment.table.len());
        let choice = self.schema.choose(vector.spec(), rows, || column.is_whole());
        let kind = match choice.layout {
            Layout::Flat => IndexKind::Flat,
            Layout::Hnsw => IndexKind::Hnsw,
            Layout::Rows => IndexKind::Quantized,
            Layout::Compact { .. } => IndexKind::Compact,
        };
        if kind == column.kind() {
            return choice.reasons().to_vec();
        }
        let when = if column.kind().is_graph() { "built when the choice was another" } else { "not merged yet" };
        [format!("{when}: the next merge makes it {}", choice.layout)]
            .into_iter()
            .chain(choice.reasons().to_vec())
            .collect()
    }

    fn search_parts(
        &self,
        vector: &[f32],
        search: Search<'_>,
        explain: &mut dyn FnMut(&Part, Done),
    ) -> Result<Vec<Found<'_>>, SearchError> {
        let query = VectorRef::from(vector);
        let Search { k, effort, bits, exact, except, filter, using } = search;
        let vectors = &self.schema.vectors;
        let vector = vectors.get(using).ok_or_else(|| SearchError::UnknownVector { name: using.into() })?;
        vector.spec().check(query)?;
        let filter = filter.map(|filter| filter.bound_to(&self.fields));
        let usual = self.schema.recall.map_or(Effort::Beam(SearchParams::DEFAULT_EF), Effort::Recall);
        let effort = effort.unwrap_or(usual);
        let wanted = Candidates { vector, filter, k, effort, bits, exact, except };
        BUFFERS.with_borrow_mut(|(buffers, hits)| {
            let mut nearest: Vec<(f32, PointId, &Part, Slot)> = Vec::new();
            let mut within = f32::INFINITY;
            for part in self.parts() {
                let done = match (part.segment.column(vector.number()), &wanted.filter) {
                    (Some(column), Some(filter)) => {
                        self.search_matching((part, column), (query, within), filter, &wanted, buffers, hits)?
                    }
                    (Some(column), None) => {
                        self.search_live((part, column), (query, within), &wanted, buffers, hits)?
                    }
                    (None, _) => {
                        hits.clear();
                        Explain::of(Plan::Nothing, 0, part.segment.table.len(), 0).into()
                    }
                };
                explain(part, done);
                nearest
                    .extend(hits.iter().map(|hit| (hit.distance, part.segment.table.id(hit.slot.0), part, hit.slot)));
                if nearest.len() >= k && !hits.is_empty() {
                    let (_, farthest, _) =
                        nearest.select_nth_unstable_by(k - 1, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                    within = farthest.0;
                    nearest.truncate(k);
                }
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

    /// Whether to compare `count` vectors one by one whatever graph or codes there are.
    fn is_small(&self, wanted: &Candidates<'_>, count: usize) -> bool {
        wanted.exact || count * wanted.vector.row_bytes() <= self.schema.compared_bytes()
    }

    /// Puts the nearest live rows of one part into `hits`; those within `within` at least.
    fn search_live(
        &self,
        (part, column): (&Part, &Column),
        (query, within): (VectorRef<'_>, f32),
        wanted: &Candidates<'_>,
        buffers: &mut Buffers,
        hits: &mut Vec<Hit>,
    ) -> Result<Done, SearchError> {
        hits.clear();
        let except = wanted.except.and_then(|id| part.row_of(&id.to_bytes())).filter(|&row| column.contains(row));
        let (rows, live) = (column.len(part.segment.table.len()), column.live(&part.dead));
        let k = wanted.k.min(live - usize::from(except.is_some()));
        if k == 0 {
            return Ok(Explain::of(Plan::Nothing, live, rows, 0).into());
        }
        let accept = |row: Slot| !part.dead.contains(row.0) && Some(row.0) != except;
        if self.is_small(wanted, live) {
            if live > rows / 2 {
                column.exact(query, k, &accept, buffers, hits)?;
                return Ok(Explain::of(Plan::Scan, live, rows, rows as u64).into());
            }
            // Most are dead: the others alone are compared.
            let mut mask = part.live();
            column.restrict(&mut mask);
            except.iter().for_each(|&row| mask.remove(Slot(row)));
            column.exact_among(query, k, &mask, buffers, hits)?;
            return Ok(Explain::of(Plan::Scan, live, rows, mask.len() as u64).into());
        }
        let reach = wanted.reach(column, (k, within), live);
        let Way { plan, estimates, distances, hops } = column.search(query, reach, &accept, buffers, hits)?;
        let search = Explain { estimates, hops, ..Explain::of(plan, live, rows, distances) };
        Ok(Done { asked: 0, reach: (plan == Plan::Walk).then_some(reach), search })
    }

    /// Puts the nearest rows of one part that match into `hits`; those within `within` at least.
    fn search_matching(
        &self,
        (part, column): (&Part, &Column),
        (query, within): (VectorRef<'_>, f32),
        filter: &Filter,
        wanted: &Candidates<'_>,
        buffers: &mut Buffers,
        hits: &mut Vec<Hit>,
    ) -> Result<Done, SearchError> {
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
            return Ok(Done { asked, ..Explain::of(Plan::Nothing, matching, rows, 0).into() });
        }
        if self.is_small(wanted, matching) {
            column.exact_among(query, k, &mask, buffers, hits)?;
            return Ok(Done { asked, ..Explain::of(Plan::Scan, matching, rows, matching as u64).into() });
        }
        let reach = wanted.reach(column, (k, within), matching);
        let search = column.search_masked(query, reach, &mask, buffers, hits)?;
        let walked = matches!(search.plan, Plan::Walk | Plan::Guided);
        Ok(Done { asked, reach: walked.then_some(reach), search })
    }
}
