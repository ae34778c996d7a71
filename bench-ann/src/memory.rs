//! What this machine's memory gives one thread: measured in the same minutes as what is compared with it.
//!
//! A block as large as the index is read in three ways: from front to back; one line after another where each says which is next, so that
//! nothing overlaps; and in runs of lines at places known long before, as far apart as a walk's rows are. Caches shared with other machines
//! on the same host help as much as they help a search, which is why the block has the index's size and not a large one.

use std::hint::black_box;
use std::time::Instant;

use memmap2::{Advice, MmapMut};

/// Bytes of a cache line.
pub const LINE: usize = 64;
/// Smallest block: below it a core's own caches answer.
const LEAST_BYTES: usize = 64 << 20;
/// Lines of a chain; at some 100 ns each they take a fraction of a second.
const CHAIN: usize = 1 << 20;
/// Bytes read at random places.
const RANDOM_BYTES: usize = 512 << 20;
/// Measurements of each kind; the median counts.
const ROUNDS: usize = 5;

/// One thread's reading speeds over a block of a given size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Size of the block.
    pub block_bytes: usize,
    /// Front to back, GB/s.
    pub sequential_gb_s: f64,
    /// One line whose place is read from the one before, ns.
    pub line_ns: f64,
    /// Runs of lines at random places known beforehand, GB/s.
    pub rows_gb_s: f64,
    /// Bytes of such a run.
    pub row_bytes: usize,
}

impl std::fmt::Display for Limits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Limits { block_bytes, sequential_gb_s, line_ns, rows_gb_s, row_bytes } = self;
        write!(
            f,
            "Memory, one thread, a block of {} MB: {sequential_gb_s:.1} GB/s from front to back; {line_ns:.1} ns for a line whose place the one before \
             says; {rows_gb_s:.1} GB/s in runs of {row_bytes} bytes at random places.",
            block_bytes / 1_000_000
        )
    }
}

/// Measures with a block of `bytes`, and runs of `row_bytes`. Errors if the block cannot be had.
pub fn limits(bytes: usize, row_bytes: usize) -> std::io::Result<Limits> {
    let bytes = bytes.max(LEAST_BYTES).next_multiple_of(LINE);
    let row_bytes = row_bytes.next_multiple_of(LINE);
    let mut block = MmapMut::map_anon(bytes)?;
    // As the index's own rows lie; where the system refuses, neither has them.
    let _ = block.advise(Advice::HugePage);
    let words: &mut [u64] = bytemuck::cast_slice_mut(&mut block);
    let per_line = LINE / size_of::<u64>();
    // One cycle through all lines, in random order: Sattolo's shuffle.
    let lines = words.len() / per_line;
    let mut order: Vec<u32> = (0..lines as u32).collect();
    let mut random = Random(1);
    for at in (1..lines).rev() {
        order.swap(at, random.below(at));
    }
    for (at, &next) in order.iter().enumerate() {
        words[at * per_line] = u64::from(next);
    }
    drop(order);
    let words = &*words;
    let sequential = || {
        let seconds = timed(|| {
            let (runs, _) = words.as_chunks::<32>();
            let mut sums = [0_u64; 32];
            for run in runs {
                for i in 0..32 {
                    sums[i] = sums[i].wrapping_add(run[i]);
                }
            }
            black_box(sums);
        });
        bytes as f64 / seconds / 1e9
    };
    let chain = || {
        let mut at = 0;
        let steps = CHAIN.min(lines);
        let seconds = timed(|| {
            for _ in 0..steps {
                at = words[at * per_line] as usize;
            }
            black_box(at);
        });
        seconds * 1e9 / steps as f64
    };
    let mut random = Random(2);
    let rows_in_block = bytes / row_bytes;
    let mut rows = || {
        let count = RANDOM_BYTES / row_bytes;
        let places: Vec<usize> = (0..count).map(|_| random.below(rows_in_block) * (row_bytes / 8)).collect();
        let seconds = timed(|| {
            let mut sum = 0_u64;
            for &place in &places {
                let row = &words[place..place + row_bytes / 8];
                // One word of each line brings the line.
                sum = row.iter().step_by(per_line).fold(sum, |sum, word| sum.wrapping_add(*word));
            }
            black_box(sum);
        });
        (count * row_bytes) as f64 / seconds / 1e9
    };
    Ok(Limits {
        block_bytes: bytes,
        sequential_gb_s: middle(sequential),
        line_ns: middle(chain),
        rows_gb_s: middle(&mut rows),
        row_bytes,
    })
}

fn timed(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

fn middle(mut measure: impl FnMut() -> f64) -> f64 {
    let values: Vec<f64> = (0..ROUNDS).map(|_| measure()).collect();
    crate::results::median(&values)
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound.max(1) as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_slower_than_reading_along() {
        let limits = limits(LEAST_BYTES, 1000).unwrap();
        assert_eq!((limits.block_bytes, limits.row_bytes), (LEAST_BYTES, 1024));
        let chained = LINE as f64 / limits.line_ns;
        assert!(limits.rows_gb_s > 0.0 && chained > 0.0 && chained < limits.sequential_gb_s, "{limits:?}");
    }
}
