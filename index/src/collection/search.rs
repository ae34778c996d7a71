//! Searching: a segment by its graph, or by comparing where that is cheap, all others together over codes; and the nearest of all.
//!
//! Each step is the shorter the more is known of how near the nearest are, so what has the most rows comes first: graphs, the largest before
//! the others, and then the scan; or after a bulk load, while most rows wait for a graph, the scan and then the graphs, which share a beam
//! that begins with what the scan has compared.

use std::cell::RefCell;
use std::cmp::{Ordering, Reverse};

use super::candidates::Wanted;
use super::{Collection, Depth, Found, IndexKind, Search, together};
use crate::choose::Layout;
use crate::filter::Estimate;
use crate::ids::{PointId, Slot};
use crate::named::NamedVector;
use crate::params::{Effort, SearchParams};
use crate::planner::{Explain, Plan};
use crate::query::{Hit, SearchError};
use crate::rows::VectorRef;
use crate::segment::{Buffers, Column, Part, Reach};
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
    /// The part of the true neighbours that is to be expected: 1 of a scan, what was asked for of one over codes, at most .997, and of a walk to a recall, without a filter, what was measured when the
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

/// What was done in one part.
struct Done {
    /// Points that were asked by their payloads.
    asked: usize,
    /// What the walk was after, if there was one.
    reach: Option<Reach>,
    /// What is to be expected of a scan over codes.
    recall: f32,
    /// How many others were scanned by the same codes.
    others: usize,
    search: Explain,
}

/// The nearest so far of all parts.
struct Best<'a> {
    k: usize,
    found: Vec<(f32, PointId, &'a Part, Slot)>,
    /// Of the `k`-th; infinite while there are fewer.
    within: f32,
}

impl<'a> Best<'a> {
    fn of(k: usize) -> Self {
        Best { k, found: Vec::new(), within: f32::INFINITY }
    }

    /// Adds rows of `part`.
    fn extend(&mut self, part: &'a Part, hits: &[Hit]) {
        self.found.extend(hits.iter().map(|hit| (hit.distance, part.segment.table.id(hit.slot.0), part, hit.slot)));
        if self.found.len() >= self.k && !hits.is_empty() {
            let (_, farthest, _) = self.found.select_nth_unstable_by(self.k - 1, by_distance);
            self.within = farthest.0;
            self.found.truncate(self.k);
        }
    }

    /// Nearest first.
    fn into_sorted(mut self) -> Vec<(f32, PointId, &'a Part, Slot)> {
        self.found.sort_unstable_by(by_distance);
        self.found
    }
}

/// Nearest first, ties by id.
fn by_distance(a: &(f32, PointId, &Part, Slot), b: &(f32, PointId, &Part, Slot)) -> Ordering {
    a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))
}

impl Collection {
    /// The nearest points, nearest first, ties by id; of those that have a vector of the name [`using`](Search::using). Exact if asked for; else each segment is searched by its graph, or where
    /// it has none by a scan, over codes if there are many rows, unless its vectors to be compared are so few that all are
    /// ([`Schema::full_scan_bytes`](super::Schema::full_scan_bytes)). With a filter, payload
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
        let found = self.search_parts(vector, search, &mut |number, part, done| {
            let Done { asked, reach, recall, others, search } = done;
            let estimate = filter.as_ref().map(|filter| part.estimate(filter, &self.fields, &self.schema.vectors));
            let vector = self.schema.vectors.get(using).expect("a vector that was searched for");
            let column = part.segment.column(vector.number());
            let expected_recall = match (&filter, column, reach) {
                _ if search.is_by_codes() => Some(recall),
                _ if search.fell_back => Some(1.0),
                (_, _, None) | (_, None, _) => Some(1.0),
                (None, Some(column), Some(reach)) => column.expected_recall(reach),
                // Filters were not measured.
                (Some(_), ..) => None,
            };
            let kind = column.map_or(IndexKind::Flat, Column::kind);
            let mut reasons = column.map_or_else(Vec::new, |column| self.reasons(part, column, vector));
            if kind.is_graph() && search.plan == Plan::Coded && filter.is_none() {
                reasons.push("most of its vectors are dead: the others are scanned, and it is not walked".into());
            }
            if others > 0 {
                reasons.push(format!("scanned as one with {others} others: the first of them counts what was done"));
            }
            let depth = reach.map(|reach| reach.depth);
            let explain = SegmentExplain { kind, reasons, expected_recall, depth, estimate, asked, search };
            explained.push((number, explain));
        })?;
        explained.sort_unstable_by_key(|(number, _)| *number);
        Ok((found, explained.into_iter().map(|(_, explain)| explain).collect()))
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

