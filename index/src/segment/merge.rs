//! Several segments into one: their live rows, in the order of ids.

use super::{Part, Table};
use crate::ids::IdBytes;
use crate::spec::VectorSpec;
use crate::vectors::dense::Vectors;

/// Where a row went that is not in the merged segment.
pub(crate) const GONE: u32 = u32::MAX;

/// The live rows of several parts.
#[derive(Debug)]
pub(crate) struct Merged {
    pub(crate) table: Table,
    pub(crate) vectors: Vectors,
    /// Per part and row: the row it is now, or [`GONE`].
    pub(crate) moves: Vec<Vec<u32>>,
}

/// The live rows of `parts`, no id of which is live in two. Cost: a sort of the ids, and a copy.
pub(crate) fn merge(parts: &[Part], spec: VectorSpec) -> Merged {
    let mut order: Vec<(IdBytes, u32, u32)> = Vec::with_capacity(parts.iter().map(|part| part.dead.live()).sum());
    let mut payload_bytes = 0;
    for (number, part) in (0..).zip(parts) {
        for row in part.dead.live_rows() {
            payload_bytes += part.segment.table.payload(row).len();
            order.push((part.segment.table.id_bytes(row), number, row));
        }
    }
    order.sort_unstable();
    let (mut table, mut vectors) = (Table::default(), Vectors::new(spec));
    table.reserve(order.len(), payload_bytes);
    vectors.reserve(order.len());
    let mut moves: Vec<Vec<u32>> = parts.iter().map(|part| vec![GONE; part.segment.table.len()]).collect();
    let mut vector = Vec::with_capacity(spec.dim());
    for (to, (id, number, row)) in (0..).zip(order) {
        let segment = &parts[number as usize].segment;
        table.push(id, segment.table.version(row), segment.table.checksum(row), segment.table.payload(row));
        segment.index.vector(row, &mut vector);
        vectors.push_stored(&vector);
        moves[number as usize][row as usize] = to;
    }
    Merged { table, vectors, moves }
}
