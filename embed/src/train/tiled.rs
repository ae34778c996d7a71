//! The contrastive loss in tiles: the same loss and gradients, in memory linear in the batch.
//!
//! Cheng et al., "Breaking the Memory Barrier: Near Infinite Batch Size Scaling for Contrastive Loss" (Inf-CL,
//! arXiv:2410.17243). The score matrix is never whole. A first pass over tiles keeps only each row's largest score and the sum
//! of exponentials below it (and each column's, for the symmetric form); a second computes every tile again, turns it into
//! slopes and adds their products to the gradients. Twice the products of the plain loss, no `queries · documents` memory.

use super::Gradients;
use super::contrastive::{Batch, Contrastive};
use crate::bert::gemm::{View, multiply};
use crate::bert::ops::{exp, largest};
use crate::cpu::{Level, vectorized};
use pulp::Arch;

/// Rows and columns of a tile: 4 MiB of scores, which stay in cache.
pub const DEFAULT_TILE: usize = 1024;

/// A running `log Σ exp`: the largest score and the sum of `exp(score − largest)`.
#[derive(Debug, Clone, Copy)]
struct LogSum {
    most: f32,
    sum: f64,
}

impl LogSum {
    const EMPTY: LogSum = LogSum { most: f32::NEG_INFINITY, sum: 0.0 };

    /// Counts scores of which none is above `most` and whose exponentials relative to `most` add up to `sum`.
    fn merge(&mut self, most: f32, sum: f64) {
        if most == f32::NEG_INFINITY {
            return;
        }
        let top = self.most.max(most);
        let shrink = |from: f32| f64::from(from - top).exp();
        *self = LogSum { most: top, sum: self.sum * shrink(self.most) + sum * shrink(most) };
    }

    fn value(self) -> f64 {
        f64::from(self.most) + self.sum.ln()
    }
}

impl Contrastive {
    /// What [`plain`](Self::plain) returns, to f32's rounding. Beside the gradients it takes two tiles and a few numbers for
    /// each row.
    pub fn tiled(self, batch: Batch<'_>, tile: usize) -> Gradients {
        assert!(tile > 0, "tiles have rows");
        let arch = Level::detect().arch();
        let (queries, documents) = batch.shape();
        let mut scores = vec![0.0; tile.min(queries) * tile.min(documents)];
        let mut rows = vec![LogSum::EMPTY; queries];
        let mut columns = vec![LogSum::EMPTY; if self.symmetric { queries } else { 0 }];
        let mut positives = vec![0.0; queries];
        self.each_tile(batch, tile, &mut scores, |at, scores| {
            merge_rows(arch, scores, at.documents, &mut rows[at.query..]);
            for (query, row) in (at.query..).zip(scores.chunks_exact(at.documents)) {
                if (at.document..at.document + at.documents).contains(&query) {
                    positives[query] = f64::from(row[query - at.document]);
                }
            }
            if at.document < columns.len() {
                let open = &mut columns[at.document..];
                merge_columns(arch, scores, at.documents, open);
            }
        });

        let rows: Vec<f64> = rows.into_iter().map(LogSum::value).collect();
        let columns: Vec<f64> = columns.into_iter().map(LogSum::value).collect();
        let share = if self.symmetric { 0.5 } else { 1.0 } / queries as f64;
        let choices = rows.iter().zip(&positives).chain(columns.iter().zip(&positives));
        let loss = choices.map(|(sum, positive)| share * (sum - positive)).sum();

        let mut gradients =
            Gradients { loss, queries: vec![0.0; batch.queries.len()], documents: vec![0.0; batch.documents.len()] };
        let weight = share as f32 * self.scale;
        self.each_tile(batch, tile, &mut scores, |at, scores| {
            for (query, row) in (at.query..).zip(scores.chunks_exact_mut(at.documents)) {
                let chosen = rows[query] as f32;
                let by_column = columns.get(at.document..).unwrap_or_default();
                // In f64, as a sure answer's slope is the little that its share lacks of 1.
                let own = query.checked_sub(at.document).filter(|&place| place < at.documents).map(|place| {
                    let lacks = |sum: f64| (f64::from(row[place]) - sum).exp_m1();
                    let slope = lacks(rows[query]) + by_column.get(place).map_or(0.0, |&sum| lacks(sum));
                    (place, (f64::from(weight) * slope) as f32)
                });
                let (both, rest) = row.split_at_mut(by_column.len().min(at.documents));
                vectorized(
                    arch,
                    #[inline(always)]
                    || {
                        for (score, column) in both.iter_mut().zip(by_column) {
                            *score = weight * (exp(*score - chosen) + exp(*score - *column as f32));
                        }
                        rest.iter_mut().for_each(|score| *score = weight * exp(*score - chosen));
                    },
                );
                if let Some((place, slope)) = own {
                    row[place] = slope;
                }
            }
            let dim = batch.dim;
            let slopes = View::rows(scores, at.documents);
            let (from, to) = (at.query * dim, (at.query + at.queries) * dim);
            let (start, end) = (at.document * dim, (at.document + at.documents) * dim);
            let documents = View::rows(&batch.documents[start..end], dim);
            multiply(slopes, documents, &mut gradients.queries[from..to], dim, true);
            let queries = View::rows(&batch.queries[from..to], dim);
            multiply(slopes.transposed(), queries, &mut gradients.documents[start..end], dim, true);
        });
        gradients
    }

