//! What a distance costs: nanoseconds for each metric, element type, dimension and instruction set, beside the plain loops and
//! the `simsimd` library.
//!
//! `hot` compares a query with a few rows in the first-level cache; `gathered` with random rows of a matrix that fits no cache
//! of a core, 16 at a time, as a graph hop does. Every answer is checked against the plain loops before it is timed. The ways to compute one
//! cell take turns, and the table holds medians. Rows are padded to 64 bytes as the store pads them.
//!
//! `cargo bench -p vicino-index --bench kernels -- [--quick] [--json] [--only f32]`

use std::hint::black_box;
use std::process::Command;
use std::time::{Duration, Instant};

use half::f16;
use memmap2::{Advice, MmapMut};
use serde_json::json;
use vicino_index::distance::{Bits8, Element, Isa, Kernels, RowsView};
use vicino_index::{ElementType, Metric, distance, metric};

use simsimd::{Baseline, Distance};

#[path = "../src/distance/simsimd.rs"]
mod simsimd;

const DIMS: [usize; 9] = [25, 50, 96, 128, 256, 384, 784, 960, 1536];
const QUICK_DIMS: [usize; 3] = [96, 384, 784];

/// Rows a hop asks for.
const HOP: usize = 16;

/// Bytes of rows that stay in the first-level cache beside the query.
const HOT_BYTES: usize = 16 << 10;

/// Bytes of rows that no cache of one core holds.
const MATRIX_BYTES: usize = 192 << 20;

/// What a run was asked to do.
struct Options {
    quick: bool,
    json: bool,
    only: Option<String>,
}

