//! The Hadamard transform, of which random rotations are made: each coordinate becomes a sum of all, with signs.
//!
//! Levels take sums and differences of coordinates 1, 2, 4, … apart, and two of them go over memory as one. Left to the compiler, the
//! levels within a register are spread over several by gathers, at less than half the speed. All instruction sets add in one
//! order, and so give the same, bit for bit.

#[cfg(target_arch = "aarch64")]
pub(super) mod aarch64;
#[cfg(target_arch = "x86_64")]
pub(super) mod x86_64;

/// The shortest that is transformed.
pub(crate) const LEAST: usize = 32;

/// `x` · `signs`, coordinate by coordinate, transformed. Both are of one length, a power of two.
pub(super) fn signed(x: &mut [f32], signs: &[f32]) {
    x.iter_mut().zip(signs).for_each(|(x, sign)| *x *= sign);
    transform(x);
}

/// The transform of a power of two of coordinates, without its scale: twice, it multiplies by their number.
pub(crate) fn transform(x: &mut [f32]) {
    let mut apart = 1;
    while apart < x.len() {
        x.chunks_exact_mut(2 * apart).for_each(butterfly);
        apart *= 2;
    }
}

/// Sums and differences of the two halves.
#[inline(always)]
pub(crate) fn butterfly(x: &mut [f32]) {
    let (low, high) = x.split_at_mut(x.len() / 2);
    for (a, b) in low.iter_mut().zip(high) {
        (*a, *b) = (*a + *b, *a - *b);
    }
}

#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
/// Defines `$name`, the transform of `x · signs`, by the operations of one instruction set: the levels in a register by `$within`, then
/// two at a time between registers.
macro_rules! signed_by_registers {
    ($name:ident, $features:literal, $lanes:literal, $within:ident, $load:ident, $store:ident, $mul:ident, $add:ident, $sub:ident) => {
        /// # Safety
        /// The CPU has the features; both are of one length, a power of two of at least 32.
        #[inline]
        #[target_feature(enable = $features)]
        pub(in super::super) unsafe fn $name(x: &mut [f32], signs: &[f32]) {
            let len = x.len();
            let (x, signs) = (x.as_mut_ptr(), signs.as_ptr());
            for at in (0..len).step_by($lanes) {
                // SAFETY: `len` is a multiple of the lanes.
                unsafe { $store(x.add(at), $within($mul($load(x.add(at)), $load(signs.add(at))))) };
            }
            let mut apart = $lanes;
            while 4 * apart <= len {
                for first in (0..len).step_by(4 * apart) {
                    for at in (first..first + apart).step_by($lanes) {
                        // SAFETY: four quarters of `apart` coordinates begin at `first`, and end by `len`.
                        unsafe {
                            let [p, q, r, s] =
                                [x.add(at), x.add(at + apart), x.add(at + 2 * apart), x.add(at + 3 * apart)];
                            let (a, b, c, d) = ($load(p), $load(q), $load(r), $load(s));
                            let (low, high) = (($add(a, b), $sub(a, b)), ($add(c, d), $sub(c, d)));
                            $store(p, $add(low.0, high.0));
                            $store(q, $add(low.1, high.1));
                            $store(r, $sub(low.0, high.0));
                            $store(s, $sub(low.1, high.1));
                        }
                    }
                }
                apart *= 4;
            }
            if apart < len {
                for at in (0..apart).step_by($lanes) {
                    // SAFETY: `apart` is half of `len`.
                    unsafe {
                        let (a, b) = ($load(x.add(at)), $load(x.add(at + apart)));
                        $store(x.add(at), $add(a, b));
                        $store(x.add(at + apart), $sub(a, b));
                    }
                }
            }
        }
    };
}

#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
use signed_by_registers;

#[cfg(test)]
mod tests {
    use super::super::Isa;
    use super::super::simd::{Simd, Task, dispatch};
    use super::*;

    struct Signed<'a>(&'a mut [f32], &'a [f32]);

    impl Task for Signed<'_> {
        type Output = ();
        #[inline(always)]
        fn run<S: Simd>(self, simd: S) {
            simd.hadamard(self.0, self.1);
        }
    }

    /// Against the sum over all coordinates, `(−1)` to the number of bits that two indexes share, of whole numbers: exact.
    #[test]
    fn it_is_the_sum_with_signs_on_every_instruction_set() {
        let mut state = 11_u64;
        let mut draw = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as f32 - 128.0
        };
        for len in (5..11).map(|log| 1 << log) {
            let x: Vec<f32> = (0..len).map(|_| draw()).collect();
            let signs: Vec<f32> = (0..len).map(|_| draw().signum()).collect();
            let sign = |i: usize, j: usize| if (i & j).count_ones().is_multiple_of(2) { 1.0 } else { -1.0 };
            let sum = |i: usize| (0..len).map(|j| sign(i, j) * x[j] * signs[j]).sum();
            let expected: Vec<f32> = (0..len).map(sum).collect();
            for isa in Isa::ALL.into_iter().filter(|isa| isa.available()) {
                let mut found = x.clone();
                dispatch(isa, Signed(&mut found, &signs));
                assert_eq!(found, expected, "{isa}, {len} coordinates");
            }
        }
    }

    #[test]
    fn all_instruction_sets_round_alike() {
        let x: Vec<f32> = (0..512).map(|i| (i as f32 * 0.7).sin() / 3.0).collect();
        let signs: Vec<f32> = (0..512).map(|i| if i % 3 == 0 { -0.011 } else { 0.011 }).collect();
        let mut expected = x.clone();
        signed(&mut expected, &signs);
        for isa in Isa::ALL.into_iter().filter(|isa| isa.available()) {
            let mut found = x.clone();
            dispatch(isa, Signed(&mut found, &signs));
            assert_eq!(found, expected, "{isa}");
        }
    }
}
