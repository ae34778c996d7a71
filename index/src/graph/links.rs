//! Who is linked to whom: adjacency lists in two flat arrays of fixed stride.
//!
//! Level 0, where nearly all the walking is done, has one row of `m0` slots per node, so a node's neighbours are found by one
//! multiplication. The few nodes of the levels above share a second array, a row of `m` slots per node and level, found through an
//! offset. A list ends at its length or at the first [`NONE`].
//!
//! Exact duplicates are not linked at all: the first of them, the representative, stands in the graph and heads a chain of the
//! others, its *twins*. A thousand copies of one vector would otherwise fill each other's lists and cut themselves off.

use crate::bytes::Array;

/// No slot: the end of a list or a chain.
pub(crate) const NONE: u32 = u32::MAX;

/// The links of all nodes on all levels.
#[derive(Debug, Clone)]
pub(crate) struct Links {
    /// Longest list on level 0, and the stride of `level0`.
    pub(crate) m0: usize,
    /// Longest list above level 0, and the stride of `upper`.
    pub(crate) m: usize,
    /// `[nodes × m0]`.
    pub(crate) level0: Array<u32>,
    /// Highest level of each node.
    pub(crate) levels: Array<u8>,
    /// First row in `upper` of each node: its list on level 1, followed by those of the levels above.
    pub(crate) offsets: Array<u32>,
    /// `[lists × m]`.
    pub(crate) upper: Array<u32>,
    /// How many links of each level-0 list come first because no nearer one hides them; those behind are filled in.
    pub(crate) kept0: Array<u8>,
    /// The same for each list of `upper`.
    pub(crate) kept_upper: Array<u8>,
    /// Next twin of each node; empty as long as there is no duplicate.
    pub(crate) twins: Array<u32>,
}

impl Links {
    pub(crate) fn new(m: usize, m0: usize) -> Self {
        let (level0, upper, offsets, twins) = Default::default();
        let (levels, kept0, kept_upper) = Default::default();
        Links { m, m0, level0, levels, offsets, upper, kept0, kept_upper, twins }
    }

    pub(crate) fn nodes(&self) -> usize {
        self.levels.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        let words = [&self.level0, &self.offsets, &self.upper, &self.twins];
        let bytes = [&self.levels, &self.kept0, &self.kept_upper];
        words.into_iter().map(Array::bytes).chain(bytes.into_iter().map(Array::bytes)).sum()
    }

    pub(crate) fn reserve(&mut self, nodes: usize) {
        self.level0.reserve(nodes * self.m0);
        self.levels.reserve(nodes);
        self.offsets.reserve(nodes);
        self.kept0.reserve(nodes);
    }

    /// Appends nodes without links, one per given level.
    pub(crate) fn push(&mut self, levels: impl IntoIterator<Item = u8>) {
        for level in levels {
            let (node, lists) = (self.nodes(), self.upper.len() / self.m);
            self.levels.resize(node + 1);
            self.levels.as_mut_slice()[node] = level;
            self.offsets.resize(node + 1);
            self.offsets.as_mut_slice()[node] = lists as u32;
            fill_to(&mut self.upper, (lists + level as usize) * self.m);
            self.kept_upper.resize(lists + level as usize);
            self.kept0.resize(node + 1);
            fill_to(&mut self.level0, (node + 1) * self.m0);
            if self.twins.len() > 0 {
                fill_to(&mut self.twins, node + 1);
            }
        }
    }

    /// The arrays as slices, for a walk.
    pub(crate) fn view(&self) -> LinksView<'_> {
        LinksView {
            m: self.m,
            m0: self.m0,
            level0: self.level0.as_slice(),
            levels: self.levels.as_slice(),
            offsets: self.offsets.as_slice(),
            upper: self.upper.as_slice(),
            kept0: self.kept0.as_slice(),
            kept_upper: self.kept_upper.as_slice(),
            twins: self.twins.as_slice(),
        }
    }

    /// Replaces the list of `node` on `level`. Panics if it is longer than that level's stride.
    pub(crate) fn set(&mut self, node: u32, level: usize, list: &[u32], kept: usize) {
        let (row, stride) = self.view().row_of(node, level);
        let (links, counts) =
            if level == 0 { (&mut self.level0, &mut self.kept0) } else { (&mut self.upper, &mut self.kept_upper) };
        let links = &mut links.as_mut_slice()[row * stride..][..stride];
        links[..list.len()].copy_from_slice(list);
        links[list.len()..].fill(NONE);
        counts.as_mut_slice()[row] = kept as u8;
    }

    /// Hangs `twin`, a node without links, into the chain of `representative`.
    pub(crate) fn add_twin(&mut self, representative: u32, twin: u32) {
        fill_to(&mut self.twins, self.levels.len());
        let twins = self.twins.as_mut_slice();
        twins[twin as usize] = twins[representative as usize];
        twins[representative as usize] = twin;
    }
}

