//! A query as a look-up table over groups of four dimensions.

use super::super::simd::{Simd, whole};

/// `table[16 · group + nibble]` = Σ of the quantised coordinates whose bit is set, raised so that the least entry is 0.
///
/// A coordinate is rounded to a whole number of steps, at most 63 of them, so a group's entries differ by at most 252.
/// The step is also wide enough that no sum over all groups exceeds 16 bits.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    bytes: Vec<u8>,
    /// What a step is worth.
    pub(crate) step: f32,
    /// What is added to `step · sum` to make it `⟨x, q⟩`, where `x` is ½ for a set bit and −½ for another.
    pub(crate) base: f32,
}

/// Steps in the largest coordinate.
const MAX_STEPS: f32 = 63.0;

impl Table {
    /// Makes it that of `query`, of a multiple of 16 dimensions.
    #[inline(always)]
    pub(crate) fn set<S: Simd>(&mut self, simd: S, query: &[f32]) {
        let query = query.as_chunks::<16>();
        assert!(query.1.is_empty(), "{} dimensions beyond a multiple of 16", query.1.len());
        let query = query.0;
        let (mut largest, mut absolute, mut sum) = ([0.0_f32; 16], [0.0_f32; 16], [0.0_f32; 16]);
        for x in query {
            for i in 0..16 {
                largest[i] = largest[i].max(x[i].abs());
                absolute[i] += x[i].abs();
                sum[i] += x[i];
            }
        }
        let largest = largest.iter().fold(0.0_f32, |max, &x| max.max(x));
        // Rounding adds at most half a step per coordinate.
        let room = f32::from(u16::MAX) - query.as_flattened().len() as f32;
        self.step = (largest / MAX_STEPS).max(absolute.iter().sum::<f32>() / room).max(f32::MIN_POSITIVE);
        let inverse = 1.0 / self.step;
        self.bytes.resize(query.as_flattened().len() * 4, 0);
        let mut negative = [0_i32; 16];
        for (x, out) in query.iter().zip(self.bytes.as_chunks_mut::<64>().0) {
            let mut steps = [0_i8; 16];
            for i in 0..16 {
                let whole = whole(x[i] * inverse);
                negative[i] += whole.min(0);
                steps[i] = whole as i8;
            }
            simd.entries(&steps, out);
        }
        self.base = self.step * negative.iter().sum::<i32>() as f32 - 0.5 * sum.iter().sum::<f32>();
    }

    /// Dimensions of the query.
    #[inline(always)]
    pub(crate) fn dim(&self) -> usize {
        self.bytes.len() / 4
    }

    /// The entries: 16 for each group.
    #[inline(always)]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// The sixteen subset sums of a group, less the lowest of them: each fits a byte.
pub(super) fn entries(group: [i8; 4]) -> [u8; 16] {
    let lowest: i32 = group.iter().map(|&steps| i32::from(steps.min(0))).sum();
    std::array::from_fn(|nibble| {
        let chosen = |i: usize| if nibble >> (3 - i) & 1 == 1 { i32::from(group[i]) } else { 0 };
        (chosen(0) + chosen(1) + chosen(2) + chosen(3) - lowest) as u8
    })
}

/// For coordinate `i` of a group, all ones where bit `3 − i` of the entry's number is set.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(super) const CHOSEN: [[u8; 16]; 4] = {
    let mut chosen = [[0; 16]; 4];
    let mut at = 0;
    while at < 64 {
        let (i, nibble) = (at / 16, at % 16);
        chosen[i][nibble] = if nibble >> (3 - i) & 1 == 1 { 0xff } else { 0 };
        at += 1;
    }
    chosen
};