    /// The segments with their numbers; those first whose vectors of this number have a graph, and the largest before the others.
    fn by_size(&self, vector: u32) -> Vec<(usize, &Part)> {
        let mut parts: Vec<(usize, &Part)> = self.parts().enumerate().collect();
        parts.sort_by_key(|(_, part)| {
            let has_graph = part.segment.column(vector).is_some_and(|column| column.kind().is_graph());
            (!has_graph, Reverse(part.dead.live()))
        });
        parts
    }

    fn search_parts(
        &self,
        vector: &[f32],
        search: Search<'_>,
        explain: &mut dyn FnMut(usize, &Part, Done),
    ) -> Result<Vec<Found<'_>>, SearchError> {
        let query = VectorRef::from(vector);
        let Search { k, effort, bits, exact, except, filter, using } = search;
        let vectors = &self.schema.vectors;
        let vector = vectors.get(using).ok_or_else(|| SearchError::UnknownVector { name: using.into() })?;
        vector.spec().check(query)?;
        let filter = filter.map(|filter| filter.bound_to(&self.fields));
        let usual = self.schema.recall.map_or(Effort::Beam(SearchParams::DEFAULT_EF), Effort::Recall);
        let wanted = Wanted { query, vector, filter, k, effort: effort.unwrap_or(usual), bits, exact, except };
        let mut best = Best::of(k);
        BUFFERS.with_borrow_mut(|buffers| self.find(&wanted, buffers, &mut best, explain))?;
        let metric = vector.spec().metric();
        let found = best.into_sorted().into_iter();
        Ok(found
            .map(|(distance, _, part, row)| Found { point: part.view(row.0, vectors), score: metric.score(distance) })
            .collect())
    }

    /// Searches all segments, and leaves the nearest of all in `best`.
    fn find<'a>(
        &'a self,
        wanted: &Wanted<'_>,
        (buffers, hits): &mut (Buffers, Vec<Hit>),
        best: &mut Best<'a>,
        explain: &mut dyn FnMut(usize, &Part, Done),
    ) -> Result<(), SearchError> {
        buffers.begin();
        let (mut scanned, mut rest) = (Vec::new(), Vec::new());
        for (number, part) in self.by_size(wanted.vector.number()) {
            let Some(column) = part.segment.column(wanted.vector.number()) else {
                let nothing = Explain::of(Plan::Nothing, 0, part.segment.table.len(), 0);
                explain(number, part, Done { asked: 0, reach: None, recall: 1.0, others: 0, search: nothing });
                continue;
            };
            let rows = self.candidates(part, column, wanted);
            if rows.is_coded(wanted, &self.joints) { &mut scanned } else { &mut rest }.push((number, rows));
        }
        // With a filter what matches may lie elsewhere than the rest, and walks are planned one by one.
        let count = |of: &[together::Numbered<'_>]| of.iter().map(|(_, rows)| rows.count).sum();
        let (of_scanned, of_rest): (usize, usize) = (count(&scanned), count(&rest));
        let scan_first = wanted.filter.is_none() && of_scanned > of_rest;
        for scan in [scan_first, !scan_first] {
            if scan {
                let (within, recall) = (best.within, wanted.recall().min(Sketch::EXPECTED_RECALL));
                let take = |(number, rows): &together::Numbered<'a>, (search, others), hits: &[Hit]| {
                    explain(*number, rows.part, Done { asked: rows.asked, reach: None, recall, others, search });
                    best.extend(rows.part, hits);
                };
                let kept = if scan_first && !rest.is_empty() { wanted.width() } else { 0 };
                together::scan(&scanned, &self.joints, wanted, (within, kept), buffers, take)?;
                if kept > 0 {
                    buffers.share_scanned();
                }
            } else {
                let known = if scan_first { of_scanned } else { 0 };
                for (number, rows) in &rest {
                    let (reach, search) = rows.search(wanted, known, buffers, hits)?;
                    let recall = wanted.recall().min(Sketch::EXPECTED_RECALL);
                    explain(*number, rows.part, Done { asked: rows.asked, reach, recall, others: 0, search });
                    best.extend(rows.part, hits);
                }
            }
        }
        Ok(())
    }
}
