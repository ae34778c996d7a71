//! What a lookup costs, part by part; the gather beside a sequential read of the same values; and scoring all keys.
//!
//! The parts are timed apart, on the same queries, in turns, and the table holds medians. A sequential read adds up all values
//! in order, by the better of a plain sum and the gather's own loop. Queries are random, so that slots are too.

use anyhow::{Result, ensure};
use clap::Args;
use std::fs;
use std::hint::black_box;
use std::time::Instant;
use vicino_embed::memory::{FlatKeys, KeyScratch, KeyShape, ProductKeys, Softmax, TopK, ValueType, Values};
use vicino_embed::random::Random;

use crate::report::Report;

#[derive(Args)]
pub(crate) struct Options {
    /// Half keys on each side.
    #[arg(long, value_delimiter = ',', default_value = "512,1024")]
    sub_keys: Vec<usize>,
    /// Dimension of a key.
    #[arg(long, default_value_t = 256)]
    key_dim: usize,
    /// Dimension of a value.
    #[arg(long, default_value_t = 256)]
    value_dim: usize,
    /// Queries per input.
    #[arg(long, default_value_t = 4)]
    heads: usize,
    /// Slots read by each head.
    #[arg(long, default_value_t = 32)]
    k: usize,
    /// Inputs of each timed round.
    #[arg(long, default_value_t = 2048)]
    inputs: usize,
    /// Rounds, of which the median counts.
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Queries for which all keys are scored.
    #[arg(long, default_value_t = 16)]
    scanned: usize,
    /// Count the processor time of the thread, for machines that are not idle (Linux; to a few milliseconds, so rounds must be
    /// long). What others do to the caches and the memory still counts.
    #[arg(long)]
    cpu_time: bool,
}

/// What time is counted.
#[derive(Clone, Copy)]
struct Clock {
    start: Option<Instant>,
}

impl Clock {
    fn new(cpu_time: bool) -> Result<Clock> {
        let clock = Clock { start: (!cpu_time).then(Instant::now) };
        ensure!(clock.seconds().is_finite(), "expected processor times in /proc/thread-self/schedstat, found none");
        Ok(clock)
    }

    /// Seconds since some moment.
    fn seconds(self) -> f64 {
        match self.start {
            Some(start) => start.elapsed().as_secs_f64(),
            None => {
                let times = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
                times.split(' ').next().and_then(|time| time.parse::<f64>().ok()).map_or(f64::NAN, |nanos| nanos / 1e9)
            }
        }
    }

    /// Seconds that `work` takes.
    fn time(self, mut work: impl FnMut()) -> f64 {
        let start = self.seconds();
        work();
        self.seconds() - start
    }
}

pub(crate) fn run(options: &Options, seed: u64) -> Result<Report> {
    let mut report = Report::new("speed", "What a lookup costs", seed);
    let Options { key_dim, value_dim, heads, k, inputs, rounds, .. } = *options;
    report.line(&format!(
        "{heads} heads, k {k}, key dimension {key_dim}, value dimension {value_dim}, one thread, {inputs} inputs a round, medians of {rounds} rounds, {}.\n",
        if options.cpu_time { "processor time" } else { "wall time" }
    ));
    let clock = Clock::new(options.cpu_time)?;
    for &sub_keys in &options.sub_keys {
        report.line(&format!("## n = {sub_keys}: {} slots\n", sub_keys * sub_keys));
        size(options, sub_keys, seed, clock, &mut report)?;
    }
    Ok(report)
}

