//! The loop of an embedding bag, compiled for each level of CPU.

use half::bf16;

use crate::cpu::{BASELINE_FUSED, Level, multiply_add, prefetch};

/// Rows added in one pass over the sum.
const TOGETHER: usize = 4;

/// How many bytes ahead rows are asked for: more than a core has under way to its second-level cache while memory answers, and far
/// less than that cache holds.
const BYTES_AHEAD: usize = 48 << 10;

/// Bytes that come from memory as one.
const LINE: usize = 64;

/// Checked bags: ids are rows, `ends` rise to the number of ids, weights are as many as ids.
pub(super) struct Bags<'a, E> {
    pub(super) rows: &'a [E],
    pub(super) scales: Option<&'a [f32]>,
    pub(super) dim: usize,
    pub(super) ids: &'a [u32],
    pub(super) weights: &'a [f32],
    pub(super) ends: &'a [usize],
}

/// A number as it is stored.
pub(super) trait Element: Copy {
    fn widen(self) -> f32;
}

impl Element for f32 {
    #[inline(always)]
    fn widen(self) -> f32 {
        self
    }
}

impl Element for bf16 {
    // `bf16::to_f32` also quiets NaNs, which costs a comparison for each number.
    #[inline(always)]
    fn widen(self) -> f32 {
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }
}

impl Element for i8 {
    #[inline(always)]
    fn widen(self) -> f32 {
        f32::from(self)
    }
}

impl<'a, E: Element> Bags<'a, E> {
    #[inline(always)]
    fn row(&self, place: usize) -> &'a [E] {
        let start = self.ids[place] as usize * self.dim;
        &self.rows[start..start + self.dim]
    }

    /// Asks for the scale of the row at `place`, if rows have scales. Those of a large table lie as far as the rows.
    #[inline(always)]
    fn prefetch_scale(&self, place: usize) {
        if let Some(scales) = self.scales {
            prefetch(&scales[self.ids[place.min(self.ids.len() - 1)] as usize]);
        }
    }

    #[inline(always)]
    fn weight(&self, place: usize) -> f32 {
        match self.scales {
            Some(scales) => self.weights[place] * scales[self.ids[place] as usize],
            None => self.weights[place],
        }
    }

    /// The row at `place`, or the last one if there are fewer: asking for a line again costs next to nothing.
    #[inline(always)]
    fn row_if_any(&self, place: usize) -> &'a [E] {
        self.row(place.min(self.ids.len() - 1))
    }

    /// How many rows ahead is [`BYTES_AHEAD`].
    #[inline(always)]
    fn rows_ahead(&self) -> usize {
        (BYTES_AHEAD / (self.dim * size_of::<E>())).max(TOGETHER)
    }
}

/// Sums the bags with the loop compiled for `level`. `out: [bags × dim]`.
#[allow(unsafe_code)]
pub(super) fn run<E: Element>(level: Level, bags: &Bags<'_, E>, out: &mut [f32]) {
    assert!(level.available(), "this CPU cannot run {level:?}");
    match level {
        Level::Baseline => sum_bags::<E, BASELINE_FUSED>(bags, out),
        // SAFETY: the CPU has the level's features, by the assert above.
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => unsafe { sum_bags_avx2(bags, out) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => unsafe { sum_bags_avx512(bags, out) },
        #[cfg(not(target_arch = "x86_64"))]
        _ => unreachable!("available on x86-64 only"),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn sum_bags_avx2<E: Element>(bags: &Bags<'_, E>, out: &mut [f32]) {
    sum_bags::<E, true>(bags, out);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
fn sum_bags_avx512<E: Element>(bags: &Bags<'_, E>, out: &mut [f32]) {
    sum_bags::<E, true>(bags, out);
}

#[inline(always)]
fn sum_bags<E: Element, const FUSED: bool>(bags: &Bags<'_, E>, out: &mut [f32]) {
    let ahead = bags.rows_ahead();
    for place in 0..ahead.min(bags.ids.len()) {
        bags.prefetch_scale(place);
        bags.row(place).chunks(LINE / size_of::<E>()).for_each(|line| prefetch(&line[0]));
    }
    let mut place = 0;
    for (out, &end) in out.chunks_exact_mut(bags.dim).zip(bags.ends) {
        out.fill(0.0);
        while place + TOGETHER <= end {
            let rows = std::array::from_fn(|i| bags.row(place + i));
            let weights = std::array::from_fn(|i| bags.weight(place + i));
            (0..TOGETHER).for_each(|i| bags.prefetch_scale(place + ahead + i));
            let ahead = std::array::from_fn(|i| bags.row_if_any(place + ahead + i));
            add_rows::<E, FUSED>(out, rows, weights, ahead);
            place += TOGETHER;
        }
        while place < end {
            let weight = bags.weight(place);
            for (sum, number) in out.iter_mut().zip(bags.row(place)) {
                *sum = multiply_add::<FUSED>(number.widen(), weight, *sum);
            }
            place += 1;
        }
    }
}

/// `out += Σ weights[i] · rows[i]`, first to last, asking for the lines of `ahead` at the pace at which lines are used.
#[inline(always)]
fn add_rows<E: Element, const FUSED: bool>(
    out: &mut [f32],
    rows: [&[E]; TOGETHER],
    weights: [f32; TOGETHER],
    ahead: [&[E]; TOGETHER],
) {
    let step = LINE / size_of::<E>();
    let mut start = 0;
    while start < out.len() {
        let end = (start + step).min(out.len());
        ahead.iter().for_each(|row| prefetch(&row[start]));
        let rows = rows.map(|row| &row[start..end]);
        let out = &mut out[start..end];
        if out.len() == step {
            // A length known to the compiler: the loop becomes a few instructions.
            add_numbers::<E, FUSED>(&mut out[..step], rows.map(|row| &row[..step]), weights);
        } else {
            add_numbers::<E, FUSED>(out, rows, weights);
        }
        start = end;
    }
}

#[inline(always)]
fn add_numbers<E: Element, const FUSED: bool>(out: &mut [f32], rows: [&[E]; TOGETHER], weights: [f32; TOGETHER]) {
    let rows = rows.map(|row| &row[..out.len()]);
    for (column, sum) in out.iter_mut().enumerate() {
        for (row, weight) in rows.iter().zip(weights) {
            *sum = multiply_add::<FUSED>(row[column].widen(), weight, *sum);
        }
    }
}
