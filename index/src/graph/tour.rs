//! An order of all nodes in which one is mostly a neighbour of the one before.
//!
//! Work done for every node in this order finds most of what it reads in the cache, where the node before left it.

use super::links::LinksView;

/// Every node once: depth first along the level-0 links, the nearest first. Cost: O(links), without distances.
pub(crate) fn tour(links: LinksView<'_>) -> Vec<u32> {
    let nodes = links.nodes() as u32;
    let mut order = Vec::with_capacity(nodes as usize);
    let mut met = vec![false; nodes as usize];
    let mut stack = Vec::new();
    for start in 0..nodes {
        stack.push(start);
        while let Some(node) = stack.pop() {
            if std::mem::replace(&mut met[node as usize], true) {
                continue;
            }
            order.push(node);
            stack.extend(links.list(node, 0).iter().rev().filter(|&&next| !met[next as usize]));
        }
    }
    order
}
