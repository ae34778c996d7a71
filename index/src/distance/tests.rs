//! Every kernel of every instruction set that this CPU has, against the plain loops.
//!
//! Integers and bits must agree exactly. Floats may differ by [`tolerance`].

use half::f16;

use crate::metric::{ElementType, Metric};

use super::simsimd::Baseline;
use super::{Bits8, Element, Isa, Kernels, RowsView};

const SEED: u64 = 0x5eed_0001;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In `-1..1`.
    fn signed(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    fn vector<T: Sample>(&mut self, len: usize) -> Vec<T> {
        (0..len).map(|_| T::sample(self)).collect()
    }
}

/// An element type with values to test it by.
trait Sample: Element {
    const EXTREMES: &'static [Self];
    fn sample(random: &mut Random) -> Self;
    fn magnitude(self) -> f64;
    /// Makes the vector what cosine expects: a unit vector of floats, anything of integers.
    fn normalise(_: &mut [Self]) {}
}

impl Sample for f32 {
    const EXTREMES: &'static [f32] = &[1e15, -1e15, f32::MIN_POSITIVE, -0.0];
    fn sample(random: &mut Random) -> f32 {
        random.signed()
    }
    fn magnitude(self) -> f64 {
        f64::from(self).abs()
    }
    fn normalise(vector: &mut [f32]) {
        let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        vector.iter_mut().for_each(|x| *x /= norm);
    }
}

impl Sample for f16 {
    const EXTREMES: &'static [f16] = &[f16::MAX, f16::MIN, f16::MIN_POSITIVE_SUBNORMAL, f16::NEG_ZERO];
    fn sample(random: &mut Random) -> f16 {
        f16::from_f32(random.signed())
    }
    fn magnitude(self) -> f64 {
        f64::from(self).abs()
    }
    fn normalise(vector: &mut [f16]) {
        let norm = vector.iter().map(|x| x.to_f32() * x.to_f32()).sum::<f32>().sqrt();
        vector.iter_mut().for_each(|x| *x = f16::from_f32(x.to_f32() / norm));
    }
}

impl Sample for u8 {
    const EXTREMES: &'static [u8] = &[255, 0, 128, 127];
    fn sample(random: &mut Random) -> u8 {
        random.next() as u8
    }
    fn magnitude(self) -> f64 {
        self.into()
    }
}

impl Sample for i8 {
    const EXTREMES: &'static [i8] = &[-128, 127, 0, -1];
    fn sample(random: &mut Random) -> i8 {
        random.next() as i8
    }
    fn magnitude(self) -> f64 {
        f64::from(self).abs()
    }
}

impl Sample for Bits8 {
    const EXTREMES: &'static [Bits8] = &[Bits8(0xff), Bits8(0), Bits8(0x80), Bits8(0x01)];
    fn sample(random: &mut Random) -> Bits8 {
        Bits8(random.next() as u8)
    }
    fn magnitude(self) -> f64 {
        1.0
    }
}

/// Each metric with each instruction set that is not the reference, and the reference.
fn kernels<T: Element>() -> Vec<(Kernels<T>, Kernels<T>)> {
    let metrics = Metric::ALL.into_iter().filter(|&metric| T::TYPE.supports(metric));
    let pair = |metric, isa| Some((Kernels::with_isa(isa, metric)?, Kernels::with_isa(Isa::Scalar, metric)?));
    metrics.flat_map(|metric| Isa::ALL[1..].iter().filter_map(move |&isa| pair(metric, isa))).collect()
}

/// How far a sum over `words` floats may be off, in parts of the sum of the magnitudes of its terms: the narrowest registers leave a
/// lane to add up one term in 16, a few more additions follow, and each is off by up to half a unit in the last place.
fn tolerance(words: usize) -> f64 {
    (words as f64 / 16.0 + 16.0) * f64::from(f32::EPSILON) / 2.0
}

/// The sum of the magnitudes of the terms of a distance, in which its error is measured.
fn terms<T: Sample>(metric: Metric, a: &[T], b: &[T], distance: f32) -> f64 {
    let products = || a.iter().zip(b).map(|(a, b)| a.magnitude() * b.magnitude()).sum::<f64>();
    match metric {
        Metric::Dot => products(),
        // Of floats it is one less the inner product; of integers it is a share already.
        Metric::Cosine if matches!(T::TYPE, ElementType::F32 | ElementType::F16) => 1.0 + products(),
        Metric::Cosine => 1.0,
        Metric::L2 | Metric::L1 | Metric::Hamming => distance.into(),
    }
}

