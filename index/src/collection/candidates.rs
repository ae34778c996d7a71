//! [`Candidates`]: the rows of one segment that a search may find, and the way to the nearest of them.

use std::sync::Arc;

use crate::filter::Filter;
use crate::ids::{PointId, Slot};
use crate::mask::Mask;
use crate::named::NamedVector;
use crate::params::Effort;
use crate::planner::{Explain, Plan};
use crate::quant::nested::Bits;
use crate::query::{Hit, SearchError};
use crate::rows::VectorRef;
use crate::segment::{Buffers, Coded, Column, Joint, Part, Reach, Way};
use crate::sketch::{Eligible, Sketch};

use super::Collection;

/// What is searched for in every segment.
pub(super) struct Wanted<'a> {
    pub(super) query: VectorRef<'a>,
    pub(super) vector: &'a NamedVector,
    pub(super) filter: Option<Filter>,
    pub(super) k: usize,
    pub(super) effort: Effort,
    pub(super) bits: Option<Bits>,
    pub(super) exact: bool,
    pub(super) except: Option<PointId>,
}

impl Wanted<'_> {
    /// How many of the nearest say how far a search is to go, of all segments together.
    pub(super) fn width(&self) -> usize {
        match self.effort {
            Effort::Beam(ef) => ef.max(self.k),
            Effort::Recall(_) => self.k,
        }
    }

    /// The part of the true neighbours that a scan over codes is to find.
    pub(super) fn recall(&self) -> f32 {
        match self.effort {
            Effort::Recall(recall) => recall.get(),
            Effort::Beam(_) => Sketch::USUAL_RECALL,
        }
    }
}

/// Rows with a vector that may be found.
pub(super) struct Candidates<'a> {
    pub(super) part: &'a Part,
    pub(super) column: &'a Column,
    /// Points that payload indexes left to be asked by their payloads.
    pub(super) asked: usize,
    /// Those rows; none, without a filter, where they are all that live but `except`.
    mask: Option<Mask>,
    except: Option<u32>,
    pub(super) count: usize,
    /// To compare them one by one is cheap, or asked for.
    compared: bool,
}

impl Collection {
    /// The rows of `part` with a vector in `column` that may be found.
    pub(super) fn candidates<'a>(&self, part: &'a Part, column: &'a Column, wanted: &Wanted<'_>) -> Candidates<'a> {
        let except = wanted.except.and_then(|id| part.row_of(&id.to_bytes())).filter(|&row| column.contains(row));
        let (mut asked, mut mask) = (0, None);
        if let Some(filter) = &wanted.filter {
            let vectors = &self.schema.vectors;
            let answer = part.answer(filter, &self.fields, vectors);
            asked = answer.open().map_or(0, |open| open.len());
            let mut matching = answer.settle(|row| part.view(row.0, vectors).passes(filter));
            column.restrict(&mut matching);
            except.iter().for_each(|&row| matching.remove(Slot(row)));
            mask = Some(matching);
        }
        let live = || column.live(&part.dead) - usize::from(except.is_some());
        let count = mask.as_ref().map_or_else(live, Mask::len);
        let compared = wanted.exact || count * wanted.vector.row_bytes() <= self.schema.compared_bytes();
        Candidates { part, column, asked, mask, except, count, compared }
    }
}

impl<'a> Candidates<'a> {
    pub(super) fn accepts(&self, row: Slot) -> bool {
        match &self.mask {
            Some(mask) => mask.contains(row),
            None => !self.part.dead.contains(row.0) && Some(row.0) != self.except,
        }
    }

    /// Rows of the segment that have such a vector.
    pub(super) fn of(&self) -> usize {
        self.column.len(self.part.segment.table.len())
    }

