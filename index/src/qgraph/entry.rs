//! Where walks begin: a sample of nodes, scored all at once.
//!
//! Instead of HNSW's upper levels, a few hundred nodes drawn at random have codes relative to the mean of all rows, packed as the
//! neighbours of a node are. Scanning them costs about what two hops do, and saves more: a walk begins at the nearest of them. And they are a
//! sample of all nodes, so the nearest show which part of the rows near a query matches a filter.

use half::f16;

use crate::bytes::Array;
use crate::distance::fastscan::scalar::Scalar;
use crate::distance::fastscan::{Block, LANES, Table, Units, code_bytes, pack};
use crate::distance::simd::Simd;
use crate::metric::Metric;
use crate::planner::Near;
use crate::quant::neighbor;

use super::rotated::Rotated;

/// Nodes walks may begin at, with their codes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Entries {
    /// The nodes, in blocks of 32; the last is filled up with repetitions.
    pub(crate) slots: Array<u32>,
    /// Per block: constants, factors, codes.
    pub(crate) blocks: Array<u8>,
}

/// Begin at this many of the nearest entries: estimates may err, and two walks that meet cost little.
pub(crate) const STARTS: usize = 2;

const HALF_BYTES: usize = size_of::<f16>() * LANES;

/// Bytes of one block for vectors of `dim` dimensions after rotation.
pub(crate) const fn block_bytes(dim: usize) -> usize {
    2 * HALF_BYTES + code_bytes(dim)
}

impl Entries {
    /// Of the nodes `slots`.
    pub(super) fn new(slots: &[u32], rotated: &Rotated, metric: Metric, units: Units) -> Self {
        let mut entries = Entries::default();
        let dim = rotated.dim();
        let (mean, mut bits) = (vec![0; dim], neighbor::bits(dim));
        for block in slots.chunks(LANES) {
            let padded: [u32; LANES] = std::array::from_fn(|lane| block[lane.min(block.len() - 1)]);
            let (mut add, mut rescale) = ([f16::ZERO; LANES], [f16::ZERO; LANES]);
            let at = entries.blocks.len();
            entries.blocks.resize(at + block_bytes(dim));
            let (factors, codes) = entries.blocks.as_mut_slice()[at..].split_at_mut(2 * HALF_BYTES);
            for (lane, &slot) in padded.iter().enumerate() {
                let code = neighbor::encode_words(
                    Scalar,
                    (&mut bits, lane),
                    &mean,
                    rotated.row(slot),
                    rotated.step(),
                    metric,
                    units,
                );
                (add[lane], rescale[lane]) = (code.add, code.rescale);
            }
            pack(&bits, codes);
            factors[..HALF_BYTES].copy_from_slice(bytemuck::cast_slice(&add));
            factors[HALF_BYTES..].copy_from_slice(bytemuck::cast_slice(&rescale));
            let known = entries.slots.len();
            entries.slots.resize(known + LANES);
            entries.slots.as_mut_slice()[known..].copy_from_slice(&padded);
        }
        entries
    }

    /// The entries nearest by estimate, nearest first.
    #[inline(always)]
    pub(crate) fn nearest<S: Simd>(&self, simd: S, table: &Table, units: Units) -> impl Iterator<Item = u32> + use<S> {
        let mut best = Best::default();
        for (block, slots) in self.blocks_of(table, units).zip(self.slots_of()) {
            let mut estimates = [0.0; LANES];
            let below = simd.estimates(block, table, 0.0, best.bound(), &[], &mut estimates);
            best.insert(below, &estimates, slots, |_| true);
        }
        best.slots()
    }

    /// Puts the estimates of all entries into `all`, in whole blocks, infinite where an entry is repeated; `common` is what they have in
    /// common, the query's distance from the mean.
    #[inline(always)]
    pub(crate) fn estimate<S: Simd>(
        &self,
        simd: S,
        table: &Table,
        units: Units,
        common: f32,
        all: &mut Vec<[f32; LANES]>,
    ) {
        all.clear();
        for block in self.blocks_of(table, units) {
            let mut estimates = [0.0; LANES];
            simd.estimates(block, table, common, f32::INFINITY, &[], &mut estimates);
            all.push(estimates);
        }
        all.as_flattened_mut()[self.len()..].fill(f32::INFINITY);
    }

