//! The graph over stored rows: levels, links, the walk that searches it and the build that grows it.
//!
//! level links copies · select search masked · build repair · compare partition lists leaves · tour refine · check. Nothing here knows files or
//! callers' ids.

pub(crate) mod build;
pub(crate) mod check;
pub(crate) mod compare;
pub(crate) mod copies;
pub(crate) mod leaves;
pub(crate) mod level;
pub(crate) mod links;
mod lists;
pub(crate) mod masked;
mod partition;
pub(crate) mod refine;
mod repair;
pub(crate) mod search;
mod select;
pub(crate) mod tour;

use crate::bytes::Array;

use links::Links;

/// A graph over the first [`Links::nodes`] rows of a store.
#[derive(Debug, Clone)]
pub(crate) struct Graph {
    pub(crate) links: Links,
    /// Where every search starts: a node of the highest level. `None` while the graph is empty.
    pub(crate) entry: Option<u32>,
    /// Nodes linked since every node was last known to be reachable.
    pub(crate) unproven: usize,
}

impl Graph {
    /// A graph of one level with the given lists, to be checked.
    pub(crate) fn of_lists(
        degree: usize,
        nodes: usize,
        list: impl Fn(u32) -> Vec<u32>,
        twins: Array<u32>,
        entry: Option<u32>,
    ) -> Self {
        let mut links = Links::new(degree, degree);
        links.push(std::iter::repeat_n(0, nodes));
        for node in 0..nodes as u32 {
            links.set(node, 0, &list(node), 0);
        }
        links.twins = twins;
        Graph { links, entry, unproven: 0 }
    }
}