    /// Whether they are to be [scanned](super::together::scan) over codes, with those of other segments, of which `joints` may have some.
    pub(super) fn is_coded(&self, wanted: &Wanted<'_>, joints: &[Arc<Joint>]) -> bool {
        let is_due = wanted.k.min(self.count) > 0 && !self.compared;
        is_due && (self.is_joined(wanted, joints) || self.coded(wanted, &|_| true).is_some())
    }

    /// Whether there is a graph that need not be walked, for one of `joints` has all that lives.
    fn is_joined(&self, wanted: &Wanted<'_>, joints: &[Arc<Joint>]) -> bool {
        let has_graph = self.column.kind().is_graph();
        has_graph && wanted.filter.is_none() && joints.iter().any(|joint| joint.holds(self.column))
    }

    /// Puts the nearest into `hits`, and says what a walk was after and what was done. The nearest of `known` rows elsewhere count in a walk
    /// already.
    pub(super) fn search(
        &self,
        wanted: &Wanted<'_>,
        known: usize,
        buffers: &mut Buffers,
        hits: &mut Vec<Hit>,
    ) -> Result<(Option<Reach>, Explain), SearchError> {
        hits.clear();
        let Candidates { column, ref mask, count, .. } = *self;
        let (query, k, rows) = (wanted.query, wanted.k.min(count), self.of());
        if k == 0 {
            return Ok((None, Explain::of(Plan::Nothing, count, rows, 0)));
        }
        // With a filter costs decide; else what has no graph and is too little for codes is compared.
        let is_leftover = mask.is_none() && column.scanned().is_some();
        if self.compared || is_leftover {
            let compared = self.compare((query, k), buffers, hits)?;
            return Ok((None, Explain::of(Plan::Scan, count, rows, compared as u64)));
        }
        if count < wanted.k {
            // All are wanted, however near those elsewhere are.
            buffers.begin();
        }
        let depth = column.depth(k, wanted.effort);
        let search = match mask {
            Some(mask) => {
                let reach = Reach { k, depth: depth.among(count), bits: wanted.bits };
                let search = column.search_masked(query, reach, mask, buffers, hits)?;
                (matches!(search.plan, Plan::Walk | Plan::Guided).then_some(reach), search)
            }
            None => {
                let reach =
                    Reach { k, depth: depth.past((rows - count).saturating_sub(known), rows, k), bits: wanted.bits };
                let way = column.search(query, reach, &|row| self.accepts(row), buffers, hits)?;
                let Way { plan, estimates, distances, hops } = way;
                let search = Explain { estimates, hops, ..Explain::of(plan, count, rows, distances) };
                ((plan == Plan::Walk).then_some(reach), search)
            }
        };
        Ok(search)
    }

    /// Compares them, and says how many rows that were.
    fn compare(
        &self,
        (query, k): (VectorRef<'_>, usize),
        buffers: &mut Buffers,
        hits: &mut Vec<Hit>,
    ) -> Result<usize, SearchError> {
        let column = self.column;
        match &self.mask {
            Some(mask) => column.exact_among(query, k, mask, buffers, hits)?,
            None if self.count > self.of() / 2 => {
                column.exact(query, k, &|row| self.accepts(row), buffers, hits)?;
                return Ok(self.of());
            }
            // Most are dead: the others alone are compared.
            None => {
                let mut mask = self.part.live();
                column.restrict(&mut mask);
                self.except.iter().for_each(|&row| mask.remove(Slot(row)));
                column.exact_among(query, k, &mask, buffers, hits)?;
            }
        }
        Ok(self.count)
    }

    /// They, for a scan over codes, if there is to be one; `accept` says of slots whether they are of them.
    pub(super) fn coded<'s>(&'s self, wanted: &Wanted<'_>, accept: &'s dyn Fn(Slot) -> bool) -> Option<Coded<'s>> {
        let mask = self.mask.as_ref().filter(|_| self.column.has_all_rows());
        let eligible = mask.map_or(Eligible::If(accept), Eligible::Of);
        self.column.scanned()?.coded(wanted.k.min(self.count), eligible, self.count)
    }
}
