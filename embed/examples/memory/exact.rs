//! Top k of product keys against a scan of all n² keys, for many random queries.
//!
//! The scan adds the same half scores in f64, which holds each sum exactly, for every slot, and sorts by score and then slot.
//! A second case has small integers for keys and queries: whole keys are formed and multiplied with the query in integers, and
//! most of the best k tie, so that an answer is right only if ties fall to the lower slot.

use anyhow::{Result, ensure};
use clap::Args;
use std::time::Instant;
use vicino_embed::memory::{KeyShape, ProductKeys, TopK};
use vicino_embed::random::Random;

use crate::report::Report;

#[derive(Args)]
pub(crate) struct Options {
    /// Random queries of each case; each head asks with a query of its own.
    #[arg(long, default_value_t = 10_000)]
    queries: usize,
    /// Slots of each head to find.
    #[arg(long, default_value_t = 32)]
    k: usize,
}

pub(crate) fn run(options: &Options, seed: u64) -> Result<Report> {
    let mut report = Report::new("exact", "Product keys against a scan of all keys", seed);
    report.line("| keys | n | slots | heads | key dim | k | queries | lists equal | equal neighbours in the best k + 1 | scan, s |");
    report.line("|---|---|---|---|---|---|---|---|---|---|");
    let mut random = Random::new(seed);
    for (integers, sub_keys, heads, key_dim) in [(false, 512, 4, 256), (false, 1024, 4, 256), (true, 512, 1, 8)] {
        let shape = KeyShape { heads, sub_keys, key_dim };
        let mut draw = |count: usize| -> Vec<f32> {
            let number = |_| if integers { random.below(9) as f32 - 4.0 } else { random.normal() as f32 };
            (0..count).map(number).collect()
        };
        let keys = ProductKeys::new(shape, draw(shape.numbers()))?;
        let queries = draw(options.queries * heads * key_dim);
        let top = keys.top_k(&queries, options.k)?;
        let start = Instant::now();
        let found = scan(&keys, &queries, &top, options.k, integers);
        let lists = options.queries * heads;
        report.line(&format!(
            "| {} | {sub_keys} | {} | {heads} | {key_dim} | {} | {} | {} of {lists} | {} | {:.0} |",
            if integers { "integers −4..4" } else { "normal" },
            shape.slots(),
            options.k,
            options.queries,
            found.equal,
            found.ties,
            start.elapsed().as_secs_f64(),
        ));
        ensure!(found.equal == lists, "{} of {lists} lists differ", lists - found.equal);
    }
    report.line("\nAll lists are equal: ids, order and scores.");
    Ok(report)
}

#[derive(Default)]
struct Found {
    equal: usize,
    ties: usize,
}

/// Compares each list of `top` with a scan.
fn scan(keys: &ProductKeys, queries: &[f32], top: &TopK, k: usize, integers: bool) -> Found {
    let KeyShape { heads, key_dim, sub_keys } = keys.shape();
    let mut found = Found::default();
    // Whole keys, column by column, so that one query is multiplied with all keys at once.
    let whole: Vec<Vec<i32>> = if integers { (0..heads).map(|head| columns(keys, head)).collect() } else { Vec::new() };
    let count = queries.len() / (heads * key_dim);
    let lists = queries.chunks_exact(key_dim).zip(top.ids.chunks_exact(k).zip(top.scores.chunks_exact(k)));
    let mut halves = Vec::new();
    for (place, (query, (ids, scores))) in lists.enumerate() {
        let (index, head) = (place / heads, place % heads);
        if place % (CHUNK * heads) == 0 {
            let chunk = &queries[place * key_dim..((place + CHUNK * heads) * key_dim).min(queries.len())];
            halves = keys.half_scores(chunk).expect("the same queries as before");
        }
        let best = if integers {
            best_whole(&whole[head], query, k + 1)
        } else {
            let chunk = CHUNK.min(count - index / CHUNK * CHUNK);
            let side = |side| &halves[((head * 2 + side) * chunk + index % CHUNK) * sub_keys..][..sub_keys];
            best_sums(side(0), side(1), k + 1)
        };
        let same =
            |(&(score, id), (&found, &number)): (&(f64, u32), (&u32, &f32))| id == found && score as f32 == number;
        found.equal += usize::from(best.iter().zip(ids.iter().zip(scores)).all(same));
        found.ties += best.windows(2).filter(|pair| pair[0].0 == pair[1].0).count();
    }
    found
}

