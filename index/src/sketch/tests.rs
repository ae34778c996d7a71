//! What scans over codes find, beside all rows compared: rows of several shapes, metrics and element types, in their order and in cells; and
//! how few they look at.

use super::*;
use crate::compare::{Nearest, Whole};
use crate::ids::Slot;
use crate::rows::{Rows, VectorRef};
use crate::scratch::Scratch;
use crate::vectors::dense::{Vectors, with_rows};

const K: usize = 10;

/// Vigna's SplitMix64, as numbers of a normal distribution.
struct Normal(u64);

impl Normal {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn draw(&mut self) -> f32 {
        let mut uniform = || ((self.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        ((-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos()) as f32
    }

    fn vector(&mut self, dim: usize) -> Vec<f32> {
        (0..dim).map(|_| self.draw()).collect()
    }
}

/// How rows lie.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Shape {
    Normal,
    /// In sixteen dimensions of all.
    Flat,
    /// Around a few dozen centres, far apart.
    Clustered,
    /// As clustered, each row three times.
    Copies,
}

fn rows(shape: Shape, count: usize, dim: usize, normal: &mut Normal) -> Vec<f32> {
    let centres: Vec<Vec<f32>> = (0..40).map(|_| normal.vector(dim)).collect();
    let mut all = Vec::new();
    for row in 0..count {
        match shape {
            Shape::Normal => all.extend(normal.vector(dim)),
            Shape::Flat => {
                let place = normal.vector(16);
                all.extend((0..dim).map(|i| (0..16).map(|axis| place[axis] * centres[axis][i]).sum::<f32>()));
            }
            Shape::Copies if row % 3 > 0 => all.extend_from_within((row - 1) * dim..),
            Shape::Clustered | Shape::Copies => {
                let centre = &centres[normal.next() as usize % centres.len()];
                all.extend(centre.iter().map(|x| 3.0 * x + 0.3 * normal.draw()));
            }
        }
    }
    all
}

struct Fixture {
    vectors: Vectors,
    sketch: Sketch,
    buffers: Sketching,
    scratch: Scratch,
    nearest: Nearest,
}

impl Fixture {
    fn new(spec: VectorSpec, rows: &[f32]) -> Self {
        let mut vectors = Vectors::new(spec);
        vectors.extend(Rows::new(rows, spec.dim()).unwrap()).unwrap();
        let decode = |slot, out: &mut Vec<f32>| vectors.decode(Slot(slot), out);
        let sketch = Sketch::new(spec, vectors.len(), &BuildOptions::default(), decode);
        Fixture { vectors, sketch, buffers: Sketching::default(), scratch: Scratch::new(), nearest: Nearest::default() }
    }

    fn scan(&mut self, query: &[f32], k: usize, eligible: Eligible<'_>) -> (Vec<(f32, u32)>, Counts) {
        self.scan_for(query, Wanted::all(k), eligible)
    }

    fn scan_for(&mut self, query: &[f32], wanted: Wanted, eligible: Eligible<'_>) -> (Vec<(f32, u32)>, Counts) {
        let Fixture { vectors, sketch, buffers, scratch, nearest } = self;
        let mut loaded = Vec::new();
        crate::qgraph::load(&vectors.spec(), query.into(), &mut loaded).unwrap();
        with_rows!(vectors, dense => {
            let by = Whole { space: dense.view(), query: dense.encode(query.into(), &mut scratch.query).unwrap() };
            scan(&[Share { sketch, by, eligible }], &loaded, wanted, buffers, nearest);
        });
        (nearest.rows().to_vec(), buffers.counts(0))
    }

