//! Codebooks of half keys from given vectors: Lloyd's k-means on each half, so that product keys lie where the vectors are.
//!
//! Starts from distinct random rows; a centroid that loses all its rows takes the row farthest from its own centroid.
//! The same seed gives the same codebooks, and each iteration lowers the mean squared distance or stops.

use super::error::MemoryError;
use super::keys::{KeyShape, ProductKeys};
use super::panels::Panels;
use crate::cpu::Level;
use crate::random::Random;

/// Rows assigned together.
const BATCH: usize = 64;

impl ProductKeys {
    /// Learns the keys of one head from `vectors: [count × key_dim]`, at least `sub_keys` of them: the best slot of a query is
    /// then the nearest of the n² pairs of centroids, as each score is `query · key − ½‖key‖²`.
    /// Costs `iterations · count · sub_keys · key_dim` multiply-adds.
    pub fn learn(
        vectors: &[f32],
        key_dim: usize,
        sub_keys: usize,
        iterations: usize,
        seed: u64,
    ) -> Result<Self, MemoryError> {
        let shape = KeyShape { heads: 1, sub_keys, key_dim };
        shape.check()?;
        let count = MemoryError::check_rows("vectors", key_dim, vectors)?;
        if count < sub_keys {
            return Err(MemoryError::Size { what: "vectors", expected: "at least as many as sub_keys", found: count });
        }
        let half = key_dim / 2;
        let mut halves = Vec::with_capacity(shape.numbers());
        for side in 0..2 {
            let rows: Vec<f32> =
                vectors.chunks_exact(key_dim).flat_map(|row| &row[side * half..(side + 1) * half]).copied().collect();
            halves.extend(kmeans(&rows, half, sub_keys, iterations, seed + side as u64).0);
        }
        let bias = halves.chunks_exact(half).map(minus_half_square).collect();
        ProductKeys::with_bias(shape, halves, bias)
    }
}

/// Clusters `rows: [count × dim]` into `k ≤ count` parts, in at most `iterations`. Returns the centroids, `[k × dim]`, and the
/// mean squared distance of the rows to them, before each iteration and after the last.
fn kmeans(rows: &[f32], dim: usize, k: usize, iterations: usize, seed: u64) -> (Vec<f32>, Vec<f64>) {
    let count = rows.len() / dim;
    let mut order: Vec<usize> = (0..count).collect();
    Random::new(seed).shuffle(&mut order);
    let row = |index: usize| &rows[index * dim..(index + 1) * dim];
    let mut centroids: Vec<f32> = order[..k].iter().flat_map(|&index| row(index)).copied().collect();
    let mut errors = Vec::new();
    loop {
        let (nearest, distances) = assign(rows, dim, &centroids);
        let error = distances.iter().sum::<f64>() / count as f64;
        let stuck = errors.last().is_some_and(|&last| error >= last);
        errors.push(error);
        if stuck || errors.len() > iterations {
            return (centroids, errors);
        }
        let mut sums = vec![0.0_f64; k * dim];
        let mut sizes = vec![0_usize; k];
        for (index, &centroid) in nearest.iter().enumerate() {
            sizes[centroid] += 1;
            let sums = &mut sums[centroid * dim..(centroid + 1) * dim];
            sums.iter_mut().zip(row(index)).for_each(|(sum, &number)| *sum += f64::from(number));
        }
        let mut farthest: Vec<usize> = (0..count).collect();
        if sizes.contains(&0) {
            farthest.sort_by(|&a, &b| distances[b].total_cmp(&distances[a]).then(a.cmp(&b)));
        }
        let mut farthest = farthest.into_iter();
        for ((centroid, sums), &size) in centroids.chunks_exact_mut(dim).zip(sums.chunks_exact(dim)).zip(&sizes) {
            match size {
                0 => centroid.copy_from_slice(row(farthest.next().expect("k is at most count"))),
                _ => centroid.iter_mut().zip(sums).for_each(|(to, sum)| *to = (sum / size as f64) as f32),
            }
        }
    }
}

/// The nearest centroid of each row, the first of equals, and the squared distance to it.
fn assign(rows: &[f32], dim: usize, centroids: &[f32]) -> (Vec<usize>, Vec<f64>) {
    let bias: Vec<f32> = centroids.chunks_exact(dim).map(minus_half_square).collect();
    let (packed, k, level) = (Panels::pack(centroids, dim).with_bias(&bias), bias.len(), Level::detect());
    let (mut nearest, mut distances) = (Vec::new(), Vec::new());
    let mut scores = vec![0.0; BATCH * k];
    for rows in rows.chunks(BATCH * dim) {
        let scores = &mut scores[..rows.len() / dim * k];
        packed.multiply(level, rows, dim, scores);
        for (row, scores) in rows.chunks_exact(dim).zip(scores.chunks_exact(k)) {
            let better = |best: usize, (at, score): (usize, &f32)| if *score > scores[best] { at } else { best };
            let best = scores.iter().enumerate().fold(0, better);
            let centroid = &centroids[best * dim..(best + 1) * dim];
            let squares = row.iter().zip(centroid).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2));
            nearest.push(best);
            distances.push(squares.sum());
        }
    }
    (nearest, distances)
}

fn minus_half_square(row: &[f32]) -> f32 {
    (-0.5 * row.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>()) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_iteration_brings_the_rows_nearer_to_their_centroids() {
        let seed = 51;
        let mut random = Random::new(seed);
        let rows: Vec<f32> = (0..600)
            .flat_map(|index| {
                let centre = (index % 6) as f64 * 10.0;
                [(centre + 0.1 * random.normal()) as f32, (0.1 * random.normal() - centre) as f32]
            })
            .collect();
        let (centroids, errors) = kmeans(&rows, 2, 6, 50, seed);
        let falling = errors[..errors.len() - 1].windows(2).all(|pair| pair[1] < pair[0]);
        assert!(falling && errors[errors.len() - 1] < errors[0] / 3.0, "seed {seed}: {errors:?}");
        assert_eq!(centroids, kmeans(&rows, 2, 6, 50, seed).0);
    }

    #[test]
    fn the_best_slot_is_the_nearest_pair_of_centroids() {
        let mut random = Random::new(52);
        let vectors: Vec<f32> = (0..500 * 6).map(|_| random.normal() as f32).collect();
        let keys = ProductKeys::learn(&vectors, 6, 12, 5, 52).unwrap();
        let mut key = [0.0; 6];
        for query in vectors.chunks_exact(6).take(100) {
            let mut distance = |slot: u32| -> f64 {
                keys.key(0, slot, &mut key);
                query.iter().zip(&key).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum()
            };
            let best = keys.top_k(query, 1).unwrap().ids[0];
            let least = (0..144).map(&mut distance).fold(f64::INFINITY, f64::min);
            assert!(distance(best) <= least + 1e-5, "slot {best}");
        }
        let error = ProductKeys::learn(&vectors[..60], 6, 12, 5, 1).unwrap_err().to_string();
        assert_eq!(error, "vectors: expected at least as many as sub_keys, found 10");
    }
}
