//! One vector in the place of many: fixed-dimensional encodings, whose inner product approximates [`max_sim`].
//!
//! Dhulipala, Hadian, Jayaram, Lee & Mirrokni, "MUVERA: Multi-Vector Retrieval via Fixed Dimensional Encodings"
//! (arXiv:2405.19504). Random hyperplanes cut space into `2^bits` cells. A query's encoding holds, for every cell, the sum
//! of its vectors in there; a document's the mean, so that a query vector meets the mean of the document vectors of its own
//! cell instead of the best of all. Cells where a document has no vector take the vector whose cell is nearest, by the number
//! of hyperplanes between. That is done `repetitions` times with other hyperplanes; vectors may be projected to fewer
//! dimensions by random signs, and the whole to fewer by a count sketch. Both keep inner products in expectation.
//!
//! [`max_sim`]: super::max_sim

use crate::dense::{BatchError, DenseBatch, MultiVectorBatch};
use crate::hybrid::dot;
use crate::random::{Random, mix};

/// More cells than this would be empty ones for any text.
pub const MAX_BITS: u32 = 12;

/// How large an encoding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct FdeParams {
    /// Independent partitions.
    pub repetitions: usize,
    /// Hyperplanes of a partition: it has `2^bits` cells.
    pub bits: u32,
    /// Dimensions kept of each vector; `None`: all.
    pub projected: Option<usize>,
    /// Dimensions of the whole; `None`: repetitions · cells · dimensions kept.
    pub sketched: Option<usize>,
    /// Of the hyperplanes and signs: only encodings of one seed may be compared.
    pub seed: u64,
}

/// Encodes queries and documents of one dimension.
#[derive(Debug, Clone)]
pub struct Fde {
    params: FdeParams,
    dim: usize,
    /// `[repetitions × bits × dim]`, normal.
    planes: Vec<f32>,
    /// `[repetitions × projected × dim]` of ± 1/√projected; empty if vectors are kept whole.
    projection: Vec<f32>,
}

/// Parameters that make no encoding.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: expected {expected}, found {found}")]
pub struct FdeError {
    name: &'static str,
    expected: &'static str,
    found: usize,
}

/// Which side a text is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Query,
    Document,
}

impl Fde {
    /// An encoder for vectors of dimension `dim`.
    pub fn new(params: FdeParams, dim: usize) -> Result<Fde, FdeError> {
        let positive = "at least 1";
        for (name, expected, found, valid) in [
            ("dim", positive, dim, dim > 0),
            ("repetitions", positive, params.repetitions, params.repetitions > 0),
            ("bits", "at most 12", params.bits as usize, params.bits <= MAX_BITS),
            ("projected", positive, 0, params.projected != Some(0)),
            ("sketched", positive, 0, params.sketched != Some(0)),
        ] {
            if !valid {
                return Err(FdeError { name, expected, found });
            }
        }
        let mut random = Random::new(params.seed);
        let planes = params.repetitions * params.bits as usize * dim;
        let planes = (0..planes).map(|_| random.normal() as f32).collect();
        let kept = params.projected.unwrap_or(0);
        let unit = 1.0 / (kept as f32).sqrt();
        let signs = (0..params.repetitions * kept * dim).map(|_| if random.bits() >> 63 == 0 { unit } else { -unit });
        Ok(Fde { params, dim, planes, projection: signs.collect() })
    }

    /// Dimension of every encoding.
    pub fn dim(&self) -> usize {
        self.params.sketched.unwrap_or_else(|| self.unsketched())
    }

    fn unsketched(&self) -> usize {
        (self.params.repetitions << self.params.bits) * self.kept()
    }

    fn kept(&self) -> usize {
        self.params.projected.unwrap_or(self.dim)
    }

    /// The encoding of a query's vectors `[q × dim]`.
    pub fn query(&self, vectors: &[f32]) -> Vec<f32> {
        self.encode(vectors, Side::Query)
    }

    /// The encoding of a document's vectors `[d × dim]`; zeros if it has none.
    pub fn document(&self, vectors: &[f32]) -> Vec<f32> {
        self.encode(vectors, Side::Document)
    }

    /// The encodings of all documents.
    pub fn documents(&self, documents: &MultiVectorBatch) -> Result<DenseBatch, BatchError> {
        let rows = (0..documents.len()).flat_map(|text| self.document(documents.text(text)));
        DenseBatch::new(rows.collect(), self.dim())
    }

