//! Proof that a graph is what it should be, or the first place where it is not.
//!
//! Checked: every list within its bound; every link to a linked node other than its owner, that stands on the level of the link, and
//! once; the entry on the highest level; every node reachable from the entry; every twin in one chain and in no list. Cost: O(links).

use super::Graph;
use super::links::{LinksView, NONE};
use super::repair::Reached;

/// What a sound graph looks like in numbers.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct GraphReport {
    /// Linked nodes.
    pub nodes: usize,
    /// Copies that hang behind a linked node.
    pub twins: usize,
    /// Links on level 0.
    pub links: usize,
    /// Nodes whose highest level is 0, 1, 2, …
    pub level_histogram: Vec<usize>,
    /// Nodes that no walk from the entry reaches. Not zero only after single inserts: it is brought back to zero each time the
    /// graph has grown by a sixteenth, and by every build.
    pub unreachable: usize,
}

impl GraphReport {
    /// Mean number of links of a node on level 0.
    pub fn mean_degree(&self) -> f64 {
        self.links as f64 / self.nodes.max(1) as f64
    }
}

/// A broken invariant, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphFault {
    /// A link to no node, or to its owner, or to a node that does not stand on that level.
    #[error("node {node}, level {level}: link to {target}, which is {what}")]
    Link {
        /// The owner of the list.
        node: u32,
        /// The level of the list.
        level: usize,
        /// Where the link points.
        target: u32,
        /// Why that is wrong.
        what: &'static str,
    },
    /// A list says that more of its links are kept than it has.
    #[error("node {node}, level {level}: {kept} links kept of {links}")]
    Kept {
        /// The owner of the list.
        node: u32,
        /// The level of the list.
        level: usize,
        /// Links said to be kept.
        kept: usize,
        /// Links in all.
        links: usize,
    },
    /// Arrays of different numbers of nodes or lists.
    #[error("{what}: expected {expected} entries, found {found}")]
    Shape {
        /// Which array.
        what: &'static str,
        /// Entries it should have.
        expected: usize,
        /// Entries it has.
        found: usize,
    },
    /// The entry is missing, out of range, or below the highest level.
    #[error("entry {entry:?} on level {level}, but the highest level is {top}")]
    Entry {
        /// The entry.
        entry: Option<u32>,
        /// Its level.
        level: usize,
        /// The highest level of any linked node.
        top: usize,
    },
    /// A twin with links, or in two chains.
    #[error("node {node} is a twin, but {what}")]
    Twin {
        /// The twin.
        node: u32,
        /// Why that is wrong.
        what: &'static str,
    },
    /// Nodes out of reach in a graph that was proven to have none.
    #[error("{count} nodes cannot be reached from the entry, the first is {first}")]
    Unreachable {
        /// How many.
        count: usize,
        /// The first of them.
        first: u32,
    },
}

impl Graph {
    /// Checks every invariant of this module's header.
    pub(crate) fn check(&self) -> Result<GraphReport, GraphFault> {
        self.check_shape()?;
        let links = self.links.view();
        let twin = twins(links)?;
        let nodes = || (0..links.nodes() as u32).filter(|&node| !twin[node as usize]);
        let mut histogram = Vec::new();
        for node in nodes() {
            let level = links.level(node);
            histogram.resize(histogram.len().max(level + 1), 0);
            histogram[level] += 1;
            (0..=level).try_for_each(|level| check_list(links, &twin, node, level))?;
        }
        let top = histogram.len().saturating_sub(1);
        let level = self.entry.filter(|&entry| (entry as usize) < links.nodes()).map(|entry| links.level(entry));
        if level.is_none() != (links.nodes() == 0) || level.is_some_and(|level| level != top) {
            return Err(GraphFault::Entry { entry: self.entry, level: level.unwrap_or(0), top });
        }
        let unreachable = match self.entry {
            Some(entry) => Reached::from(links, entry).missing(links).collect(),
            None => Vec::new(),
        };
        if unreachable.len() > self.unproven {
            return Err(GraphFault::Unreachable { count: unreachable.len(), first: unreachable[0] });
        }
        Ok(GraphReport {
            nodes: nodes().count(),
            twins: twin.iter().filter(|&&twin| twin).count(),
            links: nodes().map(|node| links.list(node, 0).len()).sum(),
            level_histogram: histogram,
            unreachable: unreachable.len(),
        })
    }

