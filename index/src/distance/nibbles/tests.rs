//! Every instruction set beside the scalar twin, and the codebook beside what its header says of it.

use super::super::isa::Isa;
use super::super::simd::{Simd, Task, dispatch};
use super::*;

fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

#[derive(Clone)]
struct Products<'a>(Gather<'a>, usize);

impl Task for Products<'_> {
    type Output = Vec<i32>;
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Vec<i32> {
        let mut out = vec![7; self.1];
        simd.nibble_products(self.0, &mut out);
        out
    }
}

#[derive(Clone)]
struct Fine<'a>(&'a [u8], &'a [u8], &'a [i16]);

impl Task for Fine<'_> {
    type Output = i32;
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> i32 {
        simd.fine_product(self.0, self.1, self.2)
    }
}

fn available() -> impl Iterator<Item = Isa> {
    Isa::ALL.into_iter().filter(|isa| isa.available())
}

#[test]
fn products_are_exact_for_any_number_of_rows() {
    let mut state = 3;
    for dim in (CHUNK..=9 * CHUNK).step_by(CHUNK) {
        let codes: Vec<u8> = (0..20 * dim / 2).map(|_| random(&mut state) as u8).collect();
        let query: Vec<i8> = (0..dim).map(|_| random(&mut state) as i8).collect();
        for levels in [&FOUR, &TWO, &[127; 16]] {
            for count in 0..=9 {
                let slots: Vec<u32> = (0..count).map(|_| (random(&mut state) % 20) as u32).collect();
                for query in [&query, &vec![-128; dim], &vec![127; dim]] {
                    let task = Products(Gather { codes: &codes, slots: &slots, levels, query }, count);
                    let mut expected = vec![0; count];
                    scalar::products(task.0, &mut expected);
                    for isa in available() {
                        assert_eq!(dispatch(isa, task.clone()), expected, "{isa} {dim} {count}");
                    }
                }
            }
        }
    }
}

#[test]
fn fine_products_are_exact() {
    let mut state = 5;
    for dim in (CHUNK..=9 * CHUNK).step_by(CHUNK) {
        for largest in [false, true] {
            let mut draw = || if largest { 255 } else { random(&mut state) as u8 };
            let high: Vec<u8> = (0..dim / 2).map(|_| draw()).collect();
            let low: Vec<u8> = (0..dim / 2).map(|_| draw()).collect();
            let bound = i64::from(i32::MAX) / i64::from(LARGEST) / dim as i64;
            let query: Vec<i16> = (0..dim)
                .map(|_| if largest { bound } else { random(&mut state) as i64 % (2 * bound + 1) - bound })
                .map(|step| step as i16)
                .collect();
            let expected = scalar::fine_product(&high, &low, &query);
            for isa in available() {
                assert_eq!(dispatch(isa, Fine(&high, &low, &query)), expected, "{isa} {dim}");
            }
        }
    }
}

/// Values rise with the byte and are symmetrical; a byte is the nearest to its own value; every reading is of the byte's top bits and
/// names a level within the cell of those bits.
#[test]
fn readings_are_nested() {
    for code in 0..=255_u8 {
        assert_eq!(value(255 - code), -value(code));
        assert_eq!(nearest(f32::from(value(code))), code, "value {}", value(code));
        assert!(code == 255 || value(code) < value(code + 1));
        let (high, level) = (usize::from(code >> 4), |table: &Levels, at: usize| i32::from(table[at]) - MIDDLE);
        let cell = |low: u8, bits: u8| i32::from(value((code & !((1 << (8 - bits)) - 1)) | low));
        assert!((cell(0, 4)..=cell(15, 4)).contains(&(8 * level(&FOUR, high))), "{code}");
        assert!((cell(0, 2)..=cell(63, 2)).contains(&(8 * level(&TWO, high))), "{code}");
        assert_eq!(TWO[high], TWO[high & 12]);
    }
    assert_eq!((nearest(1e9), nearest(-1e9), nearest(0.0)), (255, 0, 128));
    assert!(FOUR.iter().chain(&TWO).all(|&level| level < 128));
}

/// Mean squared errors over a normal distribution, by numerical integration: at 4 bits near the best sixteen levels there are (0.0095,
/// Max 1960), at 2 bits near the best four (0.1175), at 8 bits below the best uniform grid (0.00012 with 256 steps over ±4 deviations is
/// 0.00008).
#[test]
fn a_normal_distribution_is_quantised_well() {
    let (mut four, mut two, mut eight, mut mass) = (0.0, 0.0, 0.0, 0.0);
    for step in -60_000..=60_000 {
        let x = f64::from(step) / 10_000.0;
        let weight = (-0.5 * x * x).exp();
        let code = nearest((x * f64::from(DEVIATION)) as f32);
        let unit = f64::from(DEVIATION);
        let level = |table: &Levels| f64::from(i32::from(table[usize::from(code >> 4)]) - MIDDLE) * 8.0 / unit;
        four += weight * (x - level(&FOUR)).powi(2);
        two += weight * (x - level(&TWO)).powi(2);
        eight += weight * (x - f64::from(value(code)) / unit).powi(2);
        mass += weight;
    }
    let [four, two, eight] = [four, two, eight].map(|error| error / mass);
    assert!(four < 0.0103 && two < 0.123 && eight < 6e-5, "{four} {two} {eight}");
}
