//! Searching: each segment by a scan or its graph, and the nearest of all.

use std::cell::RefCell;

use super::{Collection, Found, Search};
use crate::ids::{PointId, Slot};
use crate::params::SearchParams;
use crate::query::{Hit, SearchError};
use crate::rows::VectorRef;
use crate::segment::matching::RowSet;
use crate::segment::{Buffers, Part};

thread_local! {
    /// A search's buffers stay with the thread, so that a search allocates only its answer.
    static BUFFERS: RefCell<(Buffers, Vec<Hit>)> = RefCell::default();
}

impl Collection {
    /// The nearest points, nearest first, ties by id. Exact if asked for; else each segment is searched by its graph, unless it has none
    /// or its vectors to be compared are at most [`Schema::full_scan_bytes`](super::Schema::full_scan_bytes). With a filter every point is
    /// asked whether it matches, and those that do are searched: `k` of them unless there are fewer. Errors if the vector does not fit
    /// the schema.
    pub fn search(&self, vector: &[f32], search: Search<'_>) -> Result<Vec<Found<'_>>, SearchError> {
        let query = VectorRef::from(vector);
        self.schema.vectors.check(query)?;
        BUFFERS.with_borrow_mut(|(buffers, hits)| {
            let mut nearest: Vec<(f32, PointId, &Part, Slot)> = Vec::new();
            for part in self.parts() {
                self.search_part(part, query, &search, buffers, hits)?;
                nearest
                    .extend(hits.iter().map(|hit| (hit.distance, part.segment.table.id(hit.slot.0), part, hit.slot)));
            }
            nearest.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            nearest.truncate(search.k);
            let metric = self.schema.vectors.metric();
            let found = nearest.into_iter();
            Ok(found
                .map(|(distance, _, part, row)| Found { point: part.view(row.0), score: metric.score(distance) })
                .collect())
        })
    }

    /// Puts the nearest rows of one part into `hits`.
    fn search_part(
        &self,
        part: &Part,
        query: VectorRef<'_>,
        search: &Search<'_>,
        buffers: &mut Buffers,
        hits: &mut Vec<Hit>,
    ) -> Result<(), SearchError> {
        hits.clear();
        let except = search.except.and_then(|id| part.row_of(&id.to_bytes())).map(Slot);
        let matching = search.filter.map(|filter| part.matching(filter));
        let is_candidate = |row: Slot| match &matching {
            Some(matching) => matching.contains(row),
            None => !part.dead.contains(row.0),
        };
        let candidates = matching.as_ref().map_or(part.dead.live(), RowSet::len);
        let k = search.k.min(candidates - usize::from(except.is_some_and(is_candidate)));
        if k == 0 {
            return Ok(());
        }
        let accept = |row: Slot| is_candidate(row) && Some(row) != except;
        let index = &part.segment.index;
        if search.exact || candidates * self.schema.row_bytes() <= self.schema.full_scan_bytes {
            index.exact(query, k, &accept, buffers, hits)
        } else {
            index.search(query, SearchParams::new(k, search.ef.min(candidates)), &accept, buffers, hits)
        }
    }
}
