//! Made-up vectors, for what public sets do not show: any size, known structure, the same for a seed on every machine.

use vicino_index::Metric;

use crate::dataset::{Dataset, Mismatch};
use crate::matrix::{Matrix, Values};
use crate::random::Random;

/// Independent normal coordinates: the hardest case, where all points are about equally far from each other.
pub fn gaussian(rows: usize, dim: usize, seed: u64) -> Matrix {
    let mut random = Random::new(seed);
    matrix(dim, (0..rows * dim).map(|_| random.normal() as f32).collect())
}

/// Points around `clusters` random centres, at `spread` times the distance between centres; each point's cluster is random.
/// Panics if `clusters` is zero.
pub fn clustered(rows: usize, dim: usize, clusters: usize, spread: f64, seed: u64) -> Matrix {
    let mut random = Random::new(seed);
    let centres: Vec<f64> = (0..clusters * dim).map(|_| random.normal()).collect();
    let mut values = Vec::with_capacity(rows * dim);
    for _ in 0..rows {
        let centre = random.below(clusters) * dim;
        values.extend(centres[centre..centre + dim].iter().map(|x| (x + spread * random.normal()) as f32));
    }
    matrix(dim, values)
}

/// Points of a random `intrinsic`-dimensional subspace: as hard as that many dimensions, as costly as `dim`.
pub fn low_intrinsic(rows: usize, dim: usize, intrinsic: usize, seed: u64) -> Matrix {
    let mut random = Random::new(seed);
    let axes: Vec<f64> = (0..intrinsic * dim).map(|_| random.normal()).collect();
    let mut values = Vec::with_capacity(rows * dim);
    for _ in 0..rows {
        let mut row = vec![0.0; dim];
        for axis in axes.chunks(dim.max(1)) {
            let along = random.normal();
            row.iter_mut().zip(axis).for_each(|(x, axis)| *x += along * axis);
        }
        values.extend(row.into_iter().map(|x| x as f32));
    }
    matrix(dim, values)
}

/// Rows drawn with replacement from `distinct` normal ones. Panics if `distinct` is zero.
pub fn duplicates(rows: usize, dim: usize, distinct: usize, seed: u64) -> Matrix {
    let mut random = Random::new(seed);
    let seen: Vec<f32> = (0..distinct * dim).map(|_| random.normal() as f32).collect();
    let rows = (0..rows).map(|_| random.below(distinct) * dim);
    matrix(dim, rows.flat_map(|start| &seen[start..start + dim]).copied().collect())
}

/// A data set of which the last `queries` rows are the queries. Errors if the metric is for bits. Panics if there are fewer rows.
pub fn dataset(name: impl Into<String>, matrix: &Matrix, queries: usize, metric: Metric) -> Result<Dataset, Mismatch> {
    let rows = matrix.len() - queries;
    Dataset::new(name, metric, matrix.select(0..rows), matrix.select(rows..matrix.len()), None)
}

fn matrix(dim: usize, values: Vec<f32>) -> Matrix {
    Matrix::new(Values::F32(values), dim).expect("whole rows were made")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn rows(matrix: &Matrix) -> Vec<Vec<f32>> {
        matrix.to_f32().chunks(matrix.dim()).map(<[f32]>::to_vec).collect()
    }

    fn distance(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt()
    }

    #[test]
    fn normal_numbers_have_their_moments() {
        let values = gaussian(100_000, 1, 5).to_f32();
        let moment = |power| values.iter().map(|&x| f64::from(x).powi(power)).sum::<f64>() / values.len() as f64;
        // Five standard errors of each for this many numbers.
        assert!(moment(1).abs() < 0.016 && (moment(2) - 1.0).abs() < 0.023 && (moment(4) - 3.0).abs() < 0.16);
    }

    #[test]
    fn clusters_are_near_their_centres() {
        let rows = rows(&clustered(200, 16, 4, 0.01, 3));
        let near = |row: &[f32]| rows.iter().filter(|other| distance(row, other) < 0.2).count();
        let kinds: HashSet<_> = rows.iter().map(|row| near(row)).collect();
        assert!(kinds.len() <= 4 && rows.iter().map(|row| 1.0 / near(row) as f64).sum::<f64>().round() == 4.0);
    }

    #[test]
    fn a_plane_has_two_dimensions() {
        // In a plane, any three points besides the origin are linearly dependent: their Gram determinant is zero.
        let rows = rows(&low_intrinsic(3, 20, 2, 9));
        let dot = |a: usize, b: usize| -> f64 {
            rows[a].iter().zip(&rows[b]).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        };
        let minor = |i: usize, j: usize| dot(1, i) * dot(2, j) - dot(1, j) * dot(2, i);
        let gram = dot(0, 0) * minor(1, 2) - dot(0, 1) * minor(0, 2) + dot(0, 2) * minor(0, 1);
        assert!(gram.abs() < 1e-4 * dot(0, 0) * dot(1, 1) * dot(2, 2), "{gram}");
    }

    #[test]
    fn duplicates_are_equal() {
        let rows = rows(&duplicates(1000, 3, 10, 2));
        let distinct: HashSet<Vec<u32>> = rows.iter().map(|row| row.iter().map(|x| x.to_bits()).collect()).collect();
        assert_eq!(distinct.len(), 10);
    }

    #[test]
    fn a_seed_gives_the_same_numbers_for_ever() {
        let hash = |matrix: Matrix| dataset("t", &matrix, 10, Metric::L2).unwrap().hash[..16].to_owned();
        let made =
            [gaussian(100, 8, 1), clustered(100, 8, 5, 0.1, 1), low_intrinsic(100, 8, 3, 1), duplicates(100, 8, 20, 1)];
        assert_eq!(made.map(hash), ["c63927e01432b08e", "1aacf5c577ad6f2c", "e4d37160522b37d4", "ecf9a1d316f4a9fd"]);
        assert_ne!(hash(gaussian(100, 8, 1)), hash(gaussian(100, 8, 2)));
    }
}
