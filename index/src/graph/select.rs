//! Neighbour selection: which candidates become links.
//!
//! Algorithm 4 of Malkov & Yashunin (arXiv:1603.09320). A candidate is *kept* when it is nearer to the base than to every one kept
//! before it, so links spread out in direction; the others are hidden behind a kept one. With `keep_pruned` a short list is filled
//! with the nearest hidden ones, up to 5/4 · m ([`fill`]). `extend_candidates` is off: the beam of a build already reaches past the
//! neighbours' lists.
//!
//! A candidate as near to a kept one as to the base counts as hidden: of several rows at one place only one is linked.
//! Invariant: the kept come first, both parts sorted by distance; no self link, no repetition if the input has none.

use crate::params::HnswParams;
use crate::pool::Candidate;
use crate::spec::Component;
use crate::vectors::dense::DenseView;

use super::lists::Size;

/// A list under selection, and its buffers.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    kept: Vec<Candidate>,
    hidden: Vec<Candidate>,
    slots: Vec<u32>,
    distances: Vec<f32>,
}

/// The outcome: links in order, and how many of them are kept for their own sake.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Chosen {
    pub(crate) links: Vec<Candidate>,
    pub(crate) kept: usize,
}

/// Up to how many links a list is filled with hidden candidates.
///
/// Filling costs distances at every hop and saves hops. Not filled at all, a node can be left with few links to it; filled to m0, the
/// cheapest beam already computes more distances than low recalls need. `bench-ann` counts distances per query beside faiss's.
pub(crate) fn fill(params: &HnswParams) -> usize {
    if params.keep_pruned { params.m + params.m / 4 } else { 0 }
}

/// Distances are computed this many at a time: mostly one of the nearest kept candidates hides a candidate.
const CHUNK: usize = 4;

impl Selection {
    /// Chooses at most `capacity` of `candidates`, which are sorted by their distance to the base.
    /// Cost: at most capacity distances per candidate, mostly a few.
    pub(crate) fn choose<T: Component>(
        &mut self,
        space: DenseView<'_, T>,
        candidates: impl Iterator<Item = Candidate>,
        capacity: usize,
        fill: usize,
    ) -> Chosen {
        self.select(space, candidates, capacity);
        self.finish(fill.min(capacity))
    }

    /// As [`choose`](Selection::choose), of as many as `out` has room for, whose slots are written there.
    pub(super) fn choose_into<T: Component>(
        &mut self,
        space: DenseView<'_, T>,
        candidates: impl Iterator<Item = Candidate>,
        fill: usize,
        out: &mut [u32],
    ) -> Size {
        self.select(space, candidates, out.len());
        let kept = self.kept.len();
        let hidden = self.hidden.iter().take(fill.min(out.len()).saturating_sub(kept));
        let chosen = self.kept.iter().chain(hidden);
        let links = chosen.zip(out).map(|(link, out)| *out = link.slot()).count();
        Size { links, kept }
    }

    /// Divides `candidates` into those kept, at most `capacity`, and those hidden before that many were.
    fn select<T: Component>(
        &mut self,
        space: DenseView<'_, T>,
        candidates: impl Iterator<Item = Candidate>,
        capacity: usize,
    ) {
        self.clear();
        for candidate in candidates {
            if self.kept.len() == capacity {
                break;
            }
            if self.is_hidden(space, candidate) {
                self.hidden.push(candidate);
            } else {
                self.kept.push(candidate);
                self.slots.push(candidate.slot());
            }
        }
    }

    /// Adds `new` candidates, with their distances to the base, to a list chosen before: `list[..kept]` are known not to hide one
    /// another, so only the new ones are compared. The result is what [`choose`](Selection::choose) would make of all, but that
    /// a hidden link stays hidden. Cost: list + new · kept distances, instead of (list + new)² / 2.
    #[allow(clippy::too_many_arguments)] // a list is base, links and kept; new candidates and the two limits are the request
    pub(crate) fn add<T: Component>(
        &mut self,
        space: DenseView<'_, T>,
        base: u32,
        list: &[u32],
        kept: usize,
        new: impl Iterator<Item = Candidate>,
        capacity: usize,
        fill: usize,
    ) -> Chosen {
        self.clear();
        self.distances.resize(list.len(), 0.0);
        space.gather(space.row(base), list, &mut self.distances);
        let links = list.iter().zip(&self.distances).map(|(&slot, &distance)| Candidate::new(distance, slot));
        self.kept.extend(links.clone().take(kept));
        self.hidden.extend(links.skip(kept));
        for candidate in new {
            self.insert(space, candidate);
        }
        self.kept.truncate(capacity);
        self.hidden.sort_unstable();
        self.finish(fill.min(capacity))
    }

    fn clear(&mut self) {
        self.kept.clear();
        self.hidden.clear();
        self.slots.clear();
    }

    /// Whether one of the kept, all of them nearer to the base, is at least as near to `candidate` as the base is.
    fn is_hidden<T: Component>(&mut self, space: DenseView<'_, T>, candidate: Candidate) -> bool {
        let row = space.row(candidate.slot());
        self.slots.chunks(CHUNK).any(|kept| {
            let mut distances = [0.0; CHUNK];
            space.gather(row, kept, &mut distances[..kept.len()]);
            distances[..kept.len()].iter().any(|&distance| distance <= candidate.distance())
        })
    }

    /// Puts one candidate among the kept, hiding those behind it, or among the hidden.
    fn insert<T: Component>(&mut self, space: DenseView<'_, T>, candidate: Candidate) {
        self.slots.clear();
        self.slots.extend(self.kept.iter().map(|kept| kept.slot()));
        self.distances.resize(self.slots.len(), 0.0);
        space.gather(space.row(candidate.slot()), &self.slots, &mut self.distances);
        let at = self.kept.partition_point(|&kept| kept < candidate);
        if self.distances[..at].iter().any(|&distance| distance <= candidate.distance()) {
            self.hidden.push(candidate);
            return;
        }
        let mut between = self.distances[at..].iter();
        let (kept, hidden) = (&mut self.kept, &mut self.hidden);
        let mut place = at;
        for index in at..kept.len() {
            let behind = kept[index];
            if between.next().is_some_and(|&distance| distance <= behind.distance()) {
                hidden.push(behind);
            } else {
                kept[place] = behind;
                place += 1;
            }
        }
        kept.truncate(place);
        kept.insert(at, candidate);
    }

    /// The kept, and behind them the nearest hidden while there are fewer than `fill` links.
    fn finish(&mut self, fill: usize) -> Chosen {
        let mut links = self.kept.clone();
        links.extend(self.hidden.iter().take(fill.saturating_sub(links.len())));
        Chosen { links, kept: self.kept.len() }
    }
}
