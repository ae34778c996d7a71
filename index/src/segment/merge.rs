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
    // Each part's rows are in order already, which the stable sort makes use of.
    order.sort();
    let mut rows = Builder::new(vectors, order.len(), payload_bytes);
    let mut moves: Vec<Vec<u32>> = parts.iter().map(|part| vec![GONE; part.segment.table.len()]).collect();
    // Rows that stay neighbours are copied together.
    for run in order.chunk_by(|before, next| before.1 == next.1 && before.2 + 1 == next.2) {
        let (_, number, first) = run[0];
        let (number, to, end) = (number as usize, rows.len() as u32, first + run.len() as u32);
        rows.copy(&parts[number].segment, first..end);
        moves[number][first as usize..end as usize].iter_mut().zip(to..).for_each(|(moved, to)| *moved = to);
    }
    Merged { rows, moves }
}