impl Options {
    fn parse() -> Options {
        let mut options = Options { quick: false, json: false, only: None };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--quick" => options.quick = true,
                "--json" => options.json = true,
                "--only" => options.only = arguments.next(),
                // Cargo says so to every benchmark.
                "--bench" => {}
                other => panic!("unknown argument `{other}`, expected --quick, --json or --only ELEMENT"),
            }
        }
        options
    }

    fn rounds(&self) -> usize {
        if self.quick { 7 } else { 15 }
    }

    /// Time for one measurement: short, so that on a busy machine most of them are undisturbed.
    fn slice(&self) -> Duration {
        Duration::from_micros(if self.quick { 400 } else { 800 })
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// A word made from random bits, and whether its sums are exact.
trait Word: Element + Baseline {
    const EXACT: bool = true;
    fn from_bits(bits: u64) -> Self;
}

impl Word for f32 {
    const EXACT: bool = false;
    fn from_bits(bits: u64) -> f32 {
        (bits >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

impl Word for f16 {
    const EXACT: bool = false;
    fn from_bits(bits: u64) -> f16 {
        f16::from_f32(f32::from_bits((bits >> 41) as u32 | 0x3f80_0000) - 1.5)
    }
}

impl Word for u8 {
    fn from_bits(bits: u64) -> u8 {
        bits as u8
    }
}

impl Word for i8 {
    fn from_bits(bits: u64) -> i8 {
        bits as i8
    }
}

impl Word for Bits8 {
    fn from_bits(bits: u64) -> Bits8 {
        Bits8(bits as u8)
    }
}

/// One way to compute a distance.
enum Way<T: Element> {
    Ours(Kernels<T>),
    Simsimd(Distance<T>),
}

impl<T: Word> Way<T> {
    /// Every way that this machine has.
    fn all(metric: Metric) -> Vec<Way<T>> {
        let ours = Isa::ALL.into_iter().filter_map(|isa| Kernels::with_isa(isa, metric)).map(Way::Ours);
        ours.chain(T::baseline(metric).map(Way::Simsimd)).collect()
    }

    fn name(&self) -> &'static str {
        match self {
            Way::Ours(kernels) => kernels.isa().name(),
            Way::Simsimd(_) => "simsimd",
        }
    }

    fn hop(&self, query: &[T], rows: RowsView<'_, T>, slots: &[u32], out: &mut [f32]) {
        match self {
            Way::Ours(kernels) => kernels.gather(query, rows, slots, out),
            Way::Simsimd(distance) => {
                for (out, &slot) in out.iter_mut().zip(slots) {
                    *out = distance(query, rows.row(slot as usize));
                }
            }
        }
    }

    /// Panics unless the answers are those of the plain loops. Cosine over floats is checked only where it means the same.
    fn check(&self, metric: Metric, query: &[T], rows: RowsView<'_, T>, slots: &[u32]) {
        if !T::EXACT && metric == Metric::Cosine && matches!(self, Way::Simsimd(_)) {
            return;
        }
        let truth = Kernels::with_isa(Isa::Scalar, metric).expect("always available");
        let (mut found, mut expected) = (vec![0.0; slots.len()], vec![0.0; slots.len()]);
        self.hop(query, rows, slots, &mut found);
        truth.gather(query, rows, slots, &mut expected);
        // The library's own cosine takes an approximate root, and its halves are summed as halves on some CPUs.
        let allowed = match self {
            Way::Ours(_) if T::EXACT => 0.0,
            Way::Ours(_) => 1e-5 * query.len() as f32,
            Way::Simsimd(_) => 2e-3 * query.len() as f32,
        };
        for (found, expected) in found.iter().zip(&expected) {
            assert!(
                (found - expected).abs() <= allowed,
                "{} {metric} {}: {found} for {expected}",
                self.name(),
                T::TYPE
            );
        }
    }

    /// Nanoseconds a distance over hops of `HOP` slots, the first of them hop `from`, for about `slice`.
    fn time(&self, query: &[T], rows: RowsView<'_, T>, slots: &[u32], from: u64, slice: Duration) -> f64 {
        const HOPS_BETWEEN_LOOKS_AT_THE_CLOCK: usize = 64;
        let hops = slots.len() / HOP;
        let mut hop = from as usize % hops;
        let mut out = [0.0; HOP];
        let (mut distances, start) = (0, Instant::now());
        loop {
            for _ in 0..HOPS_BETWEEN_LOOKS_AT_THE_CLOCK {
                self.hop(black_box(query), rows, &slots[hop * HOP..][..HOP], &mut out);
                black_box(&out);
                hop = if hop + 1 == hops { 0 } else { hop + 1 };
            }
            distances += HOPS_BETWEEN_LOOKS_AT_THE_CLOCK * HOP;
            let elapsed = start.elapsed();
            if elapsed >= slice {
                return elapsed.as_nanos() as f64 / distances as f64;
            }
        }
    }
}

/// One line of the table: the medians of one way.
struct Cell {
    element: ElementType,
    metric: Metric,
    dim: usize,
    way: &'static str,
    hot_ns: f64,
    gathered_ns: f64,
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Times every way over `matrix`, whose words are cut into rows anew for each dimension.
fn measure<T: Word>(options: &Options, cells: &mut Vec<Cell>) {
    if options.only.as_ref().is_some_and(|only| only != T::TYPE.name()) {
        return;
    }
    let mut random = Random(1);
    let line = 64 / size_of::<T>();
    let mut memory = MmapMut::map_anon(MATRIX_BYTES).expect("memory for the matrix");
    // As the store asks for its rows; a system that will not is measured without.
    let _ = memory.advise(Advice::HugePage);
    let words: &mut [T] = bytemuck::cast_slice_mut(&mut memory);
    words.fill_with(|| T::from_bits(random.next()));
    for &dim in if options.quick { &QUICK_DIMS[..] } else { &DIMS[..] } {
        let stride = T::TYPE.words(dim).next_multiple_of(line);
        let rows = words.len() / stride;
        let view = RowsView::new(&words[..rows * stride], stride, rows);
        let query = view.row(0);
        let hot_rows = (HOT_BYTES / size_of_val(query)).clamp(1, HOP) as u64;
        let hot: Vec<u32> = (0..64 * HOP as u64).map(|i| 1 + (i % hot_rows) as u32).collect();
        let gathered: Vec<u32> = (0..1 << 18).map(|_| (random.next() % rows as u64) as u32).collect();
        for metric in Metric::ALL.into_iter().filter(|&metric| T::TYPE.supports(metric)) {
            let ways = Way::<T>::all(metric);
            let mut times = vec![(Vec::new(), Vec::new()); ways.len()];
            ways.iter().for_each(|way| way.check(metric, query, view, &gathered[..256]));
            for _ in 0..options.rounds() {
                for (way, (hot_ns, gathered_ns)) in ways.iter().zip(&mut times) {
                    hot_ns.push(way.time(query, view, &hot, 0, options.slice()));
                    gathered_ns.push(way.time(query, view, &gathered, random.next(), options.slice()));
                }
            }
            cells.extend(ways.iter().zip(times).map(|(way, (hot, gathered))| Cell {
                element: T::TYPE,
                metric,
                dim,
                way: way.name(),
                hot_ns: median(hot),
                gathered_ns: median(gathered),
            }));
        }
    }
}

/// What identifies a run: where, on what, of what, how.
fn header() -> Vec<(&'static str, String)> {
    let cpu_info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = cpu_info.lines().find(|line| line.starts_with(name)).and_then(|line| line.split_once(": "));
        line.map_or_else(|| "unknown".to_string(), |(_, value)| value.to_string())
    };
    let commit = Command::new("git").args(["describe", "--always", "--dirty", "--exclude=*"]).output();
    let commit = commit.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_string());
    let interesting = |flag: &&str| ["avx2", "fma", "f16c"].contains(flag) || flag.starts_with("avx512");
    vec![
        ("cpu", format!("{} (family {}, model {})", field("model name"), field("cpu family"), field("model\t"))),
        ("features", field("flags").split(' ').filter(interesting).collect::<Vec<_>>().join(" ")),
        ("isa", Isa::detect().map_or_else(|error| error.to_string(), |isa| isa.to_string())),
        ("commit", commit.unwrap_or_else(|_| "unknown".to_string())),
        ("command", std::env::args().skip(1).fold("kernels".to_string(), |line, word| line + " " + &word)),
        ("threads", "1".to_string()),
        ("matrix", format!("{} MiB, rows padded to 64 bytes, hops of {HOP}", MATRIX_BYTES >> 20)),
    ]
}

/// One table for each element type and metric: a line for each dimension, a column for each way, `hot / gathered` in each.
fn print_tables(cells: &[Cell]) {
    for table in cells.chunk_by(|a, b| a.element == b.element) {
        for metric in Metric::ALL {
            let table: Vec<&Cell> = table.iter().filter(|cell| cell.metric == metric).collect();
            let Some(first) = table.first() else { continue };
            println!("\n### {} {metric}: ns a distance, hot / gathered\n", first.element);
            for (i, line) in table.chunk_by(|a, b| a.dim == b.dim).enumerate() {
                if i == 0 {
                    let ways = line.iter().map(|cell| format!("{:>17} |", cell.way)).collect::<String>();
                    println!("|  dim |{ways}\n|-----:|{}", "------------------:|".repeat(line.len()));
                }
                let times = line.iter().map(|cell| format!("{:8.1} / {:6.1} |", cell.hot_ns, cell.gathered_ns));
                println!("| {:4} |{}", line[0].dim, times.collect::<String>());
            }
        }
    }
}

fn print_json(header: &[(&'static str, String)], cells: &[Cell]) {
    let header: serde_json::Map<_, _> = header.iter().map(|(name, value)| (name.to_string(), json!(value))).collect();
    let cell = |cell: &Cell| {
        json!({
            "element": cell.element.name(), "metric": cell.metric.name(), "dim": cell.dim, "way": cell.way,
            "hot_ns": cell.hot_ns, "gathered_ns": cell.gathered_ns,
        })
    };
    println!("{}", json!({ "header": header, "cells": cells.iter().map(cell).collect::<Vec<_>>() }));
}

fn main() {
    let options = Options::parse();
    let header = header();
    if !options.json {
        header.iter().for_each(|(name, value)| println!("{name}: {value}"));
    }
    let mut cells = Vec::new();
    measure::<f32>(&options, &mut cells);
    measure::<f16>(&options, &mut cells);
    measure::<u8>(&options, &mut cells);
    measure::<i8>(&options, &mut cells);
    measure::<Bits8>(&options, &mut cells);
    if options.json {
        print_json(&header, &cells);
    } else {
        print_tables(&cells);
    }
}
