//! [`Eligible`]: which rows a scan may find.

use crate::distance::fastscan::LANES;
use crate::ids::Slot;
use crate::mask::Mask;

use super::Sketch;

/// Which rows may be found.
#[derive(Clone, Copy)]
pub(crate) enum Eligible<'a> {
    /// Those that are let through. It is asked of few.
    If(&'a dyn Fn(Slot) -> bool),
    /// These.
    Of(&'a Mask),
}

impl Eligible<'_> {
    /// The lanes of a block that may be, where rows are in their order.
    #[inline(always)]
    pub(super) fn lanes(&self, block: usize) -> u32 {
        match self {
            Eligible::If(_) => u32::MAX,
            Eligible::Of(mask) => (mask.words()[block / 2] >> (32 * (block % 2))) as u32,
        }
    }

    /// Rows of `sketch` that are estimated.
    pub(crate) fn estimated(&self, sketch: &Sketch) -> usize {
        match self {
            Eligible::If(_) => sketch.len(),
            Eligible::Of(mask) => sketch.blocks_of(mask) * LANES,
        }
    }

    /// Puts those of `rows` rows into `slots`, in order.
    pub(crate) fn list(&self, rows: usize, slots: &mut Vec<u32>) {
        slots.clear();
        match self {
            Eligible::If(accept) => slots.extend((0..rows as u32).filter(|&slot| accept(Slot(slot)))),
            Eligible::Of(mask) => slots.extend(mask.iter().map(|slot| slot.0)),
        }
    }

    /// Whether a row of those lanes is.
    #[inline(always)]
    pub(super) fn accepts(&self, slot: u32) -> bool {
        match self {
            Eligible::If(accept) => accept(Slot(slot)),
            Eligible::Of(_) => true,
        }
    }
}
