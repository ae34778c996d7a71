//! The loops: over the words of two vectors, and over the rows that a query is compared with.
//!
//! Written once over [`Op`] and inlined into functions compiled for an instruction set. Each pair of vectors is summed in
//! the same order however it is asked for, so all ways agree bit for bit. Words that fill no whole register are copied into zeros,
//! which no operation counts; rows padded by the store never come to that.
//!
//! Rows are taken [`GROUP`] at a time: they share what is loaded of the query, and their cache misses overlap. Short rows are
//! prefetched whole, two groups ahead. Of long rows that would be more lines than a core can wait for, so those of the next group
//! are asked for line by line, as the lines of this one are used up. `benches/kernels.rs` decided: on random rows outside the
//! second-level cache this takes 0.5 to 0.75 of the time of one row at a time with the next one prefetched.

use bytemuck::{Pod, Zeroable};

use super::prefetch::prefetch;
use super::view::RowsView;

/// One metric over one type of word in one instruction set.
///
/// # Safety
/// Each unsafe function may be called only on a CPU that has the instruction set; `step` reads `WIDTH` words from both pointers.
pub(super) trait Op: 'static {
    type Word: Pod;
    /// Registers in which a sum is kept.
    type Lanes: Copy;
    /// A sum over any number of words.
    type Sum: Copy + Default;

    /// Words taken by a step, at most [`MAX_WIDTH`].
    const WIDTH: usize;

    unsafe fn zero() -> Self::Lanes;
    unsafe fn step(sum: Self::Lanes, a: *const Self::Word, b: *const Self::Word) -> Self::Lanes;
    unsafe fn add(a: Self::Lanes, b: Self::Lanes) -> Self::Lanes;
    unsafe fn total(sum: Self::Sum, lanes: Self::Lanes) -> Self::Sum;
    fn distance(sum: Self::Sum) -> f32;
}

/// The widest register's bytes.
const MAX_WIDTH: usize = 64;

/// Words after which lanes are emptied into a wide sum: of 65536 bytes, a sum of products is below 2^32 still.
const BLOCK: usize = 1 << 16;

/// Rows compared at once. With two sums each, that makes eight independent ones: enough to hide the latency of an addition, and
/// few enough for sixteen registers.
const GROUP: usize = 4;

/// Bytes of a cache line.
const LINE: usize = 64;

/// Rows of at most so many bytes are prefetched whole.
const SHORT: usize = 512;

/// The distance between two vectors of one length.
///
/// # Safety
/// The CPU has the instruction set of `O`, and the lengths are equal.
#[inline(always)]
pub(super) unsafe fn distance<O: Op>(a: &[O::Word], b: &[O::Word]) -> f32 {
    // SAFETY: the instruction set and the lengths are the caller's promise.
    let [distance] = unsafe { group::<O, 1>(a.as_ptr(), [b.as_ptr()], None, a.len()) };
    distance
}

/// `out[i]` = distance of the query to row `slots[i]`.
///
/// # Safety
/// The CPU has the instruction set of `O`; the query is as wide as the rows, `out` as long as `slots`, and every slot a row.
#[inline(always)]
pub(super) unsafe fn gather<O: Op>(query: &[O::Word], rows: RowsView<'_, O::Word>, slots: &[u32], out: &mut [f32]) {
    // SAFETY: `i` is below `out.len()`, which is `slots.len()`, and every slot is a row; the rest is the caller's promise.
    unsafe { each::<O>(query, |i| rows.row_ptr(*slots.get_unchecked(i) as usize), out) }
}

/// `out[i]` = distance of the query to row `first + i`.
///
/// # Safety
/// The CPU has the instruction set of `O`; the query is as wide as the rows, and there are `first + out.len()` rows.
#[inline(always)]
pub(super) unsafe fn scan<O: Op>(query: &[O::Word], rows: RowsView<'_, O::Word>, first: usize, out: &mut [f32]) {
    // SAFETY: `i` is below `out.len()`, and there are that many rows from `first` on; the rest is the caller's promise.
    unsafe { each::<O>(query, |i| rows.row_ptr(first + i), out) }
}

