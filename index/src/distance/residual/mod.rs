//! What a code of one bit per coordinate is made of: the signs of the differences of two rows of words, and three sums over them.
//!
//! A build makes some sixty codes for each row, and in floats they would cost three times as much. Differences keep within words and
//! their squares' sum within 32 bits as long as no row is longer than [`LONGEST`]; so sums are exact, and the same in every instruction set.

#[cfg(target_arch = "aarch64")]
pub(super) mod aarch64;
#[cfg(target_arch = "x86_64")]
pub(super) mod x86_64;

use super::fastscan::LANES;

/// Differences whose signs are written at once.
pub(crate) const STRIPE: usize = 32;

/// The greatest length of a row, in its words' units: twice it, rounding included, is less than 2^16.
pub(crate) const LONGEST: f32 = 32_000.0;

/// Sums over `r` = neighbour − node, whose sign is `s`: 1 where `r` is positive, else −1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Residual {
    /// `Σ r²`.
    pub(crate) square: u32,
    /// `Σ |r|`.
    pub(crate) absolute: u32,
    /// `Σ s · node`.
    pub(crate) cross: i32,
}

/// Writes whether each `r` is positive into a lane of `bits`, sixteen to a word, and returns the sums.
#[inline(always)]
pub(super) fn residual_scalar(node: &[i16], neighbor: &[i16], (bits, lane): (&mut [[u16; LANES]], usize)) -> Residual {
    let mut sums = Residual { square: 0, absolute: 0, cross: 0 };
    let words = node.as_chunks::<16>().0.iter().zip(neighbor.as_chunks::<16>().0);
    for ((node, neighbor), bits) in words.zip(bits) {
        let mut positive = 0;
        for i in 0..16 {
            let r = neighbor[i].saturating_sub(node[i]);
            let node = i32::from(node[i]);
            sums.square = sums.square.wrapping_add((i32::from(r) * i32::from(r)).cast_unsigned());
            sums.absolute += u32::from(r.unsigned_abs());
            sums.cross += if r > 0 { node } else { -node };
            positive |= u16::from(r > 0) << i;
        }
        bits[lane] = positive;
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::super::isa::Isa;
    use super::super::simd::{Simd, Task, dispatch};
    use super::*;

    #[derive(Clone, Copy)]
    struct Sums<'a>(&'a [i16], &'a [i16], usize);

    impl Task for Sums<'_> {
        type Output = (Residual, Vec<[u16; LANES]>);
        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> Self::Output {
            let mut bits = vec![[0xa5a5; LANES]; self.0.len() / 16];
            let sums = simd.residual(self.0, self.1, (&mut bits, self.2));
            (sums, bits)
        }
    }

    /// Against sums of 64 bits, with rows as long as they may be and equal coordinates, on every instruction set.
    #[test]
    fn sums_and_signs_are_exact() {
        let mut state = 11_u64;
        let mut draw = |most: i64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) as i64 % (2 * most + 1) - most) as i16
        };
        for dim in (STRIPE..=1024).step_by(STRIPE) {
            // Of so many coordinates, all as large, a row is as long as it may be.
            let most = (f64::from(LONGEST) / (dim as f64).sqrt()) as i64;
            let mut random = || (0..dim).map(|_| draw(most)).collect::<Vec<i16>>();
            let (a, mut b) = (random(), random());
            b[0] = a[0];
            let (low, high) = (vec![-most as i16; dim], vec![most as i16; dim]);
            for (lane, (node, neighbor)) in
                [(&a, &b), (&b, &a), (&a, &a), (&low, &high), (&high, &low)].into_iter().enumerate()
            {
                let each = || node.iter().zip(neighbor).map(|(&c, &o)| (i64::from(o) - i64::from(c), i64::from(c)));
                let square: i64 = each().map(|(r, _)| r * r).sum();
                let absolute: i64 = each().map(|(r, _)| r.abs()).sum();
                let cross: i64 = each().map(|(r, c)| if r > 0 { c } else { -c }).sum();
                for isa in Isa::ALL.into_iter().filter(|isa| isa.available()) {
                    let (sums, bits) = dispatch(isa, Sums(node, neighbor, lane));
                    let found = (i64::from(sums.square), i64::from(sums.absolute), i64::from(sums.cross));
                    assert_eq!(found, (square, absolute, cross), "{isa}, {dim} coordinates");
                    for (i, (r, _)) in each().enumerate() {
                        assert_eq!(bits[i / 16][lane] >> (i % 16) & 1 == 1, r > 0, "{isa}, coordinate {i} of {dim}");
                    }
                    let others = bits.iter().flat_map(|bits| bits.iter().enumerate()).filter(|other| other.0 != lane);
                    assert!(others.into_iter().all(|other| *other.1 == 0xa5a5), "{isa}: other lanes are left alone");
                }
            }
        }
    }

    /// A difference beyond 16 bits counts as the greatest that fits: a single coordinate of a row may be as long as the row.
    #[test]
    fn the_greatest_difference_is_as_far_as_words_go() {
        let (mut node, mut neighbor) = ([0; STRIPE], [0; STRIPE]);
        (node[3], neighbor[3]) = (LONGEST as i16, -(LONGEST as i16));
        for isa in Isa::ALL.into_iter().filter(|isa| isa.available()) {
            let (sums, _) = dispatch(isa, Sums(&node, &neighbor, 0));
            assert_eq!(sums, Residual { square: 1 << 30, absolute: 1 << 15, cross: -32_000 }, "{isa}");
        }
    }
}
