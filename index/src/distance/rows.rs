//! The loops: over the words of two vectors, and over the rows that a query is compared with.
//!
//! Written once over [`Op`] and inlined into functions compiled for an instruction set. Each pair of vectors is summed in
//! the same order however it is asked for, so all ways agree bit for bit. Words that fill no whole register are copied into zeros, which no
//! operation counts; rows padded by the store never come to that.

use super::element::Element;
use super::kernels::RowsView;
use super::lanes::BLOCK;
use super::prefetch::prefetch;

/// One metric over one type of word in one instruction set.
///
/// # Safety
/// Each unsafe function may be called only on a CPU that has the instruction set; `step` reads `WIDTH` words from both pointers.
pub(super) trait Op: 'static {
    type Word: Element;
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

/// Independent sums, to hide the latency of an addition behind the others.
const UNROLL: usize = 4;

/// The distance between two vectors of one length.
///
/// # Safety
/// The CPU has the instruction set of `O`, and the lengths are equal.
#[inline(always)]
pub(super) unsafe fn distance<O: Op>(a: &[O::Word], b: &[O::Word]) -> f32 {
    // SAFETY: the instruction set and the lengths are the caller's promise.
    unsafe { pair::<O>(a.as_ptr(), b.as_ptr(), a.len()) }
}

/// `out[i]` = distance of the query to row `slots[i]`.
///
/// # Safety
/// The CPU has the instruction set of `O`; the query is as wide as the rows, `out` as long as `slots`, and every slot a row.
#[inline(always)]
pub(super) unsafe fn gather<O: Op>(query: &[O::Word], rows: RowsView<'_, O::Word>, slots: &[u32], out: &mut [f32]) {
    for (i, out) in out.iter_mut().enumerate() {
        if let Some(&next) = slots.get(i + 1) {
            // SAFETY: every slot is a row.
            prefetch_row(unsafe { rows.row_ptr(next as usize) }, query.len());
        }
        // SAFETY: every slot is a row and as wide as the query; the instruction set is the caller's promise.
        *out = unsafe { pair::<O>(query.as_ptr(), rows.row_ptr(*slots.get_unchecked(i) as usize), query.len()) };
    }
}

/// `out[i]` = distance of the query to row `first + i`.
///
/// # Safety
/// The CPU has the instruction set of `O`; the query is as wide as the rows, and there are `first + out.len()` rows.
#[inline(always)]
pub(super) unsafe fn scan<O: Op>(query: &[O::Word], rows: RowsView<'_, O::Word>, first: usize, out: &mut [f32]) {
    for (i, out) in out.iter_mut().enumerate() {
        // SAFETY: row `first + i` exists and is as wide as the query; the instruction set is the caller's promise.
        *out = unsafe { pair::<O>(query.as_ptr(), rows.row_ptr(first + i), query.len()) };
    }
}

/// Asks for a row's cache lines, up to one page of them: what follows is found by the hardware.
#[inline(always)]
fn prefetch_row<T>(row: *const T, words: usize) {
    const LINE: usize = 64;
    const PAGE: usize = 4096;
    let bytes = (words * size_of::<T>()).min(PAGE);
    for offset in (0..bytes).step_by(LINE) {
        prefetch(row.wrapping_byte_add(offset));
    }
}

/// # Safety
/// The CPU has the instruction set of `O`, and `words` can be read from both pointers.
#[inline(always)]
unsafe fn pair<O: Op>(a: *const O::Word, b: *const O::Word, words: usize) -> f32 {
    let mut sum = O::Sum::default();
    let mut start = 0;
    while start < words {
        let block = (words - start).min(BLOCK);
        // SAFETY: the block lies within `words`; the rest is the caller's promise.
        sum = unsafe { O::total(sum, block_lanes::<O>(a.add(start), b.add(start), block)) };
        start += block;
    }
    O::distance(sum)
}

/// # Safety
/// As [`pair`]'s, with at most [`BLOCK`] words.
#[inline(always)]
unsafe fn block_lanes<O: Op>(a: *const O::Word, b: *const O::Word, words: usize) -> O::Lanes {
    // SAFETY: every step starts at least `WIDTH` words before the end, or reads the copies; the instruction set is the caller's promise.
    unsafe {
        let mut lanes = [O::zero(); UNROLL];
        let mut i = 0;
        while i + O::WIDTH * UNROLL <= words {
            for (u, lanes) in lanes.iter_mut().enumerate() {
                let at = i + u * O::WIDTH;
                *lanes = O::step(*lanes, a.add(at), b.add(at));
            }
            i += O::WIDTH * UNROLL;
        }
        while i + O::WIDTH <= words {
            lanes[0] = O::step(lanes[0], a.add(i), b.add(i));
            i += O::WIDTH;
        }
        if i < words {
            let (a, b) = (padded::<O>(a.add(i), words - i), padded::<O>(b.add(i), words - i));
            lanes[1] = O::step(lanes[1], a.as_ptr(), b.as_ptr());
        }
        O::add(O::add(lanes[0], lanes[1]), O::add(lanes[2], lanes[3]))
    }
}

/// `words` words and then zeros.
///
/// # Safety
/// `words` can be read from `from`, and are at most `WIDTH`.
#[inline(always)]
unsafe fn padded<O: Op>(from: *const O::Word, words: usize) -> [O::Word; MAX_WIDTH] {
    let mut padded = [bytemuck::Zeroable::zeroed(); MAX_WIDTH];
    // SAFETY: `words` can be read, and fit since `WIDTH` is at most `MAX_WIDTH`.
    unsafe { std::ptr::copy_nonoverlapping(from, padded.as_mut_ptr(), words) };
    padded
}
