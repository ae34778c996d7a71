//! Every instruction set beside the scalar twin, and the tables beside plain sums.

use super::super::isa::Isa;
use super::super::simd::{Simd, Task, dispatch};
use super::*;

fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

fn vector(dim: usize, state: &mut u64) -> Vec<f32> {
    (0..dim).map(|_| random(state) as f32 / 1e9 - 1.0).collect()
}

/// Codes whose bit of dimension `i` and a lane is `positive(i, lane)`.
fn packed(dim: usize, positive: impl Fn(usize, usize) -> bool) -> Vec<u8> {
    let mut bits = vec![[0; LANES]; dim / 16];
    for (i, lane) in (0..dim).flat_map(|i| (0..LANES).map(move |lane| (i, lane))) {
        bits[i / 16][lane] |= u16::from(positive(i, lane)) << (i % 16);
    }
    let mut codes = vec![0; code_bytes(dim)];
    pack(&bits, &mut codes);
    codes
}

/// Runs one operation with every instruction set of this CPU.
fn with_every_isa<T: Task + Clone>(task: &T) -> Vec<(Isa, T::Output)> {
    let available = Isa::ALL.into_iter().filter(|isa| isa.available());
    available.map(|isa| (isa, dispatch(isa, task.clone()))).collect()
}

/// Factors as they are.
const UNITS: Units = Units { add: 1.0, rescale: 1.0 };

/// A block over given codes, and what each instruction set makes of it.
#[derive(Clone)]
struct Estimates<'a> {
    query: &'a [f32],
    codes: &'a [u8],
    add: [f16; LANES],
    rescale: [f16; LANES],
    bound: f32,
}

impl Task for Estimates<'_> {
    type Output = ([f32; LANES], u32, Table);
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Self::Output {
        let (mut table, mut out) = (Table::default(), [0.0; LANES]);
        table.set(simd, self.query);
        let block = Block { codes: self.codes, add: &self.add, rescale: &self.rescale, units: UNITS };
        let below = simd.estimates(block, &table, 1.5, self.bound, self.codes, &mut out);
        (out, below, table)
    }
}

#[test]
fn a_nibble_lies_where_it_was_put() {
    let dim = 32;
    for lane in 0..LANES {
        let codes = packed(dim, |i, other| other == lane && i % 3 == 1);
        for group in 0..dim / 4 {
            let expected = (0..4).fold(0, |nibble, i| nibble << 1 | u8::from((4 * group + i) % 3 == 1));
            for other in 0..LANES {
                let nibble = pack::nibble(&codes, group, other);
                assert_eq!(nibble, if other == lane { expected } else { 0 }, "lane {lane} group {group} at {other}");
            }
        }
    }
}

/// Tables, sums, estimates and masks are the same in every instruction set, bit for bit, over all widths.
#[test]
fn estimates_agree_bit_for_bit() {
    let mut state = 11;
    for dim in (16..=2048).step_by(16) {
        let query = vector(dim, &mut state);
        let codes: Vec<u8> = (0..code_bytes(dim)).map(|_| random(&mut state) as u8).collect();
        let mut add: [f16; LANES] = std::array::from_fn(|_| f16::from_f32(random(&mut state) as f32 / 1e9));
        add[5] = f16::INFINITY;
        let rescale = std::array::from_fn(|_| f16::from_f32(-(random(&mut state) as f32) / 1e9));
        let task = Estimates { query: &query, codes: &codes, add, rescale, bound: 0.5 };
        let (expected, below, table) = task.clone().run(scalar::Scalar);
        for (isa, (found, mask, bytes)) in with_every_isa(&task) {
            assert_eq!(bytes.bytes(), table.bytes(), "{isa} {dim}");
            assert!(
                (bytes.step / table.step - 1.0).abs() < 1e-6 && (bytes.base - table.base).abs() < 1e-3,
                "{isa} {dim}"
            );
            for lane in 0..LANES {
                let close = (found[lane] - expected[lane]).abs() <= 1e-5 * expected[lane].abs().max(dim as f32);
                assert!(close || found[lane] == expected[lane], "{isa} {dim} lane {lane}");
                assert_eq!(mask >> lane & 1 == 1, found[lane] < 0.5, "{isa} {dim} lane {lane}");
            }
            assert!(below.count_ones().abs_diff(mask.count_ones()) <= 1, "{isa} {dim}");
        }
    }
}

/// Every bit set and every coordinate at its largest: the sums come to the brim of 16 bits and not over it.
#[test]
fn no_sum_overflows() {
    for dim in [16, 1024, 1040, 2048, 4096, 32768] {
        let query = vec![3.5; dim];
        let codes = packed(dim, |_, _| true);
        let task =
            Estimates { query: &query, codes: &codes, add: [f16::ZERO; LANES], rescale: [f16::ONE; LANES], bound: 0.0 };
        for (isa, (found, ..)) in with_every_isa(&task) {
            let exact = 1.5 + 0.5 * 3.5 * dim as f32;
            for estimate in found {
                assert!((estimate / exact - 1.0).abs() < 0.5, "{isa} {dim}: {estimate}, expected about {exact}");
            }
        }
    }
}