/// Asserts what the reference says of `a` and `b`, both ways round.
fn check<T: Sample>(fast: &Kernels<T>, truth: &Kernels<T>, a: &[T], b: &[T]) {
    let (found, expected) = (fast.distance(a, b), truth.distance(a, b));
    let case = || format!("seed {SEED:#x}, {fast:?}, {} words: {found} for {expected}", a.len());
    let allowed = match T::TYPE {
        ElementType::F32 | ElementType::F16 => tolerance(a.len()) * terms(fast.metric(), a, b, expected),
        ElementType::U8 | ElementType::I8 | ElementType::Bits => 0.0,
    };
    assert!((f64::from(found) - f64::from(expected)).abs() <= allowed, "{}", case());
    assert_eq!(found.to_bits(), fast.distance(b, a).to_bits(), "asymmetric: {}", case());
}

fn check_random<T: Sample>() {
    let mut random = Random(SEED);
    for dim in 0..=1025 {
        // Starts at every word of a cache line, and differently for the two vectors.
        let (at_a, at_b) = (dim % 67, dim % 13);
        let (a, b) = (random.vector::<T>(at_a + dim), random.vector::<T>(at_b + dim));
        for (fast, truth) in kernels() {
            check(&fast, &truth, &a[at_a..], &b[at_b..]);
        }
    }
}

fn check_extremes<T: Sample>() {
    let zero: T = bytemuck::Zeroable::zeroed();
    for dim in [1, 15, 16, 31, 32, 63, 64, 65, 1025, 65_535, 65_536, 65_537, 200_000] {
        let constant = |value: T| vec![value; dim];
        let first = |value: T| (0..dim).map(|i| if i == 0 { value } else { zero }).collect::<Vec<_>>();
        for (fast, truth) in kernels::<T>() {
            check(&fast, &truth, &constant(zero), &constant(zero));
            for &a in T::EXTREMES {
                check(&fast, &truth, &constant(a), &constant(zero));
                check(&fast, &truth, &first(a), &constant(a));
                for &b in T::EXTREMES {
                    check(&fast, &truth, &constant(a), &constant(b));
                }
            }
        }
    }
}

fn check_rows<T: Sample>() {
    let mut random = Random(SEED);
    const ROWS: usize = 41;
    for stride in [0, 1, 2, 7, 16, 24, 25, 48, 50, 64, 96, 100, 128, 192, 384, 784, 960, 1536, 2100] {
        let (data, query) = (random.vector::<T>(ROWS * stride), random.vector::<T>(stride));
        let rows = RowsView::new(&data, stride, ROWS);
        for (fast, truth) in kernels::<T>() {
            for kernels in [fast, truth] {
                let case = |i: usize| format!("seed {SEED:#x}, {kernels:?}, stride {stride}, row {i}");
                let expected: Vec<f32> = (0..ROWS).map(|i| kernels.distance(&query, rows.row(i))).collect();
                for count in [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 31, 32, 33] {
                    let slots: Vec<u32> = (0..count).map(|_| (random.next() % ROWS as u64) as u32).collect();
                    let mut out = vec![f32::NAN; count];
                    kernels.gather(&query, rows, &slots, &mut out);
                    for (&slot, found) in slots.iter().zip(&out) {
                        assert_eq!(found.to_bits(), expected[slot as usize].to_bits(), "{}", case(slot as usize));
                    }
                    let first = (random.next() % (ROWS - count + 1) as u64) as usize;
                    kernels.scan(&query, rows, first, &mut out);
                    for (i, found) in out.iter().enumerate() {
                        assert_eq!(found.to_bits(), expected[first + i].to_bits(), "{}", case(first + i));
                    }
                }
            }
        }
    }
}