    /// As [`nearest`](Entries::nearest), by their estimates `all`, among those that `may` be begun at, as far as there are any.
    #[inline(always)]
    pub(crate) fn nearest_of<S: Simd, M: Fn(u32) -> bool>(
        &self,
        simd: S,
        all: &[[f32; LANES]],
        may: M,
    ) -> impl Iterator<Item = u32> + use<S, M> {
        let mut best = Best::default();
        for (estimates, slots) in all.iter().zip(self.slots_of()) {
            best.insert(simd.below(estimates, best.bound()), estimates, slots, &may);
        }
        best.slots()
    }

    /// How many of the nearest [`Near::OF`] match, by their estimates `all`.
    pub(crate) fn near(&self, all: &[[f32; LANES]], order: &mut Vec<f32>, matches: impl Fn(u32) -> bool) -> Near {
        let all = &all.as_flattened()[..self.len()];
        order.clear();
        order.extend_from_slice(all);
        let of = (Near::OF as usize).min(order.len());
        if of == 0 {
            return Near::default();
        }
        let (_, &mut farthest, _) = order.select_nth_unstable_by(of - 1, f32::total_cmp);
        let mut near = Near::default();
        for (_, &slot) in all.iter().zip(self.slots.as_slice()).filter(|(estimate, _)| **estimate <= farthest) {
            near.of += 1;
            near.matching += u32::from(matches(slot));
        }
        near
    }

    /// Number of entries, without the repetitions of the last.
    pub(crate) fn len(&self) -> usize {
        let slots = self.slots.as_slice();
        let Some(last) = slots.last() else { return 0 };
        slots.len() + 1 - slots.iter().rev().take_while(|&slot| slot == last).count()
    }

    #[inline(always)]
    fn slots_of(&self) -> impl Iterator<Item = &[u32; LANES]> {
        self.slots.as_slice().as_chunks().0.iter()
    }

    #[inline(always)]
    fn blocks_of(&self, table: &Table, units: Units) -> impl Iterator<Item = Block<'_>> {
        self.blocks.as_slice().chunks_exact(block_bytes(table.dim())).map(move |bytes| {
            let (factors, codes) = bytes.split_at(2 * HALF_BYTES);
            let factors: &[f16] = bytemuck::cast_slice(factors);
            let (add, rescale) = factors.split_at(LANES);
            let add = add.first_chunk().expect("two lane arrays");
            let rescale = rescale.first_chunk().expect("two lane arrays");
            Block { codes, add, rescale, units }
        })
    }
}

/// The nearest entries so far: estimate, slot.
struct Best([(f32, u32); STARTS]);

impl Default for Best {
    fn default() -> Self {
        Best([(f32::INFINITY, u32::MAX); STARTS])
    }
}

impl Best {
    /// Beyond this none is among them.
    #[inline(always)]
    fn bound(&self) -> f32 {
        self.0[STARTS - 1].0
    }

    /// Those of the lanes `below` the bound that `may` be.
    #[inline(always)]
    fn insert(&mut self, mut below: u32, estimates: &[f32; LANES], slots: &[u32; LANES], may: impl Fn(u32) -> bool) {
        while below != 0 {
            let lane = below.trailing_zeros() as usize;
            below &= below - 1;
            let mut new = (estimates[lane], slots[lane]);
            if self.0.iter().any(|kept| kept.1 == new.1) || !may(new.1) {
                continue;
            }
            for kept in &mut self.0 {
                if new.0 < kept.0 {
                    std::mem::swap(kept, &mut new);
                }
            }
        }
    }

    #[inline(always)]
    fn slots(self) -> impl Iterator<Item = u32> {
        self.0.into_iter().filter(|kept| kept.1 != u32::MAX).map(|kept| kept.1)
    }
}