/// The look-ups give the product of the query with the code as ±½, but for rounding to steps.
#[test]
fn a_table_s_product_is_that_of_the_query() {
    let (mut state, dim) = (5, 96);
    let query = vector(dim, &mut state);
    let bits: Vec<bool> = (0..dim).map(|_| random(&mut state).is_multiple_of(2)).collect();
    let codes = packed(dim, |i, lane| lane == 7 && bits[i]);
    let exact: f32 = query.iter().zip(&bits).map(|(x, &bit)| if bit { 0.5 * x } else { -0.5 * x }).sum();
    let task =
        Estimates { query: &query, codes: &codes, add: [f16::ZERO; LANES], rescale: [f16::ONE; LANES], bound: 0.0 };
    for (isa, (found, _, table)) in with_every_isa(&task) {
        let error = (found[7] - 1.5 - exact).abs();
        assert!(error <= 0.5 * table.step * dim as f32 / 2.0, "{isa}: {}, expected {exact}", found[7] - 1.5);
    }
}

#[derive(Clone)]
struct Product<'a>(&'a [u8], &'a [i8]);

impl Task for Product<'_> {
    type Output = i32;
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> i32 {
        simd.product(self.0, self.1)
    }
}

#[test]
fn products_are_exact() {
    let mut state = 3;
    for len in (64..=1088).step_by(64) {
        let code: Vec<u8> = (0..len).map(|_| random(&mut state) as u8).collect();
        let query: Vec<i8> = (0..len).map(|_| random(&mut state) as i8).collect();
        for (code, query) in [(&code, &query), (&vec![255; len], &vec![-128; len]), (&vec![255; len], &vec![127; len])]
        {
            let expected: i64 = code.iter().zip(query).map(|(&a, &b)| i64::from(a) * i64::from(b)).sum();
            for (isa, found) in with_every_isa(&Product(code, query)) {
                assert_eq!(i64::from(found), expected, "{isa} {len}");
            }
        }
    }
}

#[derive(Clone)]
struct Compress<'a>(u32, &'a [f32; LANES], &'a [u32; LANES]);

impl Task for Compress<'_> {
    type Output = ([f32; LANES], [u32; LANES]);
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Self::Output {
        let (mut distances, mut slots) = ([0.0; LANES], [0; LANES]);
        simd.compress(self.0, (self.1, self.2), (&mut distances, &mut slots));
        (distances, slots)
    }
}

#[test]
fn chosen_lanes_come_to_the_front() {
    let mut state = 17;
    let distances = std::array::from_fn(|_| random(&mut state) as f32);
    let slots = std::array::from_fn(|_| random(&mut state) as u32);
    for mask in [0, 1, 0xffff, 0x8000_0000, 0xffff_ffff].into_iter().chain((0..200).map(|_| random(&mut state) as u32))
    {
        let chosen: Vec<usize> = (0..LANES).filter(|lane| mask >> lane & 1 == 1).collect();
        for (isa, (found, found_slots)) in with_every_isa(&Compress(mask, &distances, &slots)) {
            for at in 0..LANES {
                let expected = chosen.get(at).map_or(f32::INFINITY, |&lane| distances[lane]);
                assert_eq!(found[at], expected, "{isa} {mask:x}");
                assert!(chosen.get(at).is_none_or(|&lane| slots[lane] == found_slots[at]), "{isa} {mask:x}");
            }
        }
    }
}

#[derive(Clone)]
struct Unmarked<'a>(&'a [u32], &'a [u32; LANES], u32);

impl Task for Unmarked<'_> {
    type Output = u32;
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> u32 {
        simd.unmarked(self.0, self.1, self.2)
    }
}

#[test]
fn marked_lanes_are_left_out() {
    let mut state = 19;
    for words in [0, 1, 3, 400] {
        for _ in 0..50 {
            let marks: Vec<u32> = (0..words).map(|_| random(&mut state) as u32).collect();
            // Some slots lie beyond the words.
            let slots: [u32; LANES] = std::array::from_fn(|_| (random(&mut state) % (32 * words as u64 + 40)) as u32);
            let mask = random(&mut state) as u32;
            let marked = |slot: u32| marks.get(slot as usize / 32).is_some_and(|word| word >> (slot % 32) & 1 == 1);
            let lanes = (0..LANES).filter(|&lane| mask >> lane & 1 == 1 && !marked(slots[lane]));
            let expected = lanes.fold(0, |mask, lane| mask | 1 << lane);
            for (isa, found) in with_every_isa(&Unmarked(&marks, &slots, mask)) {
                assert_eq!(found, expected, "{isa} {slots:?} {mask:x}");
            }
        }
    }
}

#[derive(Clone)]
struct Least<'a>(&'a [f32]);

impl Task for Least<'_> {
    type Output = usize;
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> usize {
        simd.least(self.0)
    }
}

#[test]
fn the_first_of_the_least_is_found() {
    let mut state = 23;
    for len in (0..=160).step_by(16) {
        for _ in 0..20 {
            let values: Vec<f32> = (0..len).map(|_| (random(&mut state) % 40) as f32 - 20.0).collect();
            let least = values.iter().copied().fold(f32::INFINITY, f32::min);
            let expected = values.iter().position(|&value| value == least).unwrap_or(0);
            for (isa, found) in with_every_isa(&Least(&values)) {
                assert_eq!(found, expected, "{isa} {values:?}");
            }
        }
    }
}
