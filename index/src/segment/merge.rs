//! Several segments into one: their live rows, in the order of ids.

use super::Part;
use super::builder::Builder;
use crate::ids::IdBytes;
use crate::named::VectorSet;

/// Where a row went that is not in the merged segment.
pub(crate) const GONE: u32 = u32::MAX;

/// The live rows of several parts.
#[derive(Debug)]
pub(crate) struct Merged<'a> {
    pub(crate) rows: Builder<'a>,
    /// Per part and row: the row it is now, or [`GONE`].
    pub(crate) moves: Vec<Vec<u32>>,
}

/// The live rows of `parts`, no id of which is live in two, with those of their vectors that are of `vectors`. Cost: a sort of the ids, and a
/// copy.
pub(crate) fn merge<'a>(parts: &[Part], vectors: &'a VectorSet) -> Merged<'a> {
    let mut order: Vec<(IdBytes, u32, u32)> = Vec::with_capacity(parts.iter().map(|part| part.dead.live()).sum());
    let mut payload_bytes = 0;
    for (number, part) in (0..).zip(parts) {
        for row in part.dead.live_rows() {
            payload_bytes += part.segment.table.payload(row).len();
            order.push((part.segment.table.id_bytes(row), number, row));
        }
    }
    order.sort_unstable();
    let mut rows = Builder::new(vectors, order.len(), payload_bytes);
    let mut moves: Vec<Vec<u32>> = parts.iter().map(|part| vec![GONE; part.segment.table.len()]).collect();
    for (to, (_, number, row)) in (0..).zip(order) {
        rows.copy(&parts[number as usize].segment, row);
        moves[number as usize][row as usize] = to;
    }
    Merged { rows, moves }
}
