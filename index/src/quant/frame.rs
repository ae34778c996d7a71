//! The centre and the axes that codes are relative to.

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