/// `out[i]` = distance of the query to `row(i)`.
///
/// # Safety
/// The CPU has the instruction set of `O`; `row(i)` can be read as far as the query for each `i` below `out.len()`.
#[inline(always)]
unsafe fn each<O: Op>(query: &[O::Word], row: impl Fn(usize) -> *const O::Word, out: &mut [f32]) {
    let Some(last) = out.len().checked_sub(1) else { return };
    let bytes = size_of_val(query);
    let ahead = if bytes <= SHORT { 2 * GROUP } else { GROUP };
    for i in 0..ahead.min(out.len()) {
        prefetch_bytes(row(i), bytes);
    }
    let mut done = 0;
    while done + GROUP <= out.len() {
        let group_after = |after: usize| std::array::from_fn(|r| row((done + after + r).min(last)));
        let (rows, next) = (group_after(0), group_after(ahead));
        let lines = (bytes > SHORT).then_some(next);
        if lines.is_none() {
            next.iter().for_each(|&row| prefetch_bytes(row, bytes));
        }
        // SAFETY: the rows can be read as far as the query; the instruction set is the caller's promise.
        let distances = unsafe { group::<O, GROUP>(query.as_ptr(), rows, lines, query.len()) };
        out[done..done + GROUP].copy_from_slice(&distances);
        done += GROUP;
    }
    for (i, out) in out.iter_mut().enumerate().skip(done) {
        // SAFETY: as above.
        [*out] = unsafe { group::<O, 1>(query.as_ptr(), [row(i)], None, query.len()) };
    }
}

/// Asks for the lines of `bytes` bytes from `address` on.
#[inline(always)]
fn prefetch_bytes<T>(address: *const T, bytes: usize) {
    for offset in (0..bytes).step_by(LINE) {
        prefetch(address.wrapping_byte_add(offset));
    }
}

/// The distances of `R` rows of `words` words to the query. Where `ahead` is given, its lines are asked for on the way.
///
/// # Safety
/// The CPU has the instruction set of `O`, and `words` can be read from the query and from the rows.
#[inline(always)]
unsafe fn group<O: Op, const R: usize>(
    query: *const O::Word,
    rows: [*const O::Word; R],
    ahead: Option<[*const O::Word; R]>,
    words: usize,
) -> [f32; R] {
    let mut sums = [O::Sum::default(); R];
    for start in (0..words).step_by(BLOCK) {
        let block = (words - start).min(BLOCK);
        let ahead = ahead.map(|ahead| ahead.map(|row| row.wrapping_add(start)));
        // SAFETY: the block lies within `words`; the rest is the caller's promise.
        unsafe {
            let lanes = block_lanes::<O, R>(query.add(start), rows.map(|row| row.add(start)), ahead, block);
            sums = std::array::from_fn(|r| O::total(sums[r], lanes[r]));
        }
    }
    sums.map(O::distance)
}

/// # Safety
/// As [`group`]'s, with at most [`BLOCK`] words.
#[inline(always)]
unsafe fn block_lanes<O: Op, const R: usize>(
    query: *const O::Word,
    rows: [*const O::Word; R],
    ahead: Option<[*const O::Word; R]>,
    words: usize,
) -> [O::Lanes; R] {
    let pair_bytes = 2 * O::WIDTH * size_of::<O::Word>();
    // SAFETY: every step starts at least `WIDTH` words before the end, or reads the copies; the instruction set is the caller's promise.
    unsafe {
        let (mut even, mut odd) = ([O::zero(); R], [O::zero(); R]);
        let mut i = 0;
        while i + 2 * O::WIDTH <= words {
            if let Some(ahead) = ahead
                && (i * size_of::<O::Word>()).is_multiple_of(LINE)
            {
                ahead.iter().for_each(|row| prefetch_bytes(row.wrapping_add(i), pair_bytes));
            }
            for r in 0..R {
                even[r] = O::step(even[r], query.add(i), rows[r].add(i));
            }
            i += O::WIDTH;
            for r in 0..R {
                odd[r] = O::step(odd[r], query.add(i), rows[r].add(i));
            }
            i += O::WIDTH;
        }
        if i + O::WIDTH <= words {
            if let Some(ahead) = ahead {
                ahead.iter().for_each(|row| prefetch(row.wrapping_add(i)));
            }
            for r in 0..R {
                even[r] = O::step(even[r], query.add(i), rows[r].add(i));
            }
            i += O::WIDTH;
        }
        if i < words {
            let query = padded::<O>(query.add(i), words - i);
            for r in 0..R {
                let row = padded::<O>(rows[r].add(i), words - i);
                odd[r] = O::step(odd[r], query.as_ptr(), row.as_ptr());
            }
        }
        std::array::from_fn(|r| O::add(even[r], odd[r]))
    }
}

/// `words` words and then zeros.
///
/// # Safety
/// `words` can be read from `from`, and are at most `WIDTH`.
#[inline(always)]
unsafe fn padded<O: Op>(from: *const O::Word, words: usize) -> [O::Word; MAX_WIDTH] {
    let mut padded = [Zeroable::zeroed(); MAX_WIDTH];
    // SAFETY: `words` can be read, and fit since `WIDTH` is at most `MAX_WIDTH`.
    unsafe { std::ptr::copy_nonoverlapping(from, padded.as_mut_ptr(), words) };
    padded
}