    fn exact(&mut self, query: &[f32], k: usize, accept: impl Fn(u32) -> bool) -> Vec<(f32, u32)> {
        self.vectors.exact(VectorRef::from(query), k, accept, &mut self.scratch).unwrap();
        self.scratch.accepted.candidates().iter().map(|kept| (kept.distance(), kept.slot())).collect()
    }
}

/// By every metric and element type, in data that are easy and hard: the recall is what three standard deviations promise, and distances
/// and their order are exact. On most data a small part of the rows is compared.
#[test]
fn what_is_found_is_what_is_nearest() {
    let (rows_of, queries_of) = (3000, 30);
    let cases = [
        (Metric::L2, ElementType::F32),
        (Metric::L2, ElementType::U8),
        (Metric::Cosine, ElementType::F16),
        (Metric::Dot, ElementType::F32),
    ];
    for (metric, element) in cases {
        for (shape, dim) in
            [(Shape::Normal, 64), (Shape::Flat, 100), (Shape::Clustered, 128), (Shape::Copies, 96), (Shape::Flat, 784)]
        {
            let seed = 7 + dim as u64;
            let mut normal = Normal(seed);
            let mut data = rows(shape, rows_of + queries_of, dim, &mut normal);
            if element == ElementType::U8 {
                let largest = data.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
                data.iter_mut().for_each(|x| *x = (127.0 + *x / largest * 127.0).round());
            }
            let (data, queries) = data.split_at(rows_of * dim);
            let mut fixture = Fixture::new(VectorSpec::new(dim, metric, element).unwrap(), data);
            let (mut good, mut compared) = (0, 0);
            for query in queries.chunks(dim) {
                let exact = fixture.exact(query, K, |_| true);
                let (found, counts) = fixture.scan(query, K, Eligible::If(&|_| true));
                assert!(found.len() == K && found.is_sorted(), "{metric} {element} {shape:?} {dim}: {found:?}");
                good += found.iter().filter(|row| row.0 <= exact[K - 1].0).count();
                compared += counts.distances as usize;
                assert_eq!(counts.estimates as usize, rows_of.next_multiple_of(LANES));
            }
            let recall = good as f64 / (K * queries_of) as f64;
            let part = compared as f64 / (rows_of * queries_of) as f64;
            assert!(recall >= 0.99, "seed {seed}, {metric} {element} {shape:?} {dim}: recall {recall}");
            // Of 64 normal coordinates all rows are about as far; elsewhere few are in doubt.
            let most = if shape == Shape::Normal { 0.35 } else { 0.08 };
            assert!(part <= most, "seed {seed}, {metric} {element} {shape:?} {dim}: {part} compared");
        }
    }
}

/// Rows that are all the same, or no farther apart than half floats can tell, and as many results as rows.
#[test]
fn ties_go_to_the_first_rows() {
    let spec = VectorSpec::new(40, Metric::L2, ElementType::F32).unwrap();
    let mut fixture = Fixture::new(spec, &[0.25; 40 * 500]);
    let lowest: Vec<u32> = (0..K as u32).collect();
    for query in [[0.25; 40], [3.0; 40]] {
        let (found, _) = fixture.scan(&query, K, Eligible::If(&|_| true));
        assert_eq!(found.iter().map(|row| row.1).collect::<Vec<_>>(), lowest);
        assert_eq!(fixture.scan(&query, 500, Eligible::If(&|_| true)).0, fixture.exact(&query, 500, |_| true));
    }
}

/// `k` rows of those that are eligible, whether they are listed or asked for; blocks without any are left out.
#[test]
fn ineligible_rows_are_never_found() {
    let (dim, rows_of, seed) = (70, 1000, 11);
    let spec = VectorSpec::new(dim, Metric::L2, ElementType::F32).unwrap();
    let mut normal = Normal(seed);
    let mut fixture = Fixture::new(spec, &rows(Shape::Clustered, rows_of, dim, &mut normal));
    let query = normal.vector(dim);
    for step in [1, 2, 7, 100, 400] {
        let holds = |slot: u32| slot % step == 3 % step;
        let mut mask = Mask::none(rows_of);
        (0..rows_of as u32).filter(|&slot| holds(slot)).for_each(|slot| mask.insert(Slot(slot)));
        let exact = fixture.exact(&query, K, holds);
        for eligible in [Eligible::Of(&mask), Eligible::If(&|slot: Slot| holds(slot.0))] {
            let (found, counts) = fixture.scan(&query, K, eligible);
            assert_eq!(found.len(), K.min(mask.len()), "seed {seed}, every {step}th");
            assert!(found.iter().all(|&(_, slot)| holds(slot)), "every {step}th: {found:?}");
            let good = found.iter().filter(|row| row.0 <= exact[exact.len() - 1].0).count();
            assert!(good + 1 >= found.len(), "seed {seed}, every {step}th: {good} of {}", found.len());
            if let Eligible::Of(mask) = eligible {
                assert_eq!(counts.estimates as usize, fixture.sketch.blocks_of(mask) * LANES);
            }
        }
    }
}

/// Rows in cells: whatever their shape, wherever queries lie and whichever rows match, what is nearest is found; where rows lie in clusters,
/// by looking at few.
#[test]
fn cells_that_are_not_looked_at_hold_nothing_near() {
    let (rows_of, queries_of, dim, seed) = (12_000, 40, 64, 17);
    for (shape, metric) in [
        (Shape::Clustered, Metric::L2),
        (Shape::Flat, Metric::Cosine),
        (Shape::Copies, Metric::L2),
        (Shape::Normal, Metric::Cosine),
    ] {
        let mut normal = Normal(seed);
        let data = rows(shape, rows_of + queries_of, dim, &mut normal);
        let (data, queries) = data.split_at(rows_of * dim);
        let mut fixture = Fixture::new(VectorSpec::new(dim, metric, ElementType::F32).unwrap(), data);
        assert!(fixture.sketch.cells.is_some());
        assert!(fixture.sketch.bytes() <= Sketch::bytes_of(fixture.vectors.spec(), rows_of), "{shape:?}");
        // Rows drawn at random, and those on one side: far from half of the queries.
        let sides: [&dyn Fn(u32) -> bool; 3] =
            [&|_| true, &|slot| slot % 5 == 2, &|slot| data[slot as usize * dim] > 1.0];
        for (side, holds) in sides.into_iter().enumerate() {
            let mut mask = Mask::none(rows_of);
            (0..rows_of as u32).filter(|&slot| holds(slot)).for_each(|slot| mask.insert(Slot(slot)));
            let (mut good, mut looked_at, mut nearly) = ([0, 0], 0, [0, 0]);
            for (number, query) in queries.chunks(dim).enumerate() {
                // Every fourth lies far from all rows.
                let query: Vec<f32> = query.iter().map(|x| if number % 4 == 3 { x * 5.0 + 2.0 } else { *x }).collect();
                let exact = fixture.exact(&query, K, holds);
                let asked: &dyn Fn(Slot) -> bool = &|slot| holds(slot.0);
                let eligible = if number % 2 == 0 { Eligible::Of(&mask) } else { Eligible::If(asked) };
                let (found, counts) = fixture.scan(&query, K, eligible);
                assert!(found.len() == K && found.is_sorted() && found.iter().all(|&(_, slot)| holds(slot)));
                good[usize::from(number % 4 == 3)] += found.iter().filter(|row| row.0 <= exact[K - 1].0).count();
                looked_at += counts.estimates as usize;
                let wanted = Wanted { recall: 0.99, ..Wanted::all(K) };
                let (found, counts) = fixture.scan_for(&query, wanted, eligible);
                assert!(found.len() == K && found.iter().all(|&(_, slot)| holds(slot)));
                nearly[0] += found.iter().filter(|row| row.0 <= exact[K - 1].0).count();
                nearly[1] += counts.estimates as usize;
            }
            let recall = nearly[0] as f64 / (K * queries_of) as f64;
            assert!(recall >= 0.975, "seed {seed}, {shape:?} {metric}, side {side}: recall {recall} of .99");
            assert!(nearly[1] <= looked_at, "seed {seed}, {shape:?} {metric}, side {side}: {nearly:?}, {looked_at}");
            let part = looked_at as f64 / (rows_of * queries_of) as f64;
            for (good, of) in good.into_iter().zip([0.75, 0.25]) {
                let recall = good as f64 / ((K * queries_of) as f64 * of);
                assert!(recall >= 0.98, "seed {seed}, {shape:?} {metric}, side {side}: recall {recall}");
            }
            let clustered = matches!(shape, Shape::Clustered | Shape::Copies);
            assert!(!clustered || part < 0.3, "seed {seed}, {shape:?} {metric}, side {side}: {part} looked at");
        }
    }
}

/// Rows in several sketches, in cells and in their order, are scanned as if they were one; and the part is found that was asked for, by
/// looking at the fewer the smaller it is.
#[test]
fn several_are_scanned_as_one() {
    let (dim, queries_of, seed) = (48, 60, 29);
    let counts = [11_000, 500, 9000, 13_000];
    let spec = VectorSpec::new(dim, Metric::L2, ElementType::F32).unwrap();
    let mut normal = Normal(seed);
    let data = rows(Shape::Flat, counts.iter().sum::<usize>() + queries_of, dim, &mut normal);
    let (data, queries) = data.split_at(counts.iter().sum::<usize>() * dim);
    let mut whole = Fixture::new(spec, data);
    let mut rest = data;
    let parts = counts.map(|count| {
        let (part, after) = rest.split_at(count * dim);
        rest = after;
        Fixture::new(spec, part)
    });
    assert_eq!(parts.each_ref().map(|part| part.sketch.cells.is_some()), [true, false, true, true]);
    let even = |slot: Slot| slot.0.is_multiple_of(2);
    let mut looked_at = Vec::new();
    for recall in [1.0, 0.99, 0.9] {
        let (mut good, mut estimates, mut buffers, mut nearest) = (0, 0, Sketching::default(), Nearest::default());
        for query in queries.chunks(dim) {
            let exact = whole.exact(query, K, |row| {
                let first = counts.iter().scan(0, |sum, count| Some(std::mem::replace(sum, *sum + *count as u32)));
                even(Slot(row - first.take_while(|&first| first <= row).last().unwrap()))
            });
            let shares: Vec<_> = parts
                .iter()
                .map(|part| {
                    let Vectors::F32(dense) = &part.vectors else { panic!("of one type") };
                    Share {
                        sketch: &part.sketch,
                        by: Whole { space: dense.view(), query },
                        eligible: Eligible::If(&even),
                    }
                })
                .collect();
            scan(&shares, query, Wanted { recall, has_patience: true, ..Wanted::all(K) }, &mut buffers, &mut nearest);
            assert_eq!(nearest.rows().len(), K);
            for &(distance, row) in nearest.rows() {
                let (part, slot) = buffers.locate(row);
                let mut vector = Vec::new();
                parts[part].vectors.decode(Slot(slot), &mut vector);
                let expected: f32 = vector.iter().zip(query).map(|(a, b)| (a - b) * (a - b)).sum();
                assert!(even(Slot(slot)) && (distance - expected).abs() <= 1e-4 * expected, "row {row}");
            }
            good += nearest.rows().iter().filter(|row| row.0 <= exact[K - 1].0).count();
            estimates += (0..parts.len()).map(|part| buffers.counts(part).estimates).sum::<u64>();
        }
        let found = good as f32 / (K * queries_of) as f32;
        // Of six hundred a few more may be missed.
        assert!(found >= recall - 0.015, "seed {seed}: {found} for {recall}");
        looked_at.push(estimates);
    }
    assert!(looked_at[1] < looked_at[0] && 4 * looked_at[2] < 3 * looked_at[0], "seed {seed}: {looked_at:?}");
}

/// Rows over twelve orders of magnitude, which no leaders part evenly: their cells take no more than was foretold, and what is nearest is
/// found.
#[test]
fn uneven_cells_take_no_more_than_was_foretold() {
    let (dim, rows_of) = (32, 9000);
    let spec = VectorSpec::new(dim, Metric::L2, ElementType::F32).unwrap();
    let mut normal = Normal(21);
    let lengths = (0..rows_of).map(|row| 1.003_f32.powi(row));
    let data: Vec<f32> = lengths.flat_map(|length| normal.vector(dim).into_iter().map(move |x| x * length)).collect();
    let mut fixture = Fixture::new(spec, &data);
    assert!(fixture.sketch.bytes() <= Sketch::bytes_of(spec, rows_of as usize));
    for row in [0, 4000, 8999] {
        let query = &data[row * dim..][..dim];
        let exact = fixture.exact(query, K, |_| true);
        let (found, _) = fixture.scan(query, K, Eligible::If(&|_| true));
        let good = found.iter().filter(|row| row.0 <= exact[K - 1].0).count();
        assert!(good + 1 >= K, "{good} of {K} near row {row}");
    }
}

/// As many results as rows match, and rows that are all the same.
#[test]
fn cells_give_up_no_row_while_results_are_wanted() {
    let (dim, rows_of) = (32, 9000);
    let spec = VectorSpec::new(dim, Metric::L2, ElementType::F32).unwrap();
    for data in [rows(Shape::Clustered, rows_of, dim, &mut Normal(3)), vec![0.5; rows_of * dim]] {
        let mut fixture = Fixture::new(spec, &data);
        assert!(fixture.sketch.cells.is_some());
        let holds = |slot: u32| slot % 40 == 7;
        for query in [vec![0.5; dim], vec![-4.0; dim], vec![1e9; dim]] {
            let (found, _) = fixture.scan(&query, 300, Eligible::If(&|slot: Slot| holds(slot.0)));
            assert_eq!(found, fixture.exact(&query, 300, holds), "{query:?}");
        }
    }
}

/// The same codes on any number of threads.
#[test]
fn a_sketch_does_not_depend_on_threads() {
    let (dim, count) = (24, 9000);
    let data = rows(Shape::Clustered, count, dim, &mut Normal(5));
    let spec = VectorSpec::new(dim, Metric::L2, ElementType::F32).unwrap();
    let decode = |slot: u32, out: &mut Vec<f32>| {
        out.clear();
        out.extend_from_slice(&data[slot as usize * dim..][..dim]);
    };
    let of = |threads| Sketch::new(spec, count, &BuildOptions { threads, progress: None }, decode);
    let (one, three) = (of(1), of(3));
    assert!(one.codes.as_slice() == three.codes.as_slice() && one.factors.as_slice() == three.factors.as_slice());
    assert_eq!((one.largest.as_slice(), one.errors.as_slice()), (three.largest.as_slice(), three.errors.as_slice()));
    assert!(one.cells.is_some() && format!("{:?}", one.cells) == format!("{:?}", three.cells));
}
