//! How 32 one-bit codes lie in memory: the nibbles that one look-up takes side by side.
//!
//! For every eight dimensions there are 32 bytes. Bytes 0–15 are for the first four dimensions, bytes 16–31 for the other four; in each
//! half the byte `j` holds the nibble of one code below that of the code 16 further on. The order of codes, 0, 8, 1, 9, …, is
//! the one in which sums of 16 bits come out of the registers in order. The highest bit of a nibble is its first dimension.

use super::LANES;

/// Bytes of 32 packed codes of `dim` dimensions, a multiple of 16.
pub(crate) const fn code_bytes(dim: usize) -> usize {
    dim / 8 * LANES
}

/// The byte of a half in which code `lane` lies, and whether it takes the higher nibble.
#[inline(always)]
fn place(lane: usize) -> (usize, bool) {
    let low = lane % 16;
    (low % 8 * 2 + low / 8, lane >= 16)
}

/// Adds sixteen dimensions of one lane's code, the lowest bit for the first, to packed `codes` that hold zeros there.
#[inline(always)]
pub(crate) fn pack(codes: &mut [u8], stripe: usize, lane: usize, bits: u16) {
    let (byte, high) = place(lane);
    // The highest bit of a nibble is its first dimension.
    let bits = bits.reverse_bits();
    for (group, codes) in codes[stripe * 64..][..64].as_chunks_mut::<16>().0.iter_mut().enumerate() {
        let nibble = (bits >> (12 - 4 * group)) as u8 & 15;
        codes[byte] |= if high { nibble << 4 } else { nibble };
    }
}

/// The nibble of `lane` in `group`.
#[inline(always)]
pub(super) fn nibble(codes: &[u8], group: usize, lane: usize) -> u8 {
    let (byte, high) = place(lane);
    codes[group * 16 + byte] >> if high { 4 } else { 0 } & 15
}
