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

/// Where in a half code `lane` lies: its byte, and whether it takes the higher nibble.
#[inline(always)]
fn place(lane: usize) -> (usize, bool) {
    let low = lane % 16;
    (low % 8 * 2 + low / 8, lane >= 16)
}

/// Packs whole codes: `bits` holds, for every sixteen dimensions, those of each lane, the lowest bit for the first.
#[inline(always)]
pub(crate) fn pack(bits: &[[u16; LANES]], codes: &mut [u8]) {
    for (bits, codes) in bits.iter().zip(codes.as_chunks_mut::<64>().0) {
        // The highest bit of a nibble is its first dimension.
        let mut reversed = [0_u16; LANES];
        for lane in 0..LANES {
            reversed[lane] = bits[lane].reverse_bits();
        }
        for (group, codes) in codes.as_chunks_mut::<16>().0.iter_mut().enumerate() {
            let shift = 12 - 4 * group;
            for low in 0..16 {
                let (first, second) = (reversed[low] >> shift & 15, reversed[low + 16] >> shift & 15);
                codes[place(low).0] = (first | second << 4) as u8;
            }
        }
    }
}

/// The nibble of `lane` in `group`.
#[inline(always)]
pub(super) fn nibble(codes: &[u8], group: usize, lane: usize) -> u8 {
    let (byte, high) = place(lane);
    codes[group * 16 + byte] >> if high { 4 } else { 0 } & 15
}
