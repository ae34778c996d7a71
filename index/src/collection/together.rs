//! Scanning segments over codes, as if they were one.
//!
//! What is found in one segment rules out most of what the others hold, so all are gone through together, the nearest cells of any first
//! (`sketch/scan.rs`). Here it is settled which of them share a sketch ([`Joint`]), and whose each row is that was found.

use std::sync::Arc;

use super::candidates::{Candidates, Wanted};
use crate::ids::Slot;
use crate::planner::{Explain, Plan};
use crate::query::{Hit, SearchError};
use crate::segment::{Buffers, Coded, Joint};
use crate::sketch;

/// Rows of one segment that may be found, and the segment's number.
pub(super) type Numbered<'a> = (usize, Candidates<'a>);

/// Segments that are scanned by one sketch.
struct Group<'c, 'a> {
    /// None of one segment, by its own.
    joint: Option<&'c Joint>,
    /// With their numbers in the joint, in order.
    members: Vec<(usize, &'c Numbered<'a>)>,
}

impl Group<'_, '_> {
    /// Which of the members has this row, and its slot there; none if that member is not to be searched.
    fn locate(&self, slot: Slot) -> Option<(usize, Slot)> {
        let Some(joint) = self.joint else { return Some((0, slot)) };
        let (number, slot) = joint.locate(slot);
        let member = self.members.binary_search_by_key(&number, |member| member.0);
        member.ok().map(|member| (member, slot))
    }

    fn accepts(&self, slot: Slot) -> bool {
        self.locate(slot).is_some_and(|(member, slot)| {
            let (_, rows) = self.members[member].1;
            rows.accepts(rows.column.row_of(slot))
        })
    }

    fn coded<'s>(&'s self, wanted: &Wanted<'_>, accept: &'s dyn Fn(Slot) -> bool) -> Coded<'s> {
        match self.joint {
            None => self.members[0].1.1.coded(wanted, accept).expect("left for it"),
            Some(joint) => {
                let columns = self.members.iter().map(|(number, (_, rows))| (*number, rows.column));
                joint.coded(&columns.collect::<Vec<_>>(), accept)
            }
        }
    }
}

/// Scans all of `candidates` over codes as if they were one: the nearest of all, as far as they are within `within`; of the nearest
/// `kept` that are compared distances are kept. Those in one of `joints` are scanned by its codes, but with a filter each by its own, which
/// say where the rows are that match. Hands the nearest of each to `take`, with what was done there, and with how many others: of those that
/// are scanned by one sketch the first has done it all.
pub(super) fn scan<'a>(
    candidates: &[Numbered<'a>],
    joints: &[Arc<Joint>],
    wanted: &Wanted<'_>,
    (within, kept): (f32, usize),
    buffers: &mut Buffers,
    mut take: impl FnMut(&Numbered<'a>, (Explain, usize), &[Hit]),
) -> Result<(), SearchError> {
    let groups = grouped(candidates, if wanted.filter.is_some() { &[] } else { joints });
    let accepts: Vec<_> = groups.iter().map(|group| move |slot| group.accepts(slot)).collect();
    let shares: Vec<_> = groups.iter().zip(&accepts).map(|(group, accept)| group.coded(wanted, accept)).collect();
    let mut hits: Vec<_> = groups.iter().map(|group| vec![Vec::new(); group.members.len()]).collect();
    let (recall, has_patience) = (wanted.recall(), wanted.filter.is_none());
    let asked = sketch::Wanted { k: wanted.k, within, recall, has_patience, kept };
    let counts =
        Coded::scan(&shares, wanted.query, asked, (&mut buffers.coded, &mut buffers.scratch), |share, hit| {
            let (member, slot) = groups[share].locate(hit.slot).expect("a row that was let through");
            hits[share][member].push(Hit { slot, ..hit });
        })?;
    for ((group, hits), counts) in groups.iter().zip(&mut hits).zip(counts) {
        let mut left = counts;
        for ((_, numbered), hits) in group.members.iter().zip(hits) {
            let (_, rows) = numbered;
            rows.column.translate(hits);
            let done = std::mem::take(&mut left);
            let search = Explain::of(Plan::Coded, rows.count, rows.of(), done.distances);
            take(numbered, (Explain { estimates: done.estimates, ..search }, group.members.len() - 1), hits);
        }
    }
    Ok(())
}

fn grouped<'c, 'a>(candidates: &'c [Numbered<'a>], joints: &'c [Arc<Joint>]) -> Vec<Group<'c, 'a>> {
    let (mut left, mut groups): (Vec<&Numbered<'a>>, _) = (candidates.iter().collect(), Vec::new());
    for joint in joints {
        let number = |(_, rows): &&Numbered<'_>| joint.number_of(rows.column);
        let held: Vec<_> = left.iter().filter(|rows| number(rows).is_some()).collect();
        // One without a graph has codes of its own.
        if held.len() < 2 && !held.iter().any(|(_, rows)| rows.column.kind().is_graph()) {
            continue;
        }
        let mut members: Vec<_> = left.iter().filter_map(|rows| Some((number(rows)?, *rows))).collect();
        members.sort_unstable_by_key(|member| member.0);
        left.retain(|rows| number(rows).is_none());
        groups.push(Group { joint: Some(joint), members });
    }
    groups.extend(left.into_iter().map(|rows| Group { joint: None, members: vec![(0, rows)] }));
    groups
}