/// The plain loops against a library that others wrote; `allowed` is in parts of the sum of the magnitudes of all terms.
fn check_reference<T: Sample + Baseline>(allowed: f64) {
    let mut random = Random(SEED);
    for dim in (1..=1025).step_by(31) {
        let (mut a, mut b) = (random.vector::<T>(dim), random.vector::<T>(dim));
        for metric in Metric::ALL.into_iter().filter(|&metric| T::TYPE.supports(metric)) {
            let Some(baseline) = T::baseline(metric) else { continue };
            if metric == Metric::Cosine {
                T::normalise(&mut a);
                T::normalise(&mut b);
            }
            let found = Kernels::<T>::with_isa(Isa::Scalar, metric).unwrap().distance(&a, &b);
            let expected = baseline(&a, &b);
            let error = (f64::from(found) - f64::from(expected)).abs();
            let case = || format!("seed {SEED:#x}, {metric} {}, {dim} words: {found} for {expected}", T::TYPE);
            assert!(error <= allowed * terms(metric, &a, &b, expected), "{}", case());
        }
    }
}

/// The checks of one element type as tests.
macro_rules! element_tests {
    ($name:ident, $word:ty) => {
        mod $name {
            #[test]
            fn all_dimensions() {
                super::check_random::<$word>();
            }

            #[test]
            fn extremes_and_long_vectors() {
                super::check_extremes::<$word>();
            }

            #[test]
            fn rows_agree_bit_for_bit() {
                super::check_rows::<$word>();
            }
        }
    };
}

element_tests!(floats, f32);
element_tests!(halves, half::f16);
element_tests!(unsigned_bytes, u8);
element_tests!(signed_bytes, i8);
element_tests!(bits, super::Bits8);

#[test]
fn the_reference_agrees_with_simsimd() {
    check_reference::<f32>(1e-4);
    // Some CPUs sum halves as halves.
    check_reference::<f16>(2e-2);
    // Cosine takes an approximate root, off by more than 1e-4 on some CPUs.
    check_reference::<i8>(1e-3);
    check_reference::<Bits8>(0.0);
}

#[test]
fn the_reference_is_right_by_hand() {
    let f32s = |metric| Kernels::<f32>::with_isa(Isa::Scalar, metric).unwrap().distance(&[1.0, -2.0], &[4.0, 2.0]);
    assert_eq!([Metric::L2, Metric::Dot, Metric::Cosine, Metric::L1].map(f32s), [25.0, 0.0, 1.0, 7.0]);
    let i8s = |metric| Kernels::<i8>::with_isa(Isa::Scalar, metric).unwrap().distance(&[3, 4], &[-4, 3]);
    assert_eq!([Metric::L2, Metric::Dot, Metric::Cosine, Metric::L1].map(i8s), [50.0, 0.0, 1.0, 8.0]);
    let cosine = Kernels::<u8>::with_isa(Isa::Scalar, Metric::Cosine).unwrap();
    assert_eq!(cosine.distance(&[1, 2, 3], &[2, 4, 6]), 0.0);
    assert_eq!(cosine.distance(&[0, 0], &[0, 7]), 1.0, "a vector of zeros has no angle");
    let hamming = Kernels::<Bits8>::with_isa(Isa::Scalar, Metric::Hamming).unwrap();
    assert_eq!(hamming.distance(&[Bits8(0b1010), Bits8(0xff)], &[Bits8(0b0110), Bits8(0)]), 10.0);
}

#[test]
fn rows_are_bounded() {
    let caught = |run: fn()| *std::panic::catch_unwind(run).unwrap_err().downcast::<String>().unwrap();
    let view = RowsView::new(&[0.0_f32; 12], 4, 3);
    assert_eq!((view.len(), view.stride(), view.row(2).len()), (3, 4, 4));
    let message = caught(|| _ = RowsView::new(&[0.0_f32; 12], 4, 4));
    assert!(message.contains("4 rows of 4 words in 12 words"), "{message}");
    let message = caught(|| {
        let rows = RowsView::new(&[0.0_f32; 12], 4, 3);
        Kernels::new(Metric::L2).gather(&[0.0; 4], rows, &[0, 3], &mut [0.0; 2]);
    });
    assert!(message.contains("[0, 3]"), "{message}");
    let message = caught(|| {
        let rows = RowsView::new(&[0.0_f32; 12], 4, 3);
        Kernels::new(Metric::L2).scan(&[0.0; 4], rows, 2, &mut [0.0; 2]);
    });
    assert!(message.contains("2 rows from 2 on, of 3"), "{message}");
    let message = caught(|| _ = Kernels::<f32>::new(Metric::L2).distance(&[0.0; 3], &[0.0; 4]));
    assert!(message.contains("3 and 4 words"), "{message}");
    let message = caught(|| _ = Kernels::<f32>::new(Metric::Hamming));
    assert!(message.contains("hamming does not compare f32"), "{message}");
}
