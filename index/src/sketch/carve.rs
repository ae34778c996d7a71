//! Carving rows into small sets of rows near each other.
//!
//! A tree of *leaders* is grown of a sample: leaders are drawn, and moved some times to the mean of those rows that are nearest to them; the
//! rows nearest to one have leaders of their own, and so on, until there is a leader for each set (a vocabulary tree, Nistér & Stewénius,
//! CVPR 2006). Then every row goes down the tree, to the nearest set along the nearest few paths (greedy N-best paths, Schindler et al.,
//! CVPR 2007): beyond the nearest path alone often lies a nearer one, and what lies in a nearer set is found in a shorter scan. A set
//! that is too large is carved again. Means make sets rounder than drawn rows would (`graph/partition.rs` draws, since leaves that overlap
//! from one partition to the next are what it wants). All of it is done on bytes, which are compared many at a time (`distance/tile/`): by
//! what they are off, hardly a row changes its set.

use rayon::prelude::*;

use crate::distance::simd::{Simd, Task, dispatch, isa};
use crate::distance::tile::{Panel, Tiles};

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

/// Rows that tell how far coordinates go, and the part of these within what bytes can say; the others are cut.
const MEASURED: usize = 512;
const WITHIN: f64 = 0.999;

/// Rows that `decode` writes as numbers, to be carved.
pub(super) struct Carver<'a, D> {
    centre: &'a [f32],
    /// A byte's steps for one unit of a coordinate.
    scale: f32,
    /// Bytes of a row.
    stride: usize,
    decode: D,
}

/// Rows as bytes.
struct Bytes {
    stride: usize,
    bytes: Vec<u8>,
}

impl Bytes {
    #[inline(always)]
    fn row(&self, at: u32) -> &[u8] {
        &self.bytes[at as usize * self.stride..][..self.stride]
    }

    #[inline(always)]
    fn fill(&self, panel: &mut Panel, rows: impl ExactSizeIterator<Item = u32>) {
        panel.fill(self.stride, false, rows.map(|at| self.row(at)));
    }

    /// Those as leaders.
    fn leaders(&self, rows: impl ExactSizeIterator<Item = u32>) -> Panel {
        let mut panel = Panel::default();
        self.fill(&mut panel, rows);
        panel
    }

    /// For each of `rows` its nearest leader, the first of several.
    fn nearest(&self, rows: &[u32], leaders: &Panel) -> Vec<u8> {
        let task = |rows| dispatch(isa(), Assign { bytes: self, rows, leaders });
        rows.par_chunks(TASK_ROWS).flat_map_iter(task).collect()
    }

    /// The means of the rows that are nearest to each of `leaders`, of which there are `count`; a row where there is none.
    fn means(&self, rows: &[u32], nearest: &[u8], count: usize) -> Panel {
        let (mut sums, mut counts) = (vec![0_u32; count * self.stride], vec![0_u32; count]);
        for (&row, &leader) in rows.iter().zip(nearest) {
            let leader = usize::from(leader);
            let sums = &mut sums[leader * self.stride..][..self.stride];
            sums.iter_mut().zip(self.row(row)).for_each(|(sum, &byte)| *sum += u32::from(byte));
            counts[leader] += 1;
        }
        let mut means = Bytes { stride: self.stride, bytes: Vec::with_capacity(sums.len()) };
        for (leader, (sums, &count)) in sums.chunks_exact(self.stride).zip(&counts).enumerate() {
            match count {
                0 => means.bytes.extend_from_slice(self.row(rows[leader * rows.len() / counts.len()])),
                _ => means.bytes.extend(sums.iter().map(|&sum| ((sum + count / 2) / count) as u8)),
            }
        }
        means.leaders(0..count as u32)
    }
}

/// The nearest leader of each of `rows`.
struct Assign<'a> {
    bytes: &'a Bytes,
    rows: &'a [u32],
    leaders: &'a Panel,
}

impl Task for Assign<'_> {
    type Output = Vec<u8>;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Vec<u8> {
        let Assign { bytes, rows, leaders } = self;
        let (mut panel, mut tiles) = (Panel::default(), Tiles::default());
        bytes.fill(&mut panel, rows.iter().copied());
        let mut nearest = Vec::with_capacity(rows.len());
        tiles.compare(simd, &panel, leaders, |_, distances| nearest.push(simd.least(distances) as u8));
        nearest
    }
}

/// Leaders side by side, and what each leads to.
struct Branch {
    /// Among all branches.
    number: u32,
    leaders: Panel,
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

/// The set that each of some rows finds. They go down the tree side by side, so that the leaders of a branch are compared with many.
struct Descend<'a> {
    bytes: Bytes,
    tree: &'a Branch,
}

impl Task for Descend<'_> {
    type Output = Vec<u32>;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Vec<u32> {
        let Descend { bytes, tree } = self;
        let (mut panel, mut tiles) = (Panel::default(), Tiles::default());
        let rows = bytes.bytes.len() / bytes.stride;
        let mut paths = vec![Paths(Vec::with_capacity(PATHS)); rows];
        let mut open: Vec<(&Branch, u32)> = (0..rows as u32).map(|row| (tree, row)).collect();
        while !open.is_empty() {
            open.sort_by_key(|&(branch, _)| branch.number);
            for together in open.chunk_by(|a, b| a.0.number == b.0.number) {
                let branch = together[0].0;
                bytes.fill(&mut panel, together.iter().map(|&(_, row)| row));
                tiles.compare(simd, &panel, &branch.leaders, |at, distances| {
                    paths[together[at].1 as usize].offer(distances, branch);
                });
            }
            open.clear();
            (0..).zip(&mut paths).for_each(|(row, paths)| paths.go_on(|branch| open.push((branch, row))));
        }
        paths.iter().map(Paths::set).collect()
    }
}

