//! Every row rotated, while the graph is built.
//!
//! A row is coded relative to each node that links to it, some 32 times, and each time the graph is written. So it is rotated once, and
//! kept in 16 bits a coordinate: far finer than a code of one bit, whatever the node it is relative to.

use rayon::prelude::*;

use crate::bytes::Array;
use crate::distance::prefetch::prefetch;
use crate::distance::residual::LONGEST;
use crate::distance::simd::{Simd, Task, dispatch, isa, whole};
use crate::ids::Slot;
use crate::quant::rotation::Rotation;
use crate::vectors::dense::Vectors;

use super::layout::LINE;

/// `[rows × dim]`, relative to the mean, in multiples of `step`.
pub(super) struct Rotated {
    words: Array<i16>,
    dim: usize,
    step: f32,
}

impl Rotated {
    /// Takes `rows × rotation.out_dim() × 2` bytes. No row is farther than `radius` from the `mean`.
    pub(super) fn new(rotation: &Rotation, mean: &[f32], radius: f32, vectors: &Vectors) -> Self {
        let dim = rotation.out_dim();
        let step = radius.max(f32::MIN_POSITIVE * 65536.0) / LONGEST;
        let mut words = Array::default();
        words.resize(vectors.len() * dim);
        words.as_mut_slice().par_chunks_mut(dim).enumerate().for_each_init(
            Default::default,
            |(vector, rotated), (slot, out)| {
                vectors.decode(Slot(slot as u32), vector);
                dispatch(isa(), Rotate { rotation, mean, vector, rotated, step, out });
            },
        );
        Rotated { words, dim, step }
    }

    pub(super) fn dim(&self) -> usize {
        self.dim
    }

    /// What one stands for.
    pub(super) fn step(&self) -> f32 {
        self.step
    }

    #[inline(always)]
    pub(super) fn row(&self, slot: u32) -> &[i16] {
        &self.words.as_slice()[slot as usize * self.dim..][..self.dim]
    }

    #[inline(always)]
    pub(super) fn prefetch(&self, slot: u32) {
        self.row(slot).chunks(LINE / size_of::<i16>()).for_each(|line| prefetch(line.as_ptr()));
    }
}

/// Rotates one row.
struct Rotate<'a> {
    rotation: &'a Rotation,
    mean: &'a [f32],
    vector: &'a [f32],
    rotated: &'a mut Vec<f32>,
    step: f32,
    out: &'a mut [i16],
}

impl Task for Rotate<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let centred = self.vector.iter().zip(self.mean).map(|(x, mean)| x - mean);
        self.rotation.rotate(simd, centred, self.rotated);
        let scale = 1.0 / self.step;
        for (word, x) in self.out.iter_mut().zip(&*self.rotated) {
            // No coordinate is greater than the row is long, but for rounding.
            *word = whole((x * scale).clamp(-LONGEST, LONGEST)) as i16;
        }
    }
}