    fn encode(&self, vectors: &[f32], side: Side) -> Vec<f32> {
        assert!(vectors.len().is_multiple_of(self.dim), "whole rows of {}", self.dim);
        let (kept, cells) = (self.kept(), 1 << self.params.bits);
        let mut encoding = vec![0.0; self.unsketched()];
        for (repetition, part) in encoding.chunks_exact_mut(cells * kept).enumerate() {
            let rows = vectors.chunks_exact(self.dim);
            let homes: Vec<u32> = rows.clone().map(|row| self.cell(row, repetition)).collect();
            let projected: Vec<f32> = rows.flat_map(|row| self.project(row, repetition)).collect();
            let mut counts = vec![0_u32; cells];
            for (row, &home) in projected.chunks_exact(kept).zip(&homes) {
                counts[home as usize] += 1;
                add(&mut part[home as usize * kept..][..kept], row, 1.0);
            }
            if side == Side::Document {
                for (cell, values) in part.chunks_exact_mut(kept).enumerate() {
                    match counts[cell] {
                        0 => {
                            // The first of the nearest, so that the encoding does not depend on anything but the order.
                            let distance = |&at: &usize| (homes[at] ^ cell as u32).count_ones();
                            let nearest = (0..homes.len()).min_by_key(distance);
                            nearest.into_iter().for_each(|at| add(values, &projected[at * kept..][..kept], 1.0));
                        }
                        count => values.iter_mut().for_each(|value| *value /= count as f32),
                    }
                }
            }
        }
        // Each side takes the root, so that the product is the mean over the repetitions.
        let share = 1.0 / (self.params.repetitions as f32).sqrt();
        encoding.iter_mut().for_each(|value| *value *= share);
        self.sketch(encoding)
    }

    /// The hyperplanes that `row` lies above, as bits.
    fn cell(&self, row: &[f32], repetition: usize) -> u32 {
        let bits = self.params.bits as usize;
        let planes = self.planes[repetition * bits * self.dim..][..bits * self.dim].chunks_exact(self.dim);
        planes.fold(0, |cell, plane| cell << 1 | u32::from(dot(plane, row) > 0.0))
    }

    fn project(&self, row: &[f32], repetition: usize) -> Vec<f32> {
        let Some(kept) = self.params.projected else { return row.to_vec() };
        let signs = &self.projection[repetition * kept * self.dim..][..kept * self.dim];
        signs.chunks_exact(self.dim).map(|signs| dot(signs, row)).collect()
    }

    /// Every number added, with a random sign, to a random place of fewer (Charikar, Chen & Farach-Colton, 2002).
    fn sketch(&self, encoding: Vec<f32>) -> Vec<f32> {
        let Some(places) = self.params.sketched else { return encoding };
        let mut sketch = vec![0.0; places];
        for (at, value) in encoding.into_iter().enumerate() {
            let hash = mix(mix(self.params.seed ^ 0x5eed) ^ at as u64);
            let place = (u128::from(hash << 1) * places as u128) >> 64;
            sketch[place as usize] += if hash >> 63 == 0 { value } else { -value };
        }
        sketch
    }
}

fn add(sum: &mut [f32], row: &[f32], weight: f32) {
    sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += weight * value);
}

#[cfg(test)]
mod tests {
    use super::super::{max_sim, search, tests::texts};
    use super::*;
    use crate::hybrid::best;

    const PLAIN: FdeParams = FdeParams { repetitions: 1, bits: 0, projected: None, sketched: None, seed: 9 };

    #[test]
    fn without_cells_it_is_the_sum_times_the_mean() {
        let mut random = Random::new(1);
        let batch = texts(&mut random, &[5, 7], 12);
        let fde = Fde::new(PLAIN, 12).unwrap();
        let column = |text: &[f32], at: usize| text.chunks(12).map(|row| row[at]).sum::<f32>();
        let (query, document) = (batch.text(0), batch.text(1));
        for at in 0..12 {
            assert_eq!(fde.query(query)[at], column(query, at));
            assert_eq!(fde.document(document)[at], column(document, at) / 7.0);
        }
    }

    #[test]
    fn cells_hold_the_sum_and_the_mean_or_the_nearest() {
        let (seed, dim, bits) = (2, 10, 4);
        let mut random = Random::new(seed);
        let batch = texts(&mut random, &[6, 9], dim);
        let params = FdeParams { repetitions: 3, bits, ..PLAIN };
        let fde = Fde::new(params, dim).unwrap();
        let (query, document) = (fde.query(batch.text(0)), fde.document(batch.text(1)));
        assert_eq!((query.len(), fde.dim()), (3 * 16 * dim, 3 * 16 * dim));
        let mut filled = 0;
        for repetition in 0..3 {
            // Each hyperplane in f64, a cell's number with its first plane as the highest bit.
            let above = |row: &[f32], bit: usize| {
                let plane = &fde.planes[(repetition * 4 + bit) * dim..][..dim];
                plane.iter().zip(row).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>() > 0.0
            };
            let home = |row: &[f32]| (0..4).map(|bit| usize::from(above(row, bit)) << (3 - bit)).sum::<usize>();
            for cell in 0..16 {
                let at = |encoding: &[f32], i: usize| encoding[(repetition * 16 + cell) * dim + i] * 3_f32.sqrt();
                let members = |text| batch.text(text).chunks(dim).filter(|row| home(row) == cell).collect::<Vec<_>>();
                let nearest = || {
                    let rows = batch.text(1).chunks(dim);
                    rows.min_by_key(|row| (home(row) ^ cell).count_ones()).unwrap()
                };
                for i in 0..dim {
                    let sum: f32 = members(0).iter().map(|row| row[i]).sum();
                    assert!((at(&query, i) - sum).abs() < 1e-5, "seed {seed}");
                    let rows = members(1);
                    let mean: f32 = rows.iter().map(|row| row[i]).sum::<f32>() / rows.len() as f32;
                    let expected = if rows.is_empty() { nearest()[i] } else { mean };
                    assert!((at(&document, i) - expected).abs() < 1e-5, "seed {seed}");
                    filled += usize::from(rows.is_empty());
                }
            }
        }
        assert!(filled > 0, "some cells had to be filled");
    }