impl<'a, D: Fn(u32, &mut Vec<f32>) + Sync> Carver<'a, D> {
    /// For rows around `centre`, of which there are `rows`.
    pub(super) fn new(centre: &'a [f32], rows: usize, decode: D) -> Self {
        let (mut reaches, mut vector) = (Vec::new(), Vec::new());
        for row in spread(&(0..rows as u32).collect::<Vec<_>>(), MEASURED) {
            decode(row, &mut vector);
            reaches.extend(vector.iter().zip(centre).map(|(x, centre)| (x - centre).abs()));
        }
        reaches.sort_unstable_by(f32::total_cmp);
        let within = reaches.get((reaches.len() as f64 * WITHIN) as usize).filter(|&&reach| reach > 0.0);
        let reach = within.or(reaches.last()).copied().unwrap_or(0.0);
        let stride = centre.len().next_multiple_of(64);
        Carver { centre, scale: 127.0 / reach.max(f32::MIN_POSITIVE), stride, decode }
    }

    /// The rows `set` in parts of at most [`MOST_ROWS`]. The same on any number of threads. Cost: for `n` rows in up to `MAX_LEADERS²` sets,
    /// some `4 · √(n / SET_ROWS)` distances of bytes a row, and as many bytes of memory as a quarter of the rows have coordinates.
    pub(super) fn carve(&self, set: Vec<u32>) -> Vec<Vec<u32>> {
        if set.len() <= MOST_ROWS {
            return vec![set];
        }
        let wanted = set.len() / SET_ROWS;
        let levels = (1..).find(|&levels| MAX_LEADERS.pow(levels) >= wanted).expect("powers grow");
        let sample: Vec<u32> = spread(&set, wanted * SAMPLED).collect();
        let bytes = sample.par_chunks(TASK_ROWS).flat_map_iter(|rows| self.bytes_of(rows).bytes).collect();
        let sample = Bytes { stride: self.stride, bytes };
        let rows: Vec<u32> = (0..(sample.bytes.len() / sample.stride) as u32).collect();
        let (mut tree, mut sets) = (grow(&sample, &rows, wanted, levels), 0);
        tree.number(&mut 0, &mut sets);
        drop(sample);
        let task = |rows: &[u32]| dispatch(isa(), Descend { bytes: self.bytes_of(rows), tree: &tree });
        let nearest: Vec<u32> = set.par_chunks(TASK_ROWS).flat_map_iter(task).collect();
        let mut parts: Vec<Vec<u32>> = vec![Vec::new(); sets as usize];
        set.iter().zip(&nearest).for_each(|(&row, &part)| parts[part as usize].push(row));
        let largest = parts.iter().map(Vec::len).max().unwrap_or(0);
        if largest * 8 > set.len() * 7 {
            // Rows too much alike to be told apart by leaders.
            return set.chunks(MOST_ROWS).map(<[u32]>::to_vec).collect();
        }
        drop((set, nearest, tree));
        parts.into_par_iter().filter(|part| !part.is_empty()).flat_map_iter(|part| self.carve(part)).collect()
    }

    fn bytes_of(&self, rows: &[u32]) -> Bytes {
        let (mut vector, mut bytes) = (Vec::new(), vec![0; rows.len() * self.stride]);
        for (&row, out) in rows.iter().zip(bytes.chunks_exact_mut(self.stride)) {
            (self.decode)(row, &mut vector);
            let steps = vector.iter().zip(self.centre).map(|(x, centre)| (x - centre) * self.scale);
            // What is beyond a byte is cut.
            out.iter_mut().zip(steps).for_each(|(out, steps)| *out = (steps + 128.0) as u8);
        }
        Bytes { stride: self.stride, bytes }
    }
}

/// A tree of so many levels and about so many sets, two or more, for rows like these of `sample`.
fn grow(sample: &Bytes, rows: &[u32], sets: usize, levels: u32) -> Branch {
    let count = ((sets as f64).powf(1.0 / f64::from(levels)).ceil() as usize).min(MAX_LEADERS).min(rows.len());
    let drawn: Vec<u32> = spread(rows, count).collect();
    let mut leaders = sample.leaders(drawn.into_iter());
    let moving: Vec<u32> = spread(rows, SAMPLED * count).collect();
    for _ in 0..MOVES {
        leaders = sample.means(&moving, &sample.nearest(&moving, &leaders), count);
    }
    let mut parts: Vec<Vec<u32>> = vec![Vec::new(); count];
    if levels > 1 {
        rows.iter().zip(sample.nearest(rows, &leaders)).for_each(|(&row, at)| parts[usize::from(at)].push(row));
    }
    let under = parts.into_par_iter().map(|part| match part.len() * sets / rows.len() {
        0 | 1 => Under::Set(0),
        own => Under::Branch(Box::new(grow(sample, &part, own, levels - 1))),
    });
    Branch { number: 0, under: under.collect(), leaders }
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
        let parts = Carver::new(&[2500.0, 1.0], 5000, decode).carve((0..5000).collect());
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
        assert_eq!(
            Carver::new(&[1.5; 2], 1000, same).carve((0..1000).collect()).concat(),
            (0..1000).collect::<Vec<_>>()
        );
    }
}
