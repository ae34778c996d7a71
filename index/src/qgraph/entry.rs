//! Where walks begin: a sample of nodes, scored all at once.
//!
//! Instead of HNSW's upper levels, a few hundred nodes drawn at random have codes relative to the mean of all rows, packed as the
//! neighbours of a node are. Scanning them costs about what two hops do, and saves more: a walk begins at the nearest of them.

use half::f16;

use crate::bytes::Array;
use crate::distance::fastscan::scalar::Scalar;
use crate::distance::fastscan::{Block, LANES, Table, Units, code_bytes, pack};
use crate::distance::simd::Simd;
use crate::metric::Metric;
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
                let code = neighbor::encode(
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

    /// The entries nearest by estimate among those that `may` be begun at, nearest first, as far as there are any. All estimates, in whole
    /// blocks, are put into `all`, if that is given; they are less than distances by that of the query from the mean.
    #[inline(always)]
    pub(crate) fn nearest<S: Simd, M: Fn(u32) -> bool>(
        &self,
        simd: S,
        table: &Table,
        units: Units,
        may: M,
        mut all: Option<&mut Vec<[f32; LANES]>>,
    ) -> impl Iterator<Item = u32> + use<S, M> {
        let mut best = [(f32::INFINITY, u32::MAX); STARTS];
        let blocks = self.blocks.as_slice().chunks_exact(block_bytes(table.dim()));
        for (bytes, slots) in blocks.zip(self.slots.as_slice().as_chunks::<LANES>().0) {
            let (factors, codes) = bytes.split_at(2 * HALF_BYTES);
            let factors: &[f16] = bytemuck::cast_slice(factors);
            let (add, rescale) = factors.split_at(LANES);
            let add = add.first_chunk().expect("two lane arrays");
            let rescale = rescale.first_chunk().expect("two lane arrays");
            let mut estimates = [0.0; LANES];
            let bound = best[STARTS - 1].0;
            let mut below =
                simd.estimates(Block { codes, add, rescale, units }, table, 0.0, bound, &[], &mut estimates);
            if let Some(all) = &mut all {
                all.push(estimates);
            }
            while below != 0 {
                let lane = below.trailing_zeros() as usize;
                below &= below - 1;
                let mut new = (estimates[lane], slots[lane]);
                if best.iter().any(|kept| kept.1 == new.1) || !may(new.1) {
                    continue;
                }
                for kept in &mut best {
                    if new.0 < kept.0 {
                        std::mem::swap(kept, &mut new);
                    }
                }
            }
        }
        best.into_iter().filter(|kept| kept.1 != u32::MAX).map(|kept| kept.1)
    }
}