    #[test]
    fn projection_and_sketch_keep_products_on_average() {
        let dim = 24;
        let mut random = Random::new(5);
        let batch = texts(&mut random, &[3, 4], dim);
        let product = |params: FdeParams| {
            let fde = Fde::new(params, dim).unwrap();
            assert_eq!(fde.query(batch.text(0)).len(), fde.dim());
            f64::from(dot(&fde.query(batch.text(0)), &fde.document(batch.text(1))))
        };
        let exact = product(PLAIN);
        for (projected, sketched) in [(Some(8), None), (None, Some(8)), (Some(8), Some(8))] {
            let products: Vec<f64> =
                (0..2000).map(|seed| product(FdeParams { projected, sketched, seed, ..PLAIN })).collect();
            let mean = products.iter().sum::<f64>() / 2000.0;
            let variance = products.iter().map(|product| (product - mean).powi(2)).sum::<f64>() / 1999.0;
            let error = (variance / 2000.0).sqrt();
            assert!((mean - exact).abs() < 4.0 * error, "{projected:?} {sketched:?}: {mean} ± {error}, not {exact}");
        }
    }

    /// Documents that hold noisy copies of a query's vectors among others, as relevant texts do.
    #[test]
    fn finds_what_max_sim_finds() {
        let (seed, dim) = (8, 32);
        let mut random = Random::new(seed);
        let mut documents = texts(&mut random, &[12; 400], dim).rows().clone().into_data();
        let queries = texts(&mut random, &[4; 40], dim);
        for query in 0..40 {
            for (row, vector) in queries.text(query).chunks(dim).enumerate() {
                let place = (query * 10 * 12 + row) * dim;
                for (value, original) in documents[place..place + dim].iter_mut().zip(vector) {
                    *value = original + 0.5 * random.normal() as f32;
                }
            }
        }
        let documents = MultiVectorBatch::new(DenseBatch::new(documents, dim).unwrap(), &[12; 400]).unwrap();
        let params = FdeParams { repetitions: 12, bits: 4, projected: Some(16), ..PLAIN };
        let fde = Fde::new(params, dim).unwrap();
        let encoded = fde.documents(&documents).unwrap();
        let (mut fde_found, mut mean_found) = (0, 0);
        let mean = Fde::new(PLAIN, dim).unwrap();
        let means = mean.documents(&documents).unwrap();
        for query in 0..40 {
            let vectors = queries.text(query);
            let top = search(vectors, &documents, 1)[0];
            assert_eq!(top.score, max_sim(vectors, documents.text(top.vector as usize), dim).unwrap());
            let holds = |encoder: &Fde, encoded: &DenseBatch| {
                let query = encoder.query(vectors);
                let rows = encoded.as_slice().chunks_exact(encoded.dim());
                let products: Vec<f32> = rows.map(|row| dot(&query, row)).collect();
                usize::from(best(&products, 5).iter().any(|hit| hit.vector == top.vector))
            };
            fde_found += holds(&fde, &encoded);
            mean_found += holds(&mean, &means);
        }
        assert!(fde_found >= 38 && fde_found > mean_found, "seed {seed}: {fde_found}, means {mean_found}");
    }

    #[test]
    fn refuses_what_makes_no_encoding() {
        for (params, message) in [
            (FdeParams { repetitions: 0, ..PLAIN }, "repetitions: expected at least 1, found 0"),
            (FdeParams { bits: 13, ..PLAIN }, "bits: expected at most 12, found 13"),
            (FdeParams { projected: Some(0), ..PLAIN }, "projected: expected at least 1, found 0"),
            (FdeParams { sketched: Some(0), ..PLAIN }, "sketched: expected at least 1, found 0"),
        ] {
            assert_eq!(Fde::new(params, 4).unwrap_err().to_string(), message);
        }
    }
}