    /// Checks that the arrays belong together: what every access relies on.
    pub(crate) fn check_shape(&self) -> Result<(), GraphFault> {
        let links = &self.links;
        let nodes = links.levels.len();
        let lists: usize = links.levels.as_slice().iter().map(|&level| level as usize).sum();
        let twins = if links.twins.len() == 0 { 0 } else { nodes };
        for (what, expected, found) in [
            ("level-0 links", nodes * links.m0, links.level0.len()),
            ("upper offsets", nodes, links.offsets.len()),
            ("upper links", lists * links.m, links.upper.len()),
            ("kept counts", nodes, links.kept0.len()),
            ("upper kept counts", lists, links.kept_upper.len()),
            ("twins", twins, links.twins.len()),
        ] {
            if expected != found {
                return Err(GraphFault::Shape { what, expected, found });
            }
        }
        let mut start = 0;
        for (&level, &offset) in links.levels.as_slice().iter().zip(links.offsets.as_slice()) {
            if offset as usize != start {
                return Err(GraphFault::Shape { what: "upper offset", expected: start, found: offset as usize });
            }
            start += level as usize;
        }
        // A walk on an upper level reads the lists of those it finds there, so they must have one.
        let view = links.view();
        for node in (0..nodes as u32).filter(|&node| view.level(node) > 0) {
            for level in 1..=view.level(node) {
                let below = |&&target: &&u32| (target as usize) < nodes && view.level(target) < level;
                if let Some(&target) = view.list(node, level).iter().find(below) {
                    return Err(GraphFault::Link { node, level, target, what: "not on that level" });
                }
            }
        }
        let words = [&links.level0, &links.upper, &links.twins].into_iter().flat_map(crate::bytes::Array::as_slice);
        match words.copied().find(|&slot| slot != NONE && slot as usize >= nodes) {
            Some(target) => Err(GraphFault::Shape { what: "a link", expected: nodes, found: target as usize }),
            None => Ok(()),
        }
    }
}

/// Which nodes are twins; each hangs behind one node only and has no links.
fn twins(links: LinksView<'_>) -> Result<Vec<bool>, GraphFault> {
    let mut twin = vec![false; links.nodes()];
    for node in 0..links.nodes() as u32 {
        if let Some(next) = links.with_twins(node).nth(1) {
            if twin[next as usize] {
                return Err(GraphFault::Twin { node: next, what: "hangs in two chains" });
            }
            if (0..=links.level(next)).any(|level| !links.list(next, level).is_empty()) {
                return Err(GraphFault::Twin { node: next, what: "has links of its own" });
            }
            twin[next as usize] = true;
        }
    }
    Ok(twin)
}

fn check_list(links: LinksView<'_>, twin: &[bool], node: u32, level: usize) -> Result<(), GraphFault> {
    let list = links.list(node, level);
    let kept = links.kept(node, level);
    if kept > list.len() {
        return Err(GraphFault::Kept { node, level, kept, links: list.len() });
    }
    for (at, &target) in list.iter().enumerate() {
        let what = if target as usize >= links.nodes() {
            "no node"
        } else if target == node {
            "its owner"
        } else if twin[target as usize] {
            "a twin"
        } else if links.level(target) < level {
            "not on that level"
        } else if list[..at].contains(&target) {
            "linked already"
        } else {
            continue;
        };
        return Err(GraphFault::Link { node, level, target, what });
    }
    Ok(())
}