fn fill_to(array: &mut Array<u32>, len: usize) {
    let before = array.len();
    array.resize(len);
    array.as_mut_slice()[before..].fill(NONE);
}

/// [`Links`] as a walk reads them: plain slices, no indirection left.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LinksView<'a> {
    m: usize,
    m0: usize,
    level0: &'a [u32],
    levels: &'a [u8],
    offsets: &'a [u32],
    upper: &'a [u32],
    kept0: &'a [u8],
    kept_upper: &'a [u8],
    twins: &'a [u32],
}

impl<'a> LinksView<'a> {
    pub(crate) fn nodes(&self) -> usize {
        self.levels.len()
    }

    /// The highest level of `node`.
    pub(crate) fn level(&self, node: u32) -> usize {
        self.levels[node as usize] as usize
    }

    /// The neighbours of `node` on `level`.
    #[inline(always)]
    pub(crate) fn list(&self, node: u32, level: usize) -> &'a [u32] {
        let (row, stride) = self.row_of(node, level);
        let row = &(if level == 0 { self.level0 } else { self.upper })[row * stride..][..stride];
        // Branch-free: an early exit would be mispredicted once a hop.
        &row[..row.iter().map(|&slot| usize::from(slot != NONE)).sum()]
    }

    /// How many of [`list`](LinksView::list) come first because no nearer neighbour hides them.
    pub(crate) fn kept(&self, node: u32, level: usize) -> usize {
        let (row, _) = self.row_of(node, level);
        (if level == 0 { self.kept0 } else { self.kept_upper })[row] as usize
    }

    /// The longest list a node may have on `level`.
    pub(crate) fn capacity(&self, level: usize) -> usize {
        if level == 0 { self.m0 } else { self.m }
    }

    /// Row and stride of `node`'s list in the array of its level.
    #[inline(always)]
    fn row_of(&self, node: u32, level: usize) -> (usize, usize) {
        if level == 0 {
            return (node as usize, self.m0);
        }
        debug_assert!(level <= self.level(node));
        (self.offsets[node as usize] as usize + level - 1, self.m)
    }

    /// `node` and the twins behind it. A chain cannot be longer than there are nodes, so a damaged one still ends.
    pub(crate) fn with_twins(&self, node: u32) -> impl Iterator<Item = u32> + 'a {
        chain(self.twins, node, self.nodes())
    }

    /// Asks for the cache lines of `node`'s list on level 0.
    #[inline(always)]
    pub(crate) fn prefetch(&self, node: u32) {
        let list = &self.level0[node as usize * self.m0..][..self.m0];
        for line in list.chunks(16) {
            prefetch(line);
        }
    }
}

/// `node` and the twins behind it, of `nodes` in all.
#[inline(always)]
pub(crate) fn chain(twins: &[u32], node: u32, nodes: usize) -> impl Iterator<Item = u32> {
    let next = move |&node: &u32| twins.get(node as usize).copied().filter(|&twin| twin != NONE);
    std::iter::successors(Some(node), next).take(nodes)
}

/// Asks for the cache line where `words` start.
#[inline(always)]
fn prefetch(words: &[u32]) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: SSE is part of x86-64, and a prefetch does not fault whatever its address.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch(words.as_ptr().cast(), _MM_HINT_T0);
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = words;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_kept_apart_by_node_and_level() {
        let mut links = Links::new(2, 4);
        links.push([0, 2, 1]);
        links.set(0, 0, &[1, 2], 0);
        links.set(1, 0, &[0, 2], 0);
        links.set(1, 1, &[2], 0);
        links.set(1, 2, &[], 0);
        links.set(2, 1, &[1, 0], 0);
        links.set(2, 1, &[1], 1);
        let view = links.view();
        assert_eq!((view.list(0, 0), view.list(1, 0), view.list(2, 0)), (&[1, 2][..], &[0, 2][..], &[][..]));
        assert_eq!((view.list(1, 1), view.list(1, 2), view.list(2, 1)), (&[2][..], &[][..], &[1][..]));
        assert_eq!((view.level(0), view.level(1)), (0, 2));
        assert_eq!((view.kept(2, 1), view.kept(2, 0), view.capacity(1), view.capacity(0)), (1, 0, 2, 4));
    }

    #[test]
    fn twins_hang_behind_their_representative() {
        let mut links = Links::new(2, 4);
        links.push([0, 0, 0]);
        assert_eq!(links.view().with_twins(1).collect::<Vec<_>>(), [1]);
        links.add_twin(0, 1);
        links.push([0]);
        links.add_twin(0, 3);
        assert_eq!(links.view().with_twins(0).collect::<Vec<_>>(), [0, 3, 1]);
        assert_eq!(links.view().with_twins(2).collect::<Vec<_>>(), [2]);
    }
}