/// Queries whose half scores are kept at a time.
const CHUNK: usize = 100;

/// The best of all sums of two half scores, by score, then by slot.
fn best_sums(left: &[f32], right: &[f32], k: usize) -> Vec<(f64, u32)> {
    let right: Vec<f64> = right.iter().copied().map(f64::from).collect();
    let mut sums = vec![0.0; right.len()];
    let mut best = Best::new(k);
    for (i, &left) in left.iter().enumerate() {
        let left = f64::from(left);
        sums.iter_mut().zip(&right).for_each(|(sum, right)| *sum = left + right);
        best.add(&sums, (i * right.len()) as u32);
    }
    best.finish()
}

/// The best of all whole keys, by integer product, then by slot. `columns: [key_dim × slots]`
fn best_whole(columns: &[i32], query: &[f32], k: usize) -> Vec<(f64, u32)> {
    let slots = columns.len() / query.len();
    let mut products = vec![0_i32; slots];
    for (column, &number) in columns.chunks_exact(slots).zip(query) {
        let number = number as i32;
        products.iter_mut().zip(column).for_each(|(sum, key)| *sum += key * number);
    }
    let mut best = Best::new(k);
    let mut scores = vec![0.0; BLOCK];
    for (block, products) in products.chunks(BLOCK).enumerate() {
        scores.resize(products.len(), 0.0);
        scores.iter_mut().zip(products).for_each(|(score, &product)| *score = f64::from(product));
        best.add(&scores, (block * BLOCK) as u32);
    }
    best.finish()
}

/// Whole keys of a head, column by column. `[key_dim × slots]`
fn columns(keys: &ProductKeys, head: usize) -> Vec<i32> {
    let KeyShape { key_dim, .. } = keys.shape();
    let slots = keys.shape().slots();
    let (mut columns, mut key) = (vec![0; key_dim * slots], vec![0.0; key_dim]);
    for slot in 0..slots {
        keys.key(head, slot as u32, &mut key);
        key.iter().enumerate().for_each(|(column, &number)| columns[column * slots + slot] = number as i32);
    }
    columns
}

/// Scores looked through together.
const BLOCK: usize = 1024;

/// The best scores met so far: all that reach the k-th best, sorted and cut when there are many.
struct Best {
    k: usize,
    least: f64,
    met: Vec<(f64, u32)>,
}

impl Best {
    fn new(k: usize) -> Best {
        Best { k, least: f64::NEG_INFINITY, met: Vec::new() }
    }

    /// Adds the scores of slots from `first` on.
    fn add(&mut self, scores: &[f64], first: u32) {
        for (block, scores) in scores.chunks(64).enumerate() {
            // Most blocks hold nothing: one comparison for all of it.
            if scores.iter().fold(f64::NEG_INFINITY, |most, &score| if score > most { score } else { most })
                < self.least
            {
                continue;
            }
            let slots = scores.iter().zip(first + 64 * block as u32..);
            self.met.extend(slots.filter(|(score, _)| **score >= self.least).map(|(&score, slot)| (score, slot)));
            if self.met.len() > 16 * self.k {
                self.cut();
            }
        }
    }

    fn cut(&mut self) {
        self.met.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        self.met.truncate(self.k);
        self.least = self.met.last().map_or(f64::NEG_INFINITY, |last| last.0);
    }

    fn finish(mut self) -> Vec<(f64, u32)> {
        self.cut();
        self.met
    }
}
