//! Which segments without a graph are scanned as one: [`Joint`]s of a collection.
//!
//! While points come faster than graphs are built, segments wait for theirs; and of what grows there are many, each too small for cells of
//! its own. As soon as [`FEWEST`] of them are scanned one by one, or there is a joint that is not much larger than they are, they are put
//! together, with all such joints: each joint has then more than eight times the rows of the next, so there are few, and a row is sketched
//! again only when its joint grows by an eighth or more. Sealed segments and growing ones, which are to go soon, are put together apart.
//!
//! After a flood of changes most rows of a graph may be dead, while what has replaced them is scanned. Then those that live are put together
//! with what is scanned, and the graph is walked no more, but for filters.

use std::sync::Arc;

use super::Collection;
use super::apply::is_full;
use super::shared::Shared;
use crate::ids::Slot;
use crate::named::NamedVector;
use crate::params::BuildOptions;
use crate::segment::{Column, Entrant, IndexKind, Joint, Part};
use crate::sketch::Sketch;
use crate::spec::VectorSpec;

/// Columns that are worth being put together, where there is no joint for them.
const FEWEST: usize = 2;

/// A joint takes part in the next if it has no more than so many times the rows that are put to it.
const LARGER: usize = 8;

/// A joint is of use while it has no more than so many times the rows that are still there.
const GONE: usize = 2;

/// A graph is sparse if it has at least so many times the vectors that live.
const SPARSE: usize = 2;

/// A column of a vector, with its segment.
type Place<'a> = (&'a Part, &'a Arc<Column>);

impl Collection {
    /// What is to be put together next, all of one vector; none if that is not worth it.
    pub(super) fn joint_due(&self) -> Option<(VectorSpec, Vec<Entrant>)> {
        self.schema.vectors.iter().find_map(|vector| self.joint_due_of(vector))
    }

    fn joint_due_of(&self, vector: &NamedVector) -> Option<(VectorSpec, Vec<Entrant>)> {
        let growing = self.growing.iter().filter(|part| is_full(&part.segment));
        let groups: [Vec<&Part>; 2] = [self.sealed.iter().collect(), self.frozen.iter().chain(growing).collect()];
        groups.iter().find_map(|parts| self.joint_due_among(parts, vector))
    }

    /// Of `parts`.
    fn joint_due_among(&self, parts: &[&Part], vector: &NamedVector) -> Option<(VectorSpec, Vec<Entrant>)> {
        let columns = parts.iter().map(|part| (*part, part.segment.shared_column(vector.number())));
        let places: Vec<Place<'_>> = columns.filter_map(|(part, column)| Some((part, column?))).collect();
        let scanned: Vec<_> = places.iter().copied().filter(|(_, column)| column.is_sketched()).collect();
        let sparse = self.sparse_among(&places, rows(&scanned));
        let is_loose = |(_, column): &Place<'_>| !self.joints.iter().any(|joint| joint.holds(column));
        let loose = |places: &[Place<'_>]| places.iter().filter(|place| is_loose(place)).count();
        let mut is_due = loose(&scanned) >= FEWEST || loose(&sparse) > 0;
        let may_be: Vec<Place<'_>> = scanned.into_iter().chain(sparse).collect();
        let mut chosen: Vec<_> = may_be.iter().copied().filter(is_loose).collect();
        let of = |joint: &Joint| may_be.iter().copied().filter(|(_, column)| joint.holds(column)).collect::<Vec<_>>();
        let mut joined: Vec<_> = self.joints.iter().map(|joint| of(joint)).collect();
        joined.sort_by_key(|places| rows(places));
        for places in joined {
            if !places.is_empty() && rows(&places) <= LARGER * rows(&chosen) {
                chosen.extend(places);
                is_due = true;
            }
        }
        let (spec, rows) = (vector.spec(), rows(&chosen));
        let bytes = || chosen.iter().map(|(_, column)| column.bytes()).sum::<usize>() + Sketch::bytes_of(spec, rows);
        let fits = rows <= Slot::MAX_ROWS && self.schema.layout.memory(rows).is_none_or(|memory| bytes() <= memory);
        let entrant = |(part, column): Place<'_>| {
            let living = column.kind().is_graph().then(|| column.living(&part.dead));
            Entrant { column: Arc::clone(column), living }
        };
        let is_worth = is_due && fits && Sketch::is_carved(spec, rows);
        is_worth.then(|| (spec, chosen.into_iter().map(entrant).collect()))
    }

    /// Graphs most of whose vectors are dead, of no more rows that live than are `scanned` with them: to scan those too costs less than to
    /// walk past the dead. They are copied, so none where memory is bounded, nor where a graph leaves its vectors on disk.
    fn sparse_among<'a>(&self, places: &[Place<'a>], scanned: usize) -> Vec<Place<'a>> {
        if self.schema.layout.memory(scanned).is_some() {
            return Vec::new();
        }
        let is_sparse = |(part, column): &Place<'_>| {
            let live = column.live(&part.dead);
            let is_walked_on_vectors = matches!(column.kind(), IndexKind::Hnsw | IndexKind::Quantized);
            is_walked_on_vectors && live > 0 && SPARSE * live <= column.len(part.segment.table.len())
        };
        let mut sparse: Vec<_> = places.iter().copied().filter(is_sparse).collect();
        sparse.sort_by_key(|place| rows(&[*place]));
        let mut room = scanned;
        sparse.retain(|place| {
            let left = room.checked_sub(rows(&[*place]));
            room = left.unwrap_or(room);
            left.is_some()
        });
        sparse
    }

    /// Takes `joint`, and lets go of those without use.
    pub(super) fn join(&mut self, joint: Option<Joint>) {
        self.joints.splice(..0, joint.map(Arc::new));
        self.joints = self.joints_of_use();
    }

    /// The joints, the newest first, without those that newer ones, or what has become of their columns, leave without use.
    fn joints_of_use(&self) -> Vec<Arc<Joint>> {
        let mut kept: Vec<Arc<Joint>> = Vec::new();
        for joint in &self.joints {
            let columns = self.parts().flat_map(|part| part.segment.shared_columns().map(move |column| (part, column)));
            let own = |(_, column): &Place<'_>| joint.holds(column) && !kept.iter().any(|newer| newer.holds(column));
            let own: Vec<Place<'_>> = columns.filter(own).collect();
            let is_needed = own.len() > 1 || own.iter().any(|(_, column)| column.kind().is_graph());
            if is_needed && joint.len() <= GONE * rows(&own) {
                kept.push(Arc::clone(joint));
            }
        }
        kept
    }
}

/// Vectors that are scanned in such columns: of those with a graph, what lives.
fn rows(places: &[Place<'_>]) -> usize {
    let of = |(part, column): &Place<'_>| match column.scanned() {
        Some(scanned) => scanned.vectors.len(),
        None => column.live(&part.dead),
    };
    places.iter().map(of).sum()
}

impl Shared {
    /// Puts together the columns that are due, if there are any, and lets go of joints without use; whether there were any. The sketch's
    /// making is as parallel as `options` say.
    pub(super) fn join(&self, options: &BuildOptions<'_>) -> bool {
        let _alone = self.joining.lock();
        // No view is kept meanwhile: it would keep segments that are replaced.
        let due = self.view().joint_due();
        let joint = due.map(|(spec, entrants)| Joint::new(spec, &entrants, options));
        let (made, view) = (joint.is_some(), self.view());
        if made || view.joints_of_use().len() < view.joints.len() {
            let _no_change = self.journal.lock();
            let mut next = Collection::clone(&self.view());
            next.join(joint);
            self.publish(next);
        }
        made
    }
}
