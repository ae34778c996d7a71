//! Which segments without a graph are scanned as one: [`Joint`]s of a collection.
//!
//! While points come faster than graphs are built, segments wait for theirs; and of what grows there are many, each too small for cells of
//! its own. As soon as [`FEWEST`] of them are scanned one by one, or there is a joint that is not much larger than they are, they are put
//! together, with all such joints: each joint has then more than twice the rows of the next, so there are few, and a row is sketched again
//! only when its joint grows by half or more. Sealed segments and growing ones, which are to go soon, are put together apart.

use std::sync::Arc;

use super::Collection;
use super::apply::is_full;
use super::shared::Shared;
use crate::ids::Slot;
use crate::named::NamedVector;
use crate::params::BuildOptions;
use crate::segment::{Column, Joint, Part};
use crate::sketch::Sketch;

/// Columns that are worth being put together, where there is no joint for them.
const FEWEST: usize = 4;

/// A joint takes part in the next if it has no more than so many times the rows that are put to it.
const LARGER: usize = 2;

/// A joint is of use while it has no more than so many times the rows that are still there.
const GONE: usize = 2;

impl Collection {
    /// The columns that are to be put together next, all of one vector; none if that is not worth it.
    pub(super) fn joint_due(&self) -> Option<Vec<Arc<Column>>> {
        self.schema.vectors.iter().find_map(|vector| self.joint_due_of(vector))
    }

    fn joint_due_of(&self, vector: &NamedVector) -> Option<Vec<Arc<Column>>> {
        let growing = self.growing.iter().filter(|part| is_full(&part.segment));
        let groups: [Vec<&Part>; 2] = [self.sealed.iter().collect(), self.frozen.iter().chain(growing).collect()];
        groups.iter().find_map(|parts| self.joint_due_among(parts, vector))
    }

    /// Of `parts`.
    fn joint_due_among(&self, parts: &[&Part], vector: &NamedVector) -> Option<Vec<Arc<Column>>> {
        let columns = parts.iter().filter_map(|part| part.segment.shared_column(vector.number()));
        let columns: Vec<_> = columns.filter(|column| column.is_sketched()).collect();
        let rows = |columns: &[&Arc<Column>]| columns.iter().map(|column| rows_of(column)).sum::<usize>();
        let of = |joint: &Joint| columns.iter().copied().filter(|column| joint.holds(column)).collect::<Vec<_>>();
        let is_loose = |column: &&Arc<Column>| !self.joints.iter().any(|joint| joint.holds(column));
        let mut chosen: Vec<_> = columns.iter().copied().filter(is_loose).collect();
        let mut is_due = chosen.len() >= FEWEST;
        let mut joined: Vec<_> = self.joints.iter().map(|joint| of(joint)).collect();
        joined.sort_by_key(|columns| rows(columns));
        for columns in joined {
            if !columns.is_empty() && rows(&columns) <= LARGER * rows(&chosen) {
                chosen.extend(columns);
                is_due = true;
            }
        }
        let (spec, rows) = (vector.spec(), rows(&chosen));
        let bytes = || chosen.iter().map(|column| column.bytes()).sum::<usize>() + Sketch::bytes_of(spec, rows);
        let fits = rows <= Slot::MAX_ROWS && self.schema.layout.memory(rows).is_none_or(|memory| bytes() <= memory);
        (is_due && fits && Sketch::is_carved(spec, rows)).then(|| chosen.into_iter().cloned().collect())
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
            let columns = self.parts().flat_map(|part| part.segment.columns());
            let own = |column: &&Column| joint.holds(column) && !kept.iter().any(|newer| newer.holds(column));
            let (count, rows) = columns.filter(own).fold((0, 0), |(n, rows), column| (n + 1, rows + rows_of(column)));
            if count > 1 && joint.len() <= GONE * rows {
                kept.push(Arc::clone(joint));
            }
        }
        kept
    }
}

/// Vectors in a column without a graph.
fn rows_of(column: &Column) -> usize {
    column.scanned().map_or(0, |rows| rows.vectors.len())
}

impl Shared {
    /// Puts together the columns that are due, if there are any, and lets go of joints without use; whether there were any. The sketch's
    /// making is as parallel as `options` say.
    pub(super) fn join(&self, options: &BuildOptions<'_>) -> bool {
        let _alone = self.joining.lock();
        // No view is kept meanwhile: it would keep segments that are replaced.
        let due = self.view().joint_due();
        let joint = due.map(|columns| Joint::new(&columns, options));
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
