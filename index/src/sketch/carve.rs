//! Carving rows into small sets of rows near each other.
//!
//! Hierarchical k-means in few passes: leaders are drawn from a set, moved to the mean of those rows of a sample that are nearest to them,
//! and then every row joins the nearest; a part that is still too large is carved again. Means make sets rounder than drawn rows would
//! (`graph/partition.rs` draws, since leaves that overlap from one partition to the next are what it wants).

use rayon::prelude::*;

use crate::metric::{ElementType, Metric};
use crate::rows::{Rows, VectorRef};
use crate::spec::VectorSpec;
use crate::vectors::dense::{Dense, Line};

/// Rows of a set that is not carved further, at most; and about how many a set has.
const MOST_ROWS: usize = 256;
pub(super) const SET_ROWS: usize = 128;

/// Leaders of one set at most.
const MAX_LEADERS: usize = 64;

/// Rows of the sample for each leader, and how often leaders are moved.
const SAMPLED: usize = 24;
const MOVES: usize = 2;

/// Rows that one task compares with leaders.
const TASK_ROWS: usize = 1024;

/// Rows that `decode` writes as numbers, to be carved.
pub(super) struct Carver<D> {
    pub(super) dim: usize,
    pub(super) decode: D,
}

impl<D: Fn(u32, &mut Vec<f32>) + Sync> Carver<D> {
    /// The rows `set` in parts of at most [`MOST_ROWS`], parts near each other next to each other. The same on any number of threads. Cost:
    /// some 64 distances a row for each factor of 64 by which the set is larger than a part.
    pub(super) fn carve(&self, set: Vec<u32>) -> Vec<Vec<u32>> {
        if set.len() <= MOST_ROWS {
            return vec![set];
        }
        let count = (set.len() / SET_ROWS).clamp(2, MAX_LEADERS);
        let mut leaders = self.drawn(&set, count);
        let sample: Vec<u32> = spread(&set, SAMPLED * count).collect();
        for _ in 0..MOVES {
            leaders = self.means(&sample, &self.nearest(&sample, &leaders), &leaders);
        }
        let nearest = self.nearest(&set, &leaders);
        let mut parts: Vec<Vec<u32>> = vec![Vec::new(); count];
        set.iter().zip(&nearest).for_each(|(&row, &leader)| parts[usize::from(leader)].push(row));
        let largest = parts.iter().map(Vec::len).max().unwrap_or(0);
        if largest * 8 > set.len() * 7 {
            // Rows too much alike to be told apart by leaders.
            return set.chunks(MOST_ROWS).map(<[u32]>::to_vec).collect();
        }
        drop((set, nearest));
        parts.into_par_iter().filter(|part| !part.is_empty()).flat_map_iter(|part| self.carve(part)).collect()
    }

    /// `count` rows of the set.
    fn drawn(&self, set: &[u32], count: usize) -> Dense<f32> {
        let (mut numbers, mut vector) = (Vec::with_capacity(count * self.dim), Vec::new());
        for row in spread(set, count) {
            (self.decode)(row, &mut vector);
            numbers.extend_from_slice(&vector);
        }
        self.dense(&numbers)
    }

    fn dense(&self, numbers: &[f32]) -> Dense<f32> {
        let spec = VectorSpec::new(self.dim, Metric::L2, ElementType::F32).expect("rows have such a dimension");
        let mut dense = Dense::new(spec);
        dense.extend(Rows::new(numbers, self.dim).expect("whole rows")).expect("means of finite numbers");
        dense
    }

    /// For each row of `set` its nearest leader, the first of several.
    fn nearest(&self, set: &[u32], leaders: &Dense<f32>) -> Vec<u8> {
        let view = leaders.view();
        let task = |rows: &[u32]| {
            let (mut vector, mut words, mut distances) = (Vec::new(), Vec::<Line>::new(), vec![0.0; leaders.len()]);
            let mut nearest = Vec::with_capacity(rows.len());
            for &row in rows {
                (self.decode)(row, &mut vector);
                let query =
                    leaders.encode(VectorRef::from(vector.as_slice()), &mut words).expect("a row of finite numbers");
                view.kernels.scan(query, view.rows, 0, &mut distances);
                let least = (0..distances.len()).min_by(|&a, &b| distances[a].total_cmp(&distances[b]));
                nearest.push(least.expect("two leaders or more") as u8);
            }
            nearest
        };
        set.par_chunks(TASK_ROWS).flat_map_iter(task).collect()
    }

    /// The means of the rows that are nearest to each of `leaders`, which stay where they are if there is none.
    fn means(&self, rows: &[u32], nearest: &[u8], leaders: &Dense<f32>) -> Dense<f32> {
        let (mut sums, mut counts) = (vec![0.0_f64; leaders.len() * self.dim], vec![0_u32; leaders.len()]);
        let mut vector = Vec::new();
        for (&row, &leader) in rows.iter().zip(nearest) {
            let leader = usize::from(leader);
            (self.decode)(row, &mut vector);
            sums[leader * self.dim..].iter_mut().zip(&vector).for_each(|(sum, &x)| *sum += f64::from(x));
            counts[leader] += 1;
        }
        let mut numbers = Vec::with_capacity(sums.len());
        for (leader, (sums, &count)) in sums.chunks_exact(self.dim).zip(&counts).enumerate() {
            if count == 0 {
                leaders.decode(leader, &mut vector);
                numbers.extend_from_slice(&vector);
            } else {
                numbers.extend(sums.iter().map(|&sum| (sum / f64::from(count)) as f32));
            }
        }
        self.dense(&numbers)
    }
}

/// `count` of the items, or all if there are fewer, as far apart as they go.
fn spread(items: &[u32], count: usize) -> impl Iterator<Item = u32> {
    let count = count.min(items.len());
    (0..count).map(move |at| items[at * items.len() / count])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every row is in one part, none too large; rows of a part are near each other; copies without end do not carve for ever.
    #[test]
    fn parts_hold_each_row_once_and_near_ones_together() {
        let place = |row: u32| [(row * 7919 % 5000) as f32, (row % 3) as f32];
        let decode = |row: u32, out: &mut Vec<f32>| {
            out.clear();
            out.extend(place(row));
        };
        let parts = Carver { dim: 2, decode }.carve((0..5000).collect());
        let mut all = parts.concat();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..5000) && parts.iter().all(|part| part.len() <= MOST_ROWS));
        for part in parts {
            let xs = || part.iter().map(|&row| place(row)[0]);
            let width = xs().fold(0.0, f32::max) - xs().fold(f32::MAX, f32::min);
            assert!(width < 400.0, "{width} for {} rows of 5000 in a line", part.len());
        }
        let same = |_: u32, out: &mut Vec<f32>| {
            out.clear();
            out.extend([1.5; 2]);
        };
        assert_eq!(Carver { dim: 2, decode: same }.carve((0..1000).collect()).concat(), (0..1000).collect::<Vec<_>>());
    }
}
