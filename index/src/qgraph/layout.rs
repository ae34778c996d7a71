//! The bytes of a node: everything that expanding it reads lies in one run of cache lines.
//!
//! ```text
//! vector       one byte per coordinate, in blocks of 64
//! terms        8 bytes: in the vector's padding where they fit
//! neighbours   32 slots (u32), then 32 constants and 32 factors of their codes (f16)
//! codes        32 packed one-bit codes, from a cache line's start
//! ```
//!
//! A hop costs as much as the lines it brings in, so the row is one sequential read; its vector comes first because re-ranking reads
//! that part alone.

use half::f16;

use crate::distance::fastscan::{Block, LANES, Units, code_bytes};
use crate::quant::byte::{BLOCK, Terms};

/// Bytes of a cache line.
pub(super) const LINE: usize = 64;

/// Bytes of the slots, and of a lane array of half floats.
const SLOT_BYTES: usize = size_of::<u32>() * LANES;
const HALF_BYTES: usize = size_of::<f16>() * LANES;

/// Where the parts of a row lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    terms: usize,
    slots: usize,
    codes: usize,
    /// Bytes from one row to the next, a multiple of a cache line.
    pub(super) stride: usize,
}

impl Layout {
    /// For vectors of `dim` coordinates, of `rotated` after rotation.
    pub(super) fn new(dim: usize, rotated: usize) -> Self {
        let vector = dim.next_multiple_of(BLOCK);
        let terms = if vector - dim >= size_of::<Terms>() { vector - size_of::<Terms>() } else { vector };
        let slots = terms + size_of::<Terms>();
        let codes = (slots + SLOT_BYTES + 2 * HALF_BYTES).next_multiple_of(LINE);
        Layout { terms, slots, codes, stride: (codes + code_bytes(rotated)).next_multiple_of(LINE) }
    }

    /// Bytes at the front that hold the vector and its terms.
    pub(super) fn front(&self) -> usize {
        self.slots
    }
}

/// One node's row.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    bytes: &'a [u8],
    layout: Layout,
}

impl<'a> Row<'a> {
    #[inline(always)]
    pub(super) fn new(bytes: &'a [u8], layout: Layout) -> Self {
        Row { bytes: &bytes[..layout.stride], layout }
    }

    /// The vector's bytes and what follows; as many of them are read as a query has.
    #[inline(always)]
    pub(super) fn vector(&self) -> &'a [u8] {
        self.bytes
    }

    #[inline(always)]
    pub(super) fn terms(&self) -> Terms {
        bytemuck::cast_slice(&self.bytes[self.layout.terms..][..size_of::<Terms>()])[0]
    }

    /// The neighbours' slots; where there is no neighbour, its estimate is infinite.
    #[inline(always)]
    pub(super) fn slots(&self) -> &'a [u32; LANES] {
        let bytes = &self.bytes[self.layout.slots..][..SLOT_BYTES];
        bytemuck::cast_slice(bytes).first_chunk().expect("as many bytes as lanes take")
    }

    #[inline(always)]
    pub(super) fn block(&self, units: Units) -> Block<'a> {
        Block { codes: &self.bytes[self.layout.codes..], add: self.factors(0), rescale: self.factors(1), units }
    }

    /// The constants or the factors.
    #[inline(always)]
    pub(super) fn factors(&self, index: usize) -> &'a [f16; LANES] {
        let bytes = &self.bytes[self.layout.slots + SLOT_BYTES + index * HALF_BYTES..][..HALF_BYTES];
        bytemuck::cast_slice(bytes).first_chunk().expect("as many bytes as lanes take")
    }

    /// The whole row, for prefetching.
    #[inline(always)]
    pub(super) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The part that re-ranking reads.
    #[inline(always)]
    pub(super) fn front(&self) -> &'a [u8] {
        &self.bytes[..self.layout.front()]
    }
}

/// One node's row, being written.
pub(super) struct RowMut<'a> {
    pub(super) bytes: &'a mut [u8],
    pub(super) layout: Layout,
}

impl RowMut<'_> {
    /// The bytes of the vector, its padding included as far as the terms do not lie there.
    pub(super) fn vector(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.layout.terms]
    }

    pub(super) fn set_terms(&mut self, terms: Terms) {
        self.bytes[self.layout.terms..][..size_of::<Terms>()].copy_from_slice(bytemuck::bytes_of(&terms));
    }

    pub(super) fn set_neighbors(&mut self, slots: &[u32; LANES], add: &[f16; LANES], rescale: &[f16; LANES]) {
        let (to_slots, rest) = self.bytes[self.layout.slots..].split_at_mut(SLOT_BYTES);
        let (to_add, rest) = rest.split_at_mut(HALF_BYTES);
        to_slots.copy_from_slice(bytemuck::cast_slice(slots));
        to_add.copy_from_slice(bytemuck::cast_slice(add));
        rest[..HALF_BYTES].copy_from_slice(bytemuck::cast_slice(rescale));
    }

    pub(super) fn codes(&mut self) -> &mut [u8] {
        &mut self.bytes[self.layout.codes..]
    }
}
