//! What a loss of power leaves of the changes that were not synced.

use super::tree::{Change, File, Node, Tree};

/// Which unsynced changes reach the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// None.
    Nothing,
    /// All.
    Everything,
    /// An arbitrary subset, drawn from this seed: each change of a name on its own; of each write all, nothing, or some of its
    /// sectors of 512 or 4,096 bytes, with zeros where the length got to the disk and the bytes did not.
    Some(u64),
}

/// SplitMix64: small, and the same on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// The tree found on disk if `keep` of the pending changes of `tree` got there.
pub(super) fn after(tree: &Tree, keep: Keep) -> Tree {
    let mut random = Random(match keep {
        Keep::Some(seed) => seed,
        Keep::Nothing | Keep::Everything => 0,
    });
    let mut after = tree.clone();
    // One decision for each change of names, for a rename between folders is one change to both.
    let mut decided = std::collections::BTreeMap::new();
    for node in &mut after.nodes {
        match node {
            Node::Folder(folder) => {
                let mut names = folder.on_disk.clone();
                for change in &folder.pending {
                    let kept = *decided.entry(change.number).or_insert_with(|| match keep {
                        Keep::Nothing => false,
                        Keep::Everything => true,
                        Keep::Some(_) => random.below(2) == 0,
                    });
                    if kept {
                        change.apply(&mut names);
                    }
                }
                folder.settle(names);
            }
            Node::File(file) => {
                let bytes = surviving(file, keep, &mut random);
                *file = File::of(bytes);
            }
        }
    }
    after
}

fn surviving(file: &File, keep: Keep, random: &mut Random) -> Vec<u8> {
    let mut bytes = file.on_disk.clone();
    for pending in &file.pending {
        match (&pending.change, keep) {
            (_, Keep::Nothing) => {}
            (change, Keep::Everything) => change.apply(&mut bytes),
            (Change::Cut(_), Keep::Some(_)) => {
                if random.below(2) == 0 {
                    pending.change.apply(&mut bytes);
                }
            }
            (Change::Write { at, bytes: written }, Keep::Some(_)) => match random.below(4) {
                0 => pending.change.apply(&mut bytes),
                1 => {}
                2 => {
                    // The length without the bytes.
                    bytes.resize(bytes.len().max(at + written.len()), 0);
                }
                _ => tear(&mut bytes, *at, written, random),
            },
        }
    }
    bytes
}

/// Writes some of the sectors that `written` touches.
fn tear(bytes: &mut Vec<u8>, at: usize, written: &[u8], random: &mut Random) {
    let sector = if random.below(2) == 0 { 512 } else { 4096 };
    let end = at + written.len();
    let mut start = at;
    while start < end {
        let stop = (start / sector + 1) * sector;
        let stop = stop.min(end);
        if random.below(2) == 0 {
            bytes.resize(bytes.len().max(stop), 0);
            bytes[start..stop].copy_from_slice(&written[start - at..stop - at]);
        }
        start = stop;
    }
}
