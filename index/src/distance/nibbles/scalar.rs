//! The truth: plain loops that every instruction set is compared with.

use super::{Gather, place, value};

pub(in super::super) fn products(gather: Gather<'_>, out: &mut [i32]) {
    for (at, out) in out.iter_mut().enumerate().take(gather.slots.len()) {
        let row = gather.row(at);
        *out = 0;
        for (coordinate, &query) in gather.query.iter().enumerate() {
            let (byte, shift) = place(coordinate);
            *out += i32::from(gather.levels[usize::from(row[byte] >> shift & 15)]) * i32::from(query);
        }
    }
}

pub(in super::super) fn fine_product(high: &[u8], low: &[u8], query: &[i16]) -> i32 {
    let mut sum = 0;
    for (coordinate, &query) in query.iter().enumerate() {
        let (byte, shift) = place(coordinate);
        let code = (high[byte] >> shift & 15) << 4 | low[byte] >> shift & 15;
        sum += i32::from(value(code)) * i32::from(query);
    }
    sum
}