fn size(options: &Options, sub_keys: usize, seed: u64, clock: Clock, report: &mut Report) -> Result<()> {
    let Options { key_dim, value_dim, heads, k, inputs, rounds, .. } = *options;
    let mut random = Random::new(seed);
    let mut normals = |count: usize| -> Vec<f32> { (0..count).map(|_| random.normal() as f32).collect() };
    let shape = KeyShape { heads, sub_keys, key_dim };
    let keys = ProductKeys::new(shape, normals(shape.numbers()))?;
    let queries = normals(inputs * heads * key_dim);
    let (mut scratch, mut top) = (KeyScratch::default(), TopK::default());

    report.line("| part | µs per input, inputs one by one | in one batch |");
    report.line("|---|---|---|");
    let each = |batch: usize, scratch: &mut KeyScratch, top: &mut TopK| {
        let time = clock.time(|| {
            for queries in queries.chunks(batch * heads * key_dim) {
                keys.top_k_into(queries, k, scratch, top).expect("sound queries");
                black_box(&top.ids);
            }
        });
        time * 1e6 / inputs as f64
    };
    let scores = |batch: usize| {
        let time = clock.time(|| {
            for queries in queries.chunks(batch * heads * key_dim) {
                black_box(keys.half_scores(queries).expect("sound queries"));
            }
        });
        time * 1e6 / inputs as f64
    };
    let (mut single, mut batched) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
    for _ in 0..rounds {
        single.0.push(scores(1));
        batched.0.push(scores(16));
        single.1.push(each(1, &mut scratch, &mut top));
        batched.1.push(each(inputs, &mut scratch, &mut top));
    }
    let (single, batched) = ((median(single.0), median(single.1)), (median(batched.0), median(batched.1)));
    report.line(&format!("| scores of {} half keys | {:.1} | {:.1} |", 2 * heads * sub_keys, single.0, batched.0));
    report.line(&format!("| best {k} of each head | {:.1} | {:.1} |", single.1 - single.0, batched.1 - batched.0));
    report.line(&format!("| **lookup, without values** | **{:.1}** | **{:.1}** |", single.1, batched.1));

    let weights: Vec<f32> =
        top.scores.chunks_exact(k).flat_map(|scores| Softmax::of_best(scores, 1.0, k).weights).collect();
    report.line("\n| values | bytes of a value | MiB | gather, µs per input | gather, GB/s | sequential, GB/s | gather / sequential | lookup with values, µs |");
    report.line("|---|---|---|---|---|---|---|---|");
    for value_type in [ValueType::F32, ValueType::Bf16, ValueType::Int8] {
        let values = pool(value_type, shape.slots(), value_dim, seed)?;
        let Gather { micros, speed, sequential } = gather(&values, &top.ids, &weights, inputs, rounds, clock)?;
        let bytes = value_dim * values.table().rows().number_bytes();
        report.line(&format!(
            "| {value_type:?} | {bytes} | {} | {micros:.1} | {speed:.2} | {sequential:.2} | {:.0} % | {:.1} |",
            (bytes * shape.slots()) >> 20,
            100.0 * speed / sequential,
            batched.1 + micros,
        ));
    }
    drop(weights);
    scan(options, &keys, &queries, &top, (single.1, batched.1), clock, report)
}

/// Values that no two slots share, made without a random number for each.
fn pool(value_type: ValueType, slots: usize, dim: usize, seed: u64) -> Result<Values> {
    let mut random = Random::new(seed);
    let noise: Vec<f32> = (0..dim + 997).map(|_| random.normal() as f32).collect();
    let mut values = Values::zeros(value_type, slots, dim)?;
    for slot in 0..slots {
        values.write(slot as u32, &noise[slot % 997..][..dim])?;
    }
    Ok(values)
}

struct Gather {
    micros: f64,
    speed: f64,
    sequential: f64,
}

