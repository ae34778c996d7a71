//! [`Centres`]: the centres of cells, and how far a query is from them.
//!
//! There is a centre for every hundred rows or so, and of a million rows to compare them all takes a quarter of a scan. So many centres have
//! codes too, a [`Sketch`] of their own: all are estimated, the nearest by their estimates compared, and a scan that ends by patience hardly
//! comes to others. Where it does, these come in the order of their estimates, and each is compared when its turn comes.

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
    /// Where there are estimates, not a number for those that are known by these alone.
    squares: Vec<f32>,
    /// Of all, or none.
    estimates: Vec<f32>,
    /// Estimates as numbers that sort as they do, above the numbers of centres.
    keys: Vec<u64>,
    compared: Vec<u32>,
    of_compared: Vec<f32>,
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
        let Distances { vector, words, squares, estimates, .. } = distances;
        estimates.clear();
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
        let (count, compared) = (self.vectors.len(), COMPARED * self.vectors.len().isqrt());
        let Some(sketch) = self.sketch.as_ref().filter(|_| self.ask(frame, query, distances)) else {
            return self.measure(frame, query, distances);
        };
        let Distances { vector, words, squares, estimates, keys, compared: slots, of_compared } = distances;
        estimates.clear();
        sketch.estimates(vector, |_, of_block| estimates.extend_from_slice(of_block));
        keys.clear();
        keys.extend((0_u64..).zip(&*estimates).map(|(at, estimate)| u64::from(estimate.max(0.0).to_bits()) << 32 | at));
        keys.select_nth_unstable(compared);
        slots.clear();
        slots.extend(keys[..compared].iter().map(|&key| key as u32));
        of_compared.resize(compared, 0.0);
        self.vectors.view().gather(bytemuck::cast_slice(words), slots, of_compared);
        squares.clear();
        squares.resize(count, f32::NAN);
        slots.iter().zip(&*of_compared).for_each(|(&at, &square)| squares[at as usize] = square);
    }

    /// Puts `query` into `distances` as centres are; whether half floats can say it.
    fn ask(&self, frame: &Frame, query: &[f32], distances: &mut Distances) -> bool {
        let Distances { vector, words, .. } = distances;
        vector.clear();
        vector.extend(query.iter().zip(frame.centre.as_slice()).map(|(x, centre)| (x - centre) * self.scale));
        self.vectors.encode(VectorRef::from(vector.as_slice()), words).is_ok()
    }

    /// Measures how far one is that was estimated alone.
    #[cold]
    fn measure_one(&self, at: u32, distances: &mut Distances) {
        let view = self.vectors.view();
        distances.squares[at as usize] = view.kernels.distance(bytemuck::cast_slice(&distances.words), view.row(at));
    }
}

impl Distances {
    /// Of all; estimates where nothing better is known.
    pub(super) fn iter(&self) -> impl Iterator<Item = f32> {
        let of = |(at, &square): (usize, &f32)| if self.is_open(square) { self.estimates[at] } else { square };
        self.squares.iter().enumerate().map(of)
    }

    #[inline(always)]
    fn is_open(&self, square: f32) -> bool {
        square.is_nan() && !self.estimates.is_empty()
    }

    /// All, where all were [measured](Centres::measure).
    pub(super) fn squares(&self) -> &[f32] {
        &self.squares
    }

    /// Of one of `centres`.
    #[inline(always)]
    pub(super) fn of(&mut self, centres: &Centres, at: u32) -> f32 {
        if self.is_open(self.squares[at as usize]) {
            centres.measure_one(at, self);
        }
        self.squares[at as usize]
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
            centres.measure_nearest(&frame, &query, &mut distances);
            let mut nearest: Vec<usize> = (0..count).collect();
            nearest.sort_by(|&a, &b| exact.squares()[a].total_cmp(&exact.squares()[b]));
            let known: Vec<f32> = distances.iter().collect();
            let found = nearest[..100].iter().filter(|&&at| !distances.is_open(distances.squares[at])).count();
            let open = (0..count).filter(|&at| distances.is_open(distances.squares[at])).count();
            assert!(found >= 95 && open > count / 2, "seed {seed}, round {round}: {found} found, {open} open");
            for (at, known) in known.into_iter().enumerate() {
                let square = exact.squares()[at];
                let far = if distances.is_open(distances.squares[at]) { 1.0 } else { 1e-5 };
                assert!((known - square).abs() <= far * square, "seed {seed}, round {round}: {known}, not {square}");
                let settled = distances.of(&centres, at as u32);
                assert!(
                    (settled - square).abs() <= 1e-5 * square,
                    "seed {seed}, round {round}: {settled}, not {square}"
                );
            }
        }
        let (mut far, query) = (Distances::default(), [1e30; 24]);
        centres.measure_nearest(&frame, &query, &mut far);
        assert!(
            far.iter().all(|square| !square.is_finite()) && (0..count as u32).all(|at| far.of(&centres, at) > 1e30)
        );
    }
}
