//! What a filter lets a walk do: which nodes may be results, and which neighbours are worth a visit.
//!
//! Where every node may be a result there is nothing to ask, and [`Open`] compiles to nothing. A [`Guided`] walk stays among the rows
//! that match, as ACORN does (Patel et al., arXiv:2403.04871): a hop's 32 neighbours are estimated at once anyway, so the mask only decides
//! which of them become candidates. Where too few of a node's neighbours match, the nearest of the others become bridges: a bridge is
//! expanded for those of its neighbours that match, and leads no further. How many bridges a node gets depends on how many matches it
//! lacks and on how many each may be expected to bring, so that every node that matches sees about as many others as without a filter.

use crate::distance::fastscan::LANES;
use crate::ids::Slot;
use crate::mask::Mask;

/// What a walk asks about nodes.
pub(super) trait Gate {
    /// Whether a walk may turn out to be a hard one: see [`despairs`](Gate::despairs) and [`doubts`](Gate::doubts).
    const DOUBTS: bool = false;

    /// Whether `node` may be a result.
    fn accepts(&self, node: u32) -> bool;

    /// Whether a walk may begin at `node`.
    fn starts(&self, node: u32) -> bool;

    /// Nodes to begin at, besides the entries.
    fn seeds(&self) -> &[u32] {
        &[]
    }

    /// Which of the lanes `below`, neighbours of `node`, become candidates.
    #[inline(always)]
    fn lanes(&self, _node: u32, _slots: &[u32; LANES], _estimates: &[f32; LANES], below: u32) -> u32 {
        below
    }

    /// Whether it is not worth to begin, where so many entries are nearer than the nearest that may be a result.
    #[inline(always)]
    fn despairs(&self, _nearer: usize) -> bool {
        false
    }

    /// What to do where the walk would end, and so many entries are nearer than the last result.
    #[inline(always)]
    fn doubts(&self, _nearer: usize) -> Doubt {
        Doubt::None
    }
}

/// Whether a walk that would end has found what is near.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doubt {
    /// As near as it would be without correlation.
    None,
    /// What matches lies far from the query: go on with [`WIDER`] slack.
    Widen,
    /// So it does, and to compare all that match is cheaper than to go on.
    GiveUp,
}

/// Slack that is added where what matches lies far from the query: distances to it differ less, relative to themselves.
pub(super) const WIDER: f32 = 0.3;

/// Hops that such a walk is taken to need: about what it took for a good recall on 60,000 images where the half, or the tenth, farthest
/// from the query matched.
pub(super) const HOPS_FAR: usize = 1000;

/// Lets all pass.
#[derive(Clone, Copy)]
pub(super) struct Open;

impl Gate for Open {
    #[inline(always)]
    fn accepts(&self, _: u32) -> bool {
        true
    }

    #[inline(always)]
    fn starts(&self, _: u32) -> bool {
        true
    }
}

/// Walks as if there were no filter, and returns what it accepts.
#[derive(Clone, Copy)]
pub(super) struct Sieve<A>(pub(super) A);

impl<A: Fn(u32) -> bool> Gate for Sieve<A> {
    #[inline(always)]
    fn accepts(&self, node: u32) -> bool {
        self.0(node)
    }

    #[inline(always)]
    fn starts(&self, _: u32) -> bool {
        true
    }
}

/// So too, unless what it accepts is seen to lie far from the query: it would walk through all that is nearer.
#[derive(Clone, Copy)]
pub(super) struct NearSieve<A> {
    pub(super) accept: A,
    pub(super) correlation: Correlation,
}

impl<A: Fn(u32) -> bool> Gate for NearSieve<A> {
    const DOUBTS: bool = true;

    #[inline(always)]
    fn accepts(&self, node: u32) -> bool {
        (self.accept)(node)
    }

    #[inline(always)]
    fn starts(&self, _: u32) -> bool {
        true
    }

    #[inline(always)]
    fn despairs(&self, nearer: usize) -> bool {
        nearer > self.correlation.before_first
    }
}

/// Walks among the nodes of a mask.
#[derive(Clone, Copy)]
pub(super) struct Guided<'a> {
    /// The nodes that may be results.
    pub(super) nodes: &'a Mask,
    pub(super) seeds: &'a [u32],
    /// Neighbours that match, of which a node should see about so many.
    pub(super) wanted: usize,
    /// Neighbours of a node that match, in the mean.
    pub(super) matching: f32,
    pub(super) correlation: Correlation,
}

/// By what a walk sees that what matches lies far from the query: entries are a sample of all nodes, so without correlation some of the
/// nearest of them match, and few are nearer than what is found.
#[derive(Clone, Copy)]
pub(super) struct Correlation {
    /// More entries than that are hardly ever nearer than the first that matches.
    pub(super) before_first: usize,
    /// More entries than that are hardly ever nearer than the last result.
    pub(super) before_last: usize,
    /// What to do then.
    pub(super) far: Doubt,
}

impl Correlation {
    /// Of `entries` entries to `nodes` nodes, a `share` of which matches; `k` results are asked for.
    pub(super) fn new((entries, nodes): (usize, usize), share: f32, k: usize, far: Doubt) -> Self {
        // Before the first that matches a geometric number of entries lies, of mean 1 / share: one time in a hundred so many.
        let before_first = (100_f32.ln() / share) as usize;
        // Before the k-th result about k / share nodes lie, and as many entries as fall to these: at random, so about a Poisson number.
        let mean = k as f32 / share * entries as f32 / nodes.max(1) as f32;
        let before_last = (mean + 3.0 * mean.sqrt() + 1.0) as usize;
        Correlation { before_first, before_last, far }
    }
}

impl Gate for Guided<'_> {
    const DOUBTS: bool = true;

    #[inline(always)]
    fn despairs(&self, nearer: usize) -> bool {
        self.correlation.far == Doubt::GiveUp && nearer > self.correlation.before_first
    }

    #[inline(always)]
    fn doubts(&self, nearer: usize) -> Doubt {
        if nearer > self.correlation.before_last { self.correlation.far } else { Doubt::None }
    }

    #[inline(always)]
    fn accepts(&self, node: u32) -> bool {
        self.nodes.contains(Slot(node))
    }

    #[inline(always)]
    fn starts(&self, node: u32) -> bool {
        self.accepts(node)
    }

    #[inline(always)]
    fn seeds(&self) -> &[u32] {
        self.seeds
    }

    #[inline(always)]
    fn lanes(&self, node: u32, slots: &[u32; LANES], estimates: &[f32; LANES], below: u32) -> u32 {
        let matching = (0..LANES).fold(0, |mask, lane| mask | u32::from(self.accepts(slots[lane])) << lane);
        let found = matching.count_ones() as usize;
        let mut chosen = matching & below;
        let mut others = below & !matching;
        if found < self.wanted && others != 0 && self.accepts(node) {
            let missing = (self.wanted - found) as f32;
            let mut bridges = (missing / self.matching).ceil() as u32;
            if others.count_ones() <= bridges {
                return chosen | others;
            }
            while bridges > 0 {
                let (mut nearest, mut left) = (others.trailing_zeros() as usize, others & (others - 1));
                while left != 0 {
                    let lane = left.trailing_zeros() as usize;
                    left &= left - 1;
                    nearest = if estimates[lane] < estimates[nearest] { lane } else { nearest };
                }
                chosen |= 1 << nearest;
                others &= !(1 << nearest);
                bridges -= 1;
            }
        }
        chosen
    }
}