fn gather(values: &Values, ids: &[u32], weights: &[f32], inputs: usize, rounds: usize, clock: Clock) -> Result<Gather> {
    let (table, dim) = (values.table(), values.dim());
    let row_bytes = (dim * table.rows().number_bytes()) as f64;
    let ends: Vec<usize> = (1..=inputs).map(|input| input * ids.len() / inputs).collect();
    let mut out = vec![0.0; inputs * dim];
    let all: Vec<u32> = (0..table.len() as u32).collect();
    let ones = vec![1.0; all.len()];
    let by_row: Vec<usize> = (1..=all.len() / 128).map(|bag| bag * 128).chain([all.len()]).collect();
    let mut sums = vec![0.0; by_row.len() * dim];
    let (mut gathers, mut reads) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        // Several at a time, for a gather is short.
        let gathered = clock.time(|| {
            for _ in 0..REPEATS {
                table.reduce(ids, weights, &ends, &mut out).expect("ids of slots");
                black_box(&out);
            }
        });
        gathers.push(gathered / f64::from(REPEATS));
        let looped = clock.time(|| {
            table.reduce(&all, &ones, &by_row, &mut sums).expect("all slots");
            black_box(&sums);
        });
        reads.push(looped.min(clock.time(|| {
            black_box(plain_sum(values));
        })));
    }
    let (gathered, read) = (median(gathers), median(reads));
    Ok(Gather {
        micros: gathered * 1e6 / inputs as f64,
        speed: ids.len() as f64 * row_bytes / gathered / 1e9,
        sequential: all.len() as f64 * row_bytes / read / 1e9,
    })
}

/// Gathers timed together.
const REPEATS: u32 = 4;

/// All bytes of the values, eight at a time, in 32 sums.
fn plain_sum(values: &Values) -> u64 {
    use vicino_embed::gather::Rows;
    let bytes: &[u8] = match values.table().rows() {
        Rows::F32(rows) => bytemuck::cast_slice(rows),
        Rows::Bf16(rows) => bytemuck::cast_slice(rows),
        Rows::Int8 { codes, .. } => bytemuck::cast_slice(codes),
    };
    let words: &[u64] = bytemuck::cast_slice(&bytes[..bytes.len() / 8 * 8]);
    let mut sums = [0_u64; 32];
    for words in words.as_chunks::<32>().0 {
        sums.iter_mut().zip(words).for_each(|(sum, &word)| *sum = sum.wrapping_add(word));
    }
    sums.into_iter().fold(0, u64::wrapping_add)
}

/// Scores all keys of one head, and says what all heads would take.
fn scan(
    options: &Options,
    keys: &ProductKeys,
    queries: &[f32],
    top: &TopK,
    lookup: (f64, f64),
    clock: Clock,
    report: &mut Report,
) -> Result<()> {
    let Options { key_dim, heads, k, scanned, .. } = *options;
    let slots = keys.shape().slots();
    let mut whole = vec![0.0; slots * key_dim];
    for (slot, key) in whole.chunks_exact_mut(key_dim).enumerate() {
        keys.key(0, slot as u32, key);
    }
    let whole = FlatKeys::from_rows(&whole, key_dim)?;
    let asked: Vec<f32> =
        queries.chunks_exact(heads * key_dim).take(scanned).flat_map(|query| &query[..key_dim]).copied().collect();
    let count = asked.len() / key_dim;
    let mut lists = Vec::new();
    let together = clock.time(|| lists = whole.nearest_of_each(&asked, k).expect("sound queries"));
    let one_by_one = clock.time(|| {
        for query in asked.chunks_exact(key_dim) {
            black_box(whole.nearest_of_each(query, k).expect("sound queries"));
        }
    });
    let each = |time: f64| time * 1e6 / count as f64 * heads as f64;
    let (together, one_by_one) = (each(together), each(one_by_one));
    // The whole product rounds otherwise than the sum of two halves, so near ties may swap.
    let same: usize = lists
        .iter()
        .enumerate()
        .map(|(input, list)| {
            let ids = &top.ids[input * heads * k..][..k];
            list.iter().filter(|hit| ids.contains(&hit.id)).count()
        })
        .sum();
    ensure!(
        same * 1000 >= count * k * 999,
        "a scan of all keys finds other slots: {same} of {} are the same",
        count * k
    );
    report.line(&format!(
        "\nScoring all {slots} keys (one head measured on {count} queries, times {heads}) and choosing {k}: {one_by_one:.0} µs an input one by one, {together:.0} µs in a batch of {count}; \
         product keys are **{:.0} ×** and **{:.0} ×** faster. Of the slots found, {same} of {} are the same.\n",
        one_by_one / lookup.0,
        together / lookup.1,
        count * k,
    ));
    Ok(())
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
