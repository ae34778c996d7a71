//! Carving rows into small sets of rows near each other.
//!
//! A tree of *leaders* is grown of a sample: leaders are drawn, and moved some times to the mean of those rows that are nearest to them; the
//! rows nearest to one have leaders of their own, and so on, until there is a leader for each set (a vocabulary tree, Nistér & Stewénius,
//! CVPR 2006). Then every row goes down the tree, to the nearest set along the nearest few paths (greedy N-best paths, Schindler et al.,
//! CVPR 2007): beyond the nearest path alone often lies a nearer one, and what lies in a nearer set is found in a shorter scan. A set
//! that is too large is carved again. Means make sets rounder than drawn rows would (`graph/partition.rs` draws, since leaves that overlap
//! from one partition to the next are what it wants).

use rayon::prelude::*;

use crate::metric::{ElementType, Metric};
use crate::rows::Rows;
use crate::spec::VectorSpec;
use crate::vectors::dense::{Dense, Line};

/// Rows of a set that is not carved further, at most; and about how many a set has.
const MOST_ROWS: usize = 256;
pub(super) const SET_ROWS: usize = 128;

/// Leaders side by side, at most.
const MAX_LEADERS: usize = 128;

/// Rows of the sample for each leader, and how often leaders are moved.
const SAMPLED: usize = 32;
const MOVES: usize = 3;

/// Paths that a row goes down.
const PATHS: usize = 3;

/// Rows that one task compares with leaders.
const TASK_ROWS: usize = 512;

/// Rows that `decode` writes as numbers, to be carved.
pub(super) struct Carver<D> {
    pub(super) dim: usize,
    pub(super) decode: D,
}

/// Leaders side by side, and what each leads to.
struct Branch {
    /// Among all branches.
    number: u32,
    leaders: Dense<f32>,
    under: Vec<Under>,
}

enum Under {
    /// The set of this number.
    Set(u32),
    Branch(Box<Branch>),
}

impl Branch {
    /// Numbers it, and the branches and sets under it; `branches` and `sets` are how many there are before.
    fn number(&mut self, branches: &mut u32, sets: &mut u32) {
        self.number = *branches;
        *branches += 1;
        for under in &mut self.under {
            match under {
                Under::Branch(branch) => branch.number(branches, sets),
                Under::Set(number) => {
                    *number = *sets;
                    *sets += 1;
                }
            }
        }
    }
}

/// The nearest paths of a row, nearest first, with their distances.
#[derive(Clone)]
struct Paths<'t>(Vec<(f32, &'t Under)>);

impl<'t> Paths<'t> {
    fn offer(&mut self, distances: &[f32], branch: &'t Branch) {
        let paths = &mut self.0;
        for (&distance, under) in distances.iter().zip(&branch.under) {
            if paths.len() < PATHS || distance < paths[PATHS - 1].0 {
                paths.truncate(PATHS - 1);
                paths.insert(paths.partition_point(|&(other, _)| other <= distance), (distance, under));
            }
        }
    }

    /// Takes the branches, and hands them to `open`.
    fn go_on(&mut self, mut open: impl FnMut(&'t Branch)) {
        self.0.retain(|&(_, under)| match under {
            Under::Set(_) => true,
            Under::Branch(branch) => {
                open(branch);
                false
            }
        });
    }

    /// The nearest set, once all branches were gone down.
    fn set(&self) -> u32 {
        match self.0[0].1 {
            Under::Set(number) => *number,
            Under::Branch(_) => unreachable!("a branch that was not gone down"),
        }
    }
}

/// A row that is compared with leaders, padded as they are.
#[derive(Default)]
struct Asked(Vec<Line>);

impl Asked {
    fn load(&mut self, row: &[f32], leaders: &Dense<f32>) {
        leaders.padded(&mut self.0)[..row.len()].copy_from_slice(row);
    }

