//! One byte per coordinate as two nibbles: the higher is a 4-bit code by itself, the lower divides its cell into sixteen.
//!
//! The byte numbers 256 intervals in rising order, so its top four bits number sixteen and its top two bits four: a code is read
//! at 8, 4 or 2 bits without being written again (Matryoshka Quantization, arXiv:2502.06786, nests integers the same way). Intervals
//! are narrow where a normal distribution is dense and wide in its tails: a uniform grid must either cut the tails off, which the
//! 8-bit reading pays for, or be coarse in the middle, which the 4-bit reading does. What each nibble stands for is looked up in a
//! register, so the kernels do not care; a reading is a table of sixteen levels.
//!
//! ```text
//! cell of the higher nibble, upper half   8    9   10   11   12   13   14   15
//! width, in units                         48   48   48   64   64   80   96  272       one unit: 0.00538 standard deviations
//! level at 4 bits, in eight units          3    9   15   22   29   38   48   63       the mean of a normal distribution there
//! level at 2 bits                         12   12   12   12   38   38   38   38
//! ```

#[cfg(target_arch = "aarch64")]
pub(super) mod aarch64;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod bytes;
pub(super) mod scalar;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
pub(super) mod x86_64;

/// Coordinates whose higher (or lower) nibbles share a cache line: byte `j` holds those of coordinates `j` and `64 + j` of its 128.
pub(crate) const CHUNK: usize = 128;

/// What a standard deviation is in units of the 8-bit reading.
pub(crate) const DEVIATION: f32 = 186.0;

/// Widths of a sixteenth of each cell, from the middle outwards.
const WIDTHS: [i16; 8] = [3, 3, 3, 4, 4, 5, 6, 17];

/// Added to levels to make them unsigned: they are all below 128, so that two products with signed bytes fit 16 bits.
pub(crate) const MIDDLE: i32 = 64;

/// A table of levels, raised by [`MIDDLE`], by the higher nibble.
pub(crate) type Levels = [u8; 16];

/// The 4-bit reading.
pub(crate) const FOUR: Levels = mirrored([3, 9, 15, 22, 29, 38, 48, 63]);

/// The 2-bit reading: of the higher nibble, its two upper bits.
pub(crate) const TWO: Levels = mirrored([12, 12, 12, 12, 38, 38, 38, 38]);

/// Where the cells of the upper half begin.
pub(crate) const STARTS: [i16; 8] = {
    let mut starts = [0; 8];
    let mut i = 1;
    while i < 8 {
        starts[i] = starts[i - 1] + 16 * WIDTHS[i - 1];
        i += 1;
    }
    starts
};

/// By the higher nibble: the value of the 8-bit reading at the lower nibble 0, and what is added for each step of the lower.
pub(super) const BASES: [i16; 16] = {
    let mut bases = [0; 16];
    let mut i = 0;
    while i < 8 {
        let middle = STARTS[i] + WIDTHS[i] / 2;
        bases[8 + i] = middle;
        bases[7 - i] = -middle - 15 * WIDTHS[i];
        i += 1;
    }
    bases
};
pub(super) const STEPS: [i16; 16] = {
    let mut steps = [0; 16];
    let mut i = 0;
    while i < 8 {
        (steps[8 + i], steps[7 - i]) = (WIDTHS[i], WIDTHS[i]);
        i += 1;
    }
    steps
};

/// The largest value of the 8-bit reading.
pub(crate) const LARGEST: i16 = BASES[15] + 15 * STEPS[15];

const fn mirrored(upper: [u8; 8]) -> Levels {
    let mut levels = [0; 16];
    let mut i = 0;
    while i < 8 {
        levels[8 + i] = MIDDLE as u8 + upper[i];
        levels[7 - i] = MIDDLE as u8 - upper[i];
        i += 1;
    }
    levels
}

/// The value of a byte in the 8-bit reading, in units.
#[inline(always)]
pub(crate) const fn value(code: u8) -> i16 {
    let (high, low) = ((code >> 4) as usize, (code & 15) as i16);
    BASES[high] + low * STEPS[high]
}

/// The byte whose cell at 4 bits holds `x`, in units, and whose value there is nearest to it.
#[inline(always)]
pub(crate) fn nearest(x: f32) -> u8 {
    let size = x.abs();
    let mut cell = 0;
    for start in &STARTS[1..] {
        cell += usize::from(size >= f32::from(*start));
    }
    let (middle, width) = (STARTS[cell] + WIDTHS[cell] / 2, WIDTHS[cell]);
    let low = ((size - f32::from(middle)) / f32::from(width)).round().clamp(0.0, 15.0) as u8;
    let code = (8 + cell as u8) << 4 | low;
    if x < 0.0 { 255 - code } else { code }
}

/// Byte and shift of a coordinate's nibble.
#[inline(always)]
pub(crate) const fn place(coordinate: usize) -> (usize, u8) {
    let within = coordinate % CHUNK;
    (coordinate / CHUNK * (CHUNK / 2) + within % (CHUNK / 2), if within < CHUNK / 2 { 0 } else { 4 })
}

/// Rows of higher nibbles, each `query / 2` bytes, of which some are compared with a query.
#[derive(Clone, Copy)]
pub(crate) struct Gather<'a> {
    pub(crate) codes: &'a [u8],
    pub(crate) slots: &'a [u32],
    pub(crate) levels: &'a Levels,
    /// A multiple of [`CHUNK`] coordinates.
    pub(crate) query: &'a [i8],
}

impl<'a> Gather<'a> {
    #[inline(always)]
    pub(super) fn row(&self, at: usize) -> &'a [u8] {
        let bytes = self.query.len() / 2;
        &self.codes[self.slots[at] as usize * bytes..][..bytes]
    }
}