    /// Gives `work` every tile of scores, scaled, what is masked at −∞.
    fn each_tile(self, batch: Batch<'_>, tile: usize, space: &mut [f32], mut work: impl FnMut(Tile, &mut [f32])) {
        let (queries, documents) = batch.shape();
        let rows =
            |data: &[f32], from: usize, count: usize| from * batch.dim..data.len().min((from + count) * batch.dim);
        for query in (0..queries).step_by(tile) {
            let left = &batch.queries[rows(batch.queries, query, tile)];
            for document in (0..documents).step_by(tile) {
                let right = &batch.documents[rows(batch.documents, document, tile)];
                let at = Tile { query, document, queries: left.len() / batch.dim, documents: right.len() / batch.dim };
                let scores = &mut space[..at.queries * at.documents];
                let columns = View::rows(right, batch.dim).transposed();
                multiply(View::rows(left, batch.dim), columns, scores, at.documents, false);
                scores.iter_mut().for_each(|score| *score *= self.scale);
                for (place, row) in scores.chunks_exact_mut(at.documents).enumerate() {
                    for &masked in batch.masked.within(query + place, document, document + at.documents) {
                        row[masked as usize - document] = f32::NEG_INFINITY;
                    }
                }
                work(at, scores);
            }
        }
    }
}

/// Where a tile lies: its first row and column, and how many of each it has.
#[derive(Clone, Copy)]
struct Tile {
    query: usize,
    document: usize,
    queries: usize,
    documents: usize,
}

/// Sums that are kept apart, so that they do not wait for each other.
const LANES: usize = 16;

/// Counts a tile's rows.
fn merge_rows(arch: Arch, scores: &[f32], width: usize, rows: &mut [LogSum]) {
    vectorized(
        arch,
        #[inline(always)]
        || {
            for (sum, row) in rows.iter_mut().zip(scores.chunks_exact(width)) {
                let most = largest(row);
                let mut lanes = [0.0_f64; LANES];
                let (chunks, rest) = row.as_chunks::<LANES>();
                for chunk in chunks {
                    lanes.iter_mut().zip(chunk).for_each(|(lane, score)| *lane += f64::from(exp(score - most)));
                }
                lanes.iter_mut().zip(rest).for_each(|(lane, score)| *lane += f64::from(exp(score - most)));
                sum.merge(most, lanes.iter().sum());
            }
        },
    );
}

/// Counts a tile's columns, row by row so that memory is read in order.
fn merge_columns(arch: Arch, scores: &[f32], width: usize, columns: &mut [LogSum]) {
    let open = width.min(columns.len());
    let (mut most, mut sums) = (vec![f32::NEG_INFINITY; open], vec![0.0_f64; open]);
    vectorized(
        arch,
        #[inline(always)]
        || {
            for row in scores.chunks_exact(width) {
                most.iter_mut().zip(row).for_each(|(most, &score)| *most = if score > *most { score } else { *most });
            }
            for row in scores.chunks_exact(width) {
                for ((sum, &score), &most) in sums.iter_mut().zip(row).zip(&most) {
                    *sum += f64::from(exp(score - most));
                }
            }
        },
    );
    columns.iter_mut().zip(most.into_iter().zip(sums)).for_each(|(column, (most, sum))| column.merge(most, sum));
}

#[cfg(test)]
mod tests {
    use super::super::check::normal;
    use super::super::negatives::Masked;
    use super::*;
    use crate::random::Random;

    #[test]
    fn equals_the_plain_loss_whatever_the_tile() {
        let seed = 41;
        let mut random = Random::new(seed);
        for (queries, documents, dim) in [(1, 1, 3), (7, 7, 16), (33, 70, 24), (64, 64, 8)] {
            let unit = |mut rows: Vec<f32>| {
                rows.chunks_exact_mut(dim).for_each(|row| {
                    let norm = row.iter().map(|x| x * x).sum::<f32>().sqrt();
                    row.iter_mut().for_each(|x| *x /= norm);
                });
                rows
            };
            let (left, right) = (unit(normal(&mut random, queries * dim)), unit(normal(&mut random, documents * dim)));
            let random = &mut random;
            let wrong: Vec<bool> = (0..queries * documents).map(|_| random.unit() < 0.1).collect();
            let masked = Masked::new(queries, documents, |i, j| wrong[i * documents + j]);
            let batch = Batch { queries: &left, documents: &right, dim, masked: &masked };
            for symmetric in [false, true] {
                let loss = Contrastive { scale: 20.0, symmetric };
                let plain = loss.plain(batch);
                let largest = plain.queries.iter().chain(&plain.documents).fold(0.0_f32, |most, x| most.max(x.abs()));
                for tile in [1, 5, 32, 1000] {
                    let tiled = loss.tiled(batch, tile);
                    assert!((tiled.loss - plain.loss).abs() < 1e-5, "seed {seed}: {} {}", tiled.loss, plain.loss);
                    let pairs = tiled.queries.iter().zip(&plain.queries);
                    for (found, expected) in pairs.chain(tiled.documents.iter().zip(&plain.documents)) {
                        assert!((found - expected).abs() <= 1e-5 * largest.max(1e-3), "seed {seed}, tile {tile}");
                    }
                }
            }
        }
    }
}
