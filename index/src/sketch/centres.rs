//! [`Centres`]: the centres of cells, and how far a query is from them.
//!
//! There is a centre for every hundred rows or so, and of a million rows to compare them all takes a quarter of a scan. So many centres have
//! codes too, a [`Sketch`] of their own: all are estimated and the nearest by their estimates compared, about eight times the square root of
//! how many there are. A scan that ends by patience hardly comes to others; where it does, each is compared when its turn comes.

use half::f16;

use crate::metric::{ElementType, Metric};
use crate::quant::frame::{Frame, mean_of};
use crate::quant::rotation::Rotation;
use crate::rows::{Rows, VectorRef};
use crate::spec::VectorSpec;
use crate::vectors::dense::{Dense, Line};

use super::Sketch;

/// Fewer centres are compared at once.
const LEAST_SKETCHED: usize = 2048;

/// Centres that are compared before their turn, for each unit of the square root of how many there are: about twice those of the cells
/// that are looked at.
const COMPARED: usize = 8;

/// One of so many estimates is drawn to tell how small that of a centre must be for it to be compared.
const DRAWN: usize = 8;

/// Points of cells, relative to the frame's centre and scaled.
#[derive(Debug, Clone)]
pub(super) struct Centres {
    vectors: Dense<f16>,
    scale: f32,
    sketch: Option<Box<Sketch>>,
}

/// The squared distances of centres from one query.
#[derive(Debug, Default)]
pub(super) struct Distances {
    vector: Vec<f32>,
    words: Vec<Line>,
    /// Of all, or none where all were measured.
    estimates: Vec<f32>,
    drawn: Vec<f32>,
    /// Those with no larger estimates were measured.
    bound: f32,
    measured: Vec<u32>,
    squares: Vec<f32>,
}

impl Centres {
    /// Of `centres`, each of `dim` coordinates, which are as many times smaller than those of rows as `scale` says.
    pub(super) fn new(dim: usize, scale: f32, centres: &[&[f32]]) -> Self {
        let spec = |element| VectorSpec::new(dim, Metric::L2, element).expect("rows have such a dimension");
        let mut vectors = Dense::new(spec(ElementType::F16));
        for centre in centres {
            vectors.extend(Rows::one(VectorRef::from(*centre))).expect("no centre is beyond the radius");
        }
        let sketch = (centres.len() >= LEAST_SKETCHED).then(|| {
            let decode = |at: u32, out: &mut Vec<f32>| vectors.decode(at as usize, out);
            let mean = mean_of(centres.len(), dim, decode);
            let frame = Frame::new(mean, Some(Rotation::new(dim, 0)));
            Box::new(Sketch::within(frame, spec(ElementType::F32), centres.len(), decode))
        });
        Centres { vectors, scale, sketch }
    }

    /// Bytes of one of `dim` coordinates, where a block of codes takes `block` bytes.
    pub(super) fn bytes_of_one(dim: usize, block: usize) -> usize {
        2 * dim.next_multiple_of(32) + block.div_ceil(super::LANES)
    }

    pub(super) fn bytes(&self) -> usize {
        self.vectors.array().bytes() + self.sketch.as_ref().map_or(0, |sketch| sketch.bytes())
    }

    /// What rows' lengths are multiplied by.
    pub(super) fn scale(&self) -> f32 {
        self.scale
    }

    /// A centre as rows are, `frame` being what they are relative to.
    pub(super) fn leave(&self, at: usize, frame: &Frame, out: &mut Vec<f32>) {
        self.vectors.decode(at, out);
        out.iter_mut().zip(frame.centre.as_slice()).for_each(|(x, centre)| *x = *x / self.scale + centre);
    }

    /// Measures how far all are from `query`.
    pub(super) fn measure(&self, frame: &Frame, query: &[f32], distances: &mut Distances) {
        let is_encoded = self.ask(frame, query, distances);
        let Distances { vector, words, estimates, measured, squares, .. } = distances;
        estimates.clear();
        measured.clear();
        measured.extend(0..self.vectors.len() as u32);
        squares.resize(self.vectors.len(), 0.0);
        if is_encoded {
            let view = self.vectors.view();
            return view.kernels.scan(bytemuck::cast_slice(words), view.rows, 0, squares);
        }
        // So far away that half floats cannot say.
        let mut centre = Vec::new();
        for (at, square) in squares.iter_mut().enumerate() {
            self.vectors.decode(at, &mut centre);
            *square = centre.iter().zip(&*vector).map(|(c, x)| (x - c) * (x - c)).sum();
        }
    }

