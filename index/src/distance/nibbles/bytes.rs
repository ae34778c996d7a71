//! The tables of the 8-bit reading as bytes, for shuffles.

use super::{BASES, STEPS};

/// The lower (`SHIFT` 0) or higher (8) bytes of a table.
const fn bytes<const SHIFT: u32>(table: [i16; 16]) -> [u8; 16] {
    let mut bytes = [0; 16];
    let mut i = 0;
    while i < 16 {
        bytes[i] = (table[i] >> SHIFT) as u8;
        i += 1;
    }
    bytes
}

pub(super) const LOW_BASES: [u8; 16] = bytes::<0>(BASES);
pub(super) const HIGH_BASES: [u8; 16] = bytes::<8>(BASES);
pub(super) const BYTE_STEPS: [u8; 16] = bytes::<0>(STEPS);
