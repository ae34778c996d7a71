//! The centre and the axes that codes are relative to.

use rayon::prelude::*;

use crate::bytes::Array;
use crate::distance::simd::Simd;

use super::rotation::Rotation;

/// A centre, and a rotation unless coordinates stay as they are.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    /// `[dim]`.
    pub(crate) centre: Array<f32>,
    rotation: Option<Rotation>,
}

impl Frame {
    pub(crate) fn new(centre: Array<f32>, rotation: Option<Rotation>) -> Self {
        Frame { centre, rotation }
    }

    /// Coordinates of what comes out: a multiple of 32.
    pub(crate) fn out_dim(&self) -> usize {
        self.rotation.as_ref().map_or(self.centre.len().next_multiple_of(32), Rotation::out_dim)
    }

    /// `out` = `vector` as the frame has it; returns the product of the two `vector` and centre, before that.
    #[inline(always)]
    pub(crate) fn enter<S: Simd>(&self, simd: S, vector: &[f32], out: &mut Vec<f32>) -> f32 {
        let centre = self.centre.as_slice();
        let centred = vector.iter().zip(centre).map(|(x, centre)| x - centre);
        match &self.rotation {
            Some(rotation) => rotation.rotate(simd, centred, out),
            None => {
                out.clear();
                out.extend(centred);
                out.resize(self.out_dim(), 0.0);
            }
        }
        let (stripes, rest) = vector.as_chunks::<16>();
        let (centres, rest_centres) = centre.as_chunks::<16>();
        let mut products = [0.0_f32; 16];
        for (x, centre) in stripes.iter().zip(centres) {
            for i in 0..16 {
                products[i] += x[i] * centre[i];
            }
        }
        products.iter().sum::<f32>() + rest.iter().zip(rest_centres).map(|(x, centre)| x * centre).sum::<f32>()
    }

    /// Turns a vector of the frame back into one outside it.
    pub(crate) fn leave(&self, vector: &mut Vec<f32>) {
        match &self.rotation {
            Some(rotation) => rotation.back(vector),
            None => vector.truncate(self.centre.len()),
        }
        vector.iter_mut().zip(self.centre.as_slice()).for_each(|(x, centre)| *x += centre);
    }

    /// Length of the centre, squared.
    pub(crate) fn square(&self) -> f64 {
        self.centre.as_slice().iter().map(|&x| f64::from(x) * f64::from(x)).sum()
    }
}

/// The sum of the coordinates' squares, in sixteen parts, so that it is vectorised.
#[inline(always)]
pub(crate) fn square_of(x: &[f32]) -> f32 {
    let (stripes, rest) = x.as_chunks::<16>();
    let mut squares = [0.0_f32; 16];
    for stripe in stripes {
        for i in 0..16 {
            squares[i] += stripe[i] * stripe[i];
        }
    }
    squares.iter().sum::<f32>() + rest.iter().map(|x| x * x).sum::<f32>()
}

/// The mean of `rows` rows, which `decode` writes.
pub(crate) fn mean_of(rows: usize, dim: usize, decode: impl Fn(u32, &mut Vec<f32>) + Sync) -> Array<f32> {
    // Sums of fixed parts, added in order: the same on any number of threads.
    const PART: usize = 1024;
    let part = |part: usize| {
        let (mut sums, mut vector) = (vec![0.0_f64; dim], Vec::new());
        for slot in part * PART..rows.min((part + 1) * PART) {
            decode(slot as u32, &mut vector);
            sums.iter_mut().zip(&vector).for_each(|(sum, &x)| *sum += f64::from(x));
        }
        sums
    };
    let parts: Vec<Vec<f64>> = (0..rows.div_ceil(PART)).into_par_iter().map(part).collect();
    let mut mean = Array::default();
    mean.resize(dim);
    let count = rows.max(1) as f64;
    for (i, mean) in mean.as_mut_slice().iter_mut().enumerate() {
        *mean = (parts.iter().map(|sums| sums[i]).sum::<f64>() / count) as f32;
    }
    mean
}

/// The greatest distance of a row from the mean.
pub(crate) fn radius_of(rows: usize, decode: impl Fn(u32, &mut Vec<f32>) + Sync, mean: &[f32]) -> f32 {
    let of = |slot: usize| {
        let mut vector = Vec::new();
        decode(slot as u32, &mut vector);
        vector.iter().zip(mean).map(|(x, mean)| (x - mean) * (x - mean)).sum::<f32>().sqrt()
    };
    (0..rows).into_par_iter().map(of).reduce(|| 0.0, f32::max)
}