    /// Measures how far the nearest are from `query`, and estimates the others; where there are few, measures all.
    pub(super) fn measure_nearest(&self, frame: &Frame, query: &[f32], distances: &mut Distances) {
        let Some(sketch) = self.sketch.as_ref().filter(|_| self.ask(frame, query, distances)) else {
            return self.measure(frame, query, distances);
        };
        let Distances { vector, words, estimates, drawn, bound, measured, squares } = distances;
        estimates.clear();
        sketch.estimates(vector, |_, of_block| estimates.extend_from_slice(of_block));
        drawn.clear();
        drawn.extend(estimates.iter().step_by(DRAWN));
        let (_, &mut most, _) =
            drawn.select_nth_unstable_by(COMPARED * self.vectors.len().isqrt() / DRAWN, f32::total_cmp);
        *bound = most;
        measured.clear();
        measured.extend((0..).zip(&*estimates).filter_map(|(at, &estimate)| (estimate <= most).then_some(at)));
        squares.resize(measured.len(), 0.0);
        self.vectors.view().gather(bytemuck::cast_slice(words), measured, squares);
    }

    /// Puts `query` into `distances` as centres are; whether half floats can say it.
    fn ask(&self, frame: &Frame, query: &[f32], distances: &mut Distances) -> bool {
        let Distances { vector, words, .. } = distances;
        vector.clear();
        vector.extend(query.iter().zip(frame.centre.as_slice()).map(|(x, centre)| (x - centre) * self.scale));
        self.vectors.encode(VectorRef::from(vector.as_slice()), words).is_ok()
    }

    /// How far one is from the query that was asked for last.
    pub(super) fn measure_one(&self, at: u32, distances: &Distances) -> f32 {
        let view = self.vectors.view();
        view.kernels.distance(bytemuck::cast_slice(&distances.words), view.row(at))
    }
}

impl Distances {
    /// Of those that were measured, with their numbers.
    pub(super) fn measured(&self) -> impl Iterator<Item = (u32, f32)> {
        self.measured.iter().copied().zip(self.squares.iter().copied())
    }

    /// Estimates of the others, with their numbers.
    pub(super) fn estimated(&self) -> impl Iterator<Item = (u32, f32)> {
        (0..).zip(self.estimates.iter().copied()).filter(|&(_, estimate)| estimate.is_nan() || estimate > self.bound)
    }

    /// Of all, where all were [measured](Centres::measure).
    pub(super) fn squares(&self) -> &[f32] {
        &self.squares
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::Array;

    /// The nearest are known at once, the others when they are asked for, and from afar all.
    #[test]
    fn distances_are_those_of_all_compared() {
        let (dim, count, scale, seed) = (24, 3 * LEAST_SKETCHED / 2, 0.25, 5_u64);
        let mut state = seed;
        let mut draw = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 24) as f32 - 0.5
        };
        let points: Vec<Vec<f32>> = (0..count).map(|_| (0..dim).map(|_| draw()).collect()).collect();
        let mut centre = Array::default();
        centre.extend(&[1.0; 24]);
        let frame = Frame::new(centre, None);
        let centres = Centres::new(dim, scale, &points.iter().map(|point| &point[..]).collect::<Vec<_>>());
        assert!(centres.sketch.is_some() && centres.bytes() <= count * Centres::bytes_of_one(dim, 1024));
        let (mut exact, mut distances) = (Distances::default(), Distances::default());
        for round in 0..20 {
            let query: Vec<f32> = (0..dim).map(|_| 1.0 + draw() / scale).collect();
            centres.measure(&frame, &query, &mut exact);
            assert_eq!((exact.measured().count(), exact.estimated().count()), (count, 0));
            centres.measure_nearest(&frame, &query, &mut distances);
            let mut nearest: Vec<usize> = (0..count).collect();
            nearest.sort_by(|&a, &b| exact.squares()[a].total_cmp(&exact.squares()[b]));
            let mut known = vec![None; count];
            distances.measured().for_each(|(at, square)| known[at as usize] = Some(square));
            let found = nearest[..100].iter().filter(|&&at| known[at].is_some()).count();
            let open = distances.estimated().count();
            assert!(found >= 95 && open > count / 2, "seed {seed}, round {round}: {found} found, {open} open");
            assert_eq!(open + distances.measured().count(), count, "seed {seed}, round {round}");
            let close = |found: f32, square: f32, far: f32| {
                assert!((found - square).abs() <= far * square, "seed {seed}, round {round}: {found}, not {square}");
            };
            for (at, square) in (0..).zip(exact.squares()) {
                close(centres.measure_one(at, &distances), *square, 1e-5);
                known[at as usize].into_iter().for_each(|known| close(known, *square, 1e-5));
            }
            distances.estimated().for_each(|(at, estimate)| close(estimate, exact.squares()[at as usize], 1.0));
        }
        let (mut far, query) = (Distances::default(), [1e30; 24]);
        centres.measure_nearest(&frame, &query, &mut far);
        let beyond = far.measured().filter(|&(_, square)| square > 1e30 && !square.is_finite()).count();
        assert_eq!((beyond, far.estimated().count()), (count, 0));
    }
}