    fn compare(&self, leaders: &Dense<f32>, distances: &mut Vec<f32>) {
        distances.resize(leaders.len(), 0.0);
        let view = leaders.view();
        view.kernels.scan(bytemuck::cast_slice(&self.0), view.rows, 0, distances);
    }
}

impl<D: Fn(u32, &mut Vec<f32>) + Sync> Carver<D> {
    /// The rows `set` in parts of at most [`MOST_ROWS`]. The same on any number of threads. Cost: for `n` rows in up to `MAX_LEADERS²` sets,
    /// some `4 · √(n / SET_ROWS)` distances a row.
    pub(super) fn carve(&self, set: Vec<u32>) -> Vec<Vec<u32>> {
        if set.len() <= MOST_ROWS {
            return vec![set];
        }
        let wanted = set.len() / SET_ROWS;
        let levels = (1..).find(|&levels| MAX_LEADERS.pow(levels) >= wanted).expect("powers grow");
        let sample: Vec<u32> = spread(&set, wanted * SAMPLED).collect();
        let (mut tree, mut sets) = (self.grow(&sample, wanted, levels), 0);
        tree.number(&mut 0, &mut sets);
        let mut parts: Vec<Vec<u32>> = vec![Vec::new(); sets as usize];
        let nearest = self.nearest_sets(&set, &tree);
        set.iter().zip(&nearest).for_each(|(&row, &part)| parts[part as usize].push(row));
        let largest = parts.iter().map(Vec::len).max().unwrap_or(0);
        if largest * 8 > set.len() * 7 {
            // Rows too much alike to be told apart by leaders.
            return set.chunks(MOST_ROWS).map(<[u32]>::to_vec).collect();
        }
        drop((set, nearest, tree));
        parts.into_par_iter().filter(|part| !part.is_empty()).flat_map_iter(|part| self.carve(part)).collect()
    }

    /// A tree of so many levels and about so many sets, two or more, for rows like those of `sample`.
    fn grow(&self, sample: &[u32], sets: usize, levels: u32) -> Branch {
        let count = ((sets as f64).powf(1.0 / f64::from(levels)).ceil() as usize).min(MAX_LEADERS);
        let mut leaders = self.drawn(sample, count);
        let moving: Vec<u32> = spread(sample, SAMPLED * count).collect();
        for _ in 0..MOVES {
            leaders = self.means(&moving, &self.nearest(&moving, &leaders), &leaders);
        }
        let mut parts: Vec<Vec<u32>> = vec![Vec::new(); leaders.len()];
        if levels > 1 {
            sample.iter().zip(self.nearest(sample, &leaders)).for_each(|(&row, at)| parts[usize::from(at)].push(row));
        }
        let under = parts.into_par_iter().map(|part| match part.len() * sets / sample.len() {
            0 | 1 => Under::Set(0),
            own => Under::Branch(Box::new(self.grow(&part, own, levels - 1))),
        });
        Branch { number: 0, under: under.collect(), leaders }
    }

    /// For each row of `set` the number of the nearest set of `tree` along the nearest paths. Rows go down side by side: the leaders that
    /// were read for one are at hand for the next.
    fn nearest_sets(&self, set: &[u32], tree: &Branch) -> Vec<u32> {
        let task = |rows: &[u32]| {
            let mut vector = Vec::new();
            let load = |&row: &u32| {
                let mut asked = Asked::default();
                (self.decode)(row, &mut vector);
                asked.load(&vector, &tree.leaders);
                asked
            };
            let asked: Vec<Asked> = rows.iter().map(load).collect();
            let (mut paths, mut distances) = (vec![Paths(Vec::with_capacity(PATHS)); rows.len()], Vec::new());
            let mut open: Vec<(&Branch, usize)> = (0..rows.len()).map(|at| (tree, at)).collect();
            while !open.is_empty() {
                open.sort_by_key(|&(branch, _)| branch.number);
                for (branch, at) in open.drain(..) {
                    asked[at].compare(&branch.leaders, &mut distances);
                    paths[at].offer(&distances, branch);
                }
                paths.iter_mut().enumerate().for_each(|(at, paths)| paths.go_on(|branch| open.push((branch, at))));
            }
            paths.iter().map(Paths::set).collect::<Vec<_>>()
        };
        set.par_chunks(TASK_ROWS).flat_map_iter(task).collect()
    }

    /// `count` rows of the set, or all if there are fewer.
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
        let task = |rows: &[u32]| {
            let (mut vector, mut asked, mut distances) = (Vec::new(), Asked::default(), Vec::new());
            let nearest = rows.iter().map(|&row| {
                (self.decode)(row, &mut vector);
                asked.load(&vector, leaders);
                asked.compare(leaders, &mut distances);
                let least = (0..distances.len()).reduce(|a, b| if distances[b] < distances[a] { b } else { a });
                least.expect("a leader at least") as u8
            });
            nearest.collect::<Vec<_>>()
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
