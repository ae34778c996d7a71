//! The truth: plain loops that every instruction set is compared with.

use super::super::hadamard;
use super::super::nibbles::{self, Gather};
use super::super::residual::{Residual, residual_scalar};
use super::super::simd::Simd;
use super::super::tile::{SIDE, products_scalar};
use super::pack::nibble;
use super::table::entries;
use super::{Block, LANES, Table};

/// Plain Rust.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scalar;

pub(super) fn sums(codes: &[u8], table: &[u8], out: &mut [u16; LANES]) {
    for (lane, out) in out.iter_mut().enumerate() {
        let entry = |group: usize| u16::from(table[group * 16 + usize::from(nibble(codes, group, lane))]);
        *out = (0..table.len() / 16).map(entry).sum();
    }
}

impl Simd for Scalar {
    fn estimates(
        self,
        block: Block<'_>,
        table: &Table,
        distance: f32,
        bound: f32,
        _: &[u8],
        out: &mut [f32; LANES],
    ) -> u32 {
        let mut sums = [0; LANES];
        self::sums(block.codes, table.bytes(), &mut sums);
        let (mut below, unit) = (0, block.units.rescale);
        for lane in 0..LANES {
            let product = f32::from(sums[lane]).mul_add(table.step * unit, table.base * unit);
            let constant = block.add[lane].to_f32().mul_add(block.units.add, distance);
            out[lane] = block.rescale[lane].to_f32().mul_add(product, constant);
            below |= u32::from(out[lane] < bound) << lane;
        }
        below
    }

    fn product(self, code: &[u8], query: &[i8]) -> i32 {
        code.iter().zip(query).map(|(&code, &query)| i32::from(code) * i32::from(query)).sum()
    }

    fn products(self, rows: &[u8], strip: &[i8]) -> [[i32; SIDE]; SIDE] {
        products_scalar(rows, strip)
    }

    fn compress(self, mask: u32, from: (&[f32; LANES], &[u32; LANES]), to: (&mut [f32; LANES], &mut [u32; LANES])) {
        to.0.fill(f32::INFINITY);
        let chosen = (0..LANES).filter(|lane| mask >> lane & 1 == 1);
        for (at, lane) in chosen.enumerate() {
            (to.0[at], to.1[at]) = (from.0[lane], from.1[lane]);
        }
    }

    fn below(self, values: &[f32; LANES], bound: f32) -> u32 {
        (0..LANES).fold(0, |mask, lane| mask | u32::from(values[lane] < bound) << lane)
    }

    #[inline(always)]
    fn unmarked(self, marks: &[u32], slots: &[u32; LANES], mask: u32) -> u32 {
        let (mut left, mut unmarked) = (mask, mask);
        while left != 0 {
            let lane = left.trailing_zeros();
            let slot = slots[lane as usize];
            let marked = marks.get(slot as usize / 32).map_or(0, |word| word >> (slot % 32) & 1);
            unmarked &= !(marked << lane);
            left &= left - 1;
        }
        unmarked
    }

    fn least(self, values: &[f32]) -> usize {
        (1..values.len()).fold(0, |least, i| if values[i] < values[least] { i } else { least })
    }

    fn nibble_products(self, gather: Gather<'_>, out: &mut [i32]) {
        nibbles::scalar::products(gather, out);
    }

    fn fine_product(self, high: &[u8], low: &[u8], query: &[i16]) -> i32 {
        nibbles::scalar::fine_product(high, low, query)
    }

    fn entries(self, steps: &[i8; 16], out: &mut [u8; 64]) {
        for (steps, out) in steps.as_chunks().0.iter().zip(out.as_chunks_mut().0) {
            *out = entries(*steps);
        }
    }

    fn residual(self, node: &[i16], neighbor: &[i16], bits: (&mut [[u16; LANES]], usize)) -> Residual {
        residual_scalar(node, neighbor, bits)
    }

    fn hadamard(self, x: &mut [f32], signs: &[f32]) {
        hadamard::signed(x, signs);
    }
}
