//! [`Sketch`]: a bit per coordinate of every row, beside the rows, so that a scan reads a fraction of what they take.
//!
//! The codes are RaBitQ's (Gao & Long, arXiv:2405.12497) relative to the mean of all rows, or of those near a row, in FastScan blocks of 32
//! (`distance/fastscan/`). Unlike those of a graph they are not read on the way of a walk but one after the other: 32 rows cost a few dozen
//! nanoseconds, whatever a row takes. What an estimate may err by is known for each row, so a scan compares the few rows that may be
//! among the nearest, and no others (`slack.rs`). Many rows lie in an order in which near ones follow each other, so that a scan need not
//! look at all, and their codes, relative to the centre of these, err the less (`cells.rs`). A sketch is in no file: it is made of the rows whenever they are there.

mod carve;
mod cells;
mod centres;
mod eligible;
mod limits;
mod order;
mod pass;
mod scan;
mod slack;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use half::f16;
use rayon::prelude::*;

use crate::bytes::Array;
use crate::distance::fastscan::{Block, LANES, Units, code_bytes, pack};
use crate::distance::prefetch::prefetch;
use crate::distance::simd::{Simd, Task, dispatch, isa};
use crate::ids::Slot;
use crate::mask::Mask;
use crate::metric::{ElementType, Metric};
use crate::params::BuildOptions;
use crate::planner::CodedCosts;
use crate::quant::frame::{Frame, mean_of, radius_of};
use crate::quant::neighbor::{self, Factors};
use crate::quant::rotation::Rotation;
use crate::spec::VectorSpec;
use crate::threads;

use cells::Cells;
pub(crate) use eligible::Eligible;
use limits::Limits;
pub(crate) use scan::{Counts, Share, Sketching, Wanted, scan};

/// The fewest rows, and bytes of vectors, that get a sketch.
const LEAST_ROWS: usize = 256;
const LEAST_BYTES: usize = 256 << 10;

/// Blocks that are asked whether they hold a row of a mask.
const BLOCKS_ASKED: usize = 128;

/// Progress is reported so many rows at a time.
const REPORTED: u32 = 1024;

/// One-bit codes of rows that do not change.
#[derive(Debug, Clone)]
pub(crate) struct Sketch {
    rows: usize,
    metric: Metric,
    frame: Frame,
    units: Units,
    /// `[blocks × code_bytes]`.
    codes: Array<u8>,
    /// Per block the constant part of each lane's estimate, infinite where there is no row, and then what a unit of each lane's product is worth.
    factors: Array<[f16; 2 * LANES]>,
    /// Per block what each lane's estimate may err by, in 255ths of the largest.
    errors: Array<[u8; LANES]>,
    /// Per block the largest constant part, without its sign, and the largest standard deviation of an estimate, for a query at distance 1
    /// across the row: no row of the block errs by more than such a row would.
    largest: Array<[f32; 2]>,
    /// Standard deviation of a product with a code, for such a query: the least of all rows.
    least_deviation: f32,
    /// Where rows lie; none where they lie in their order.
    cells: Option<Cells>,
}

impl Sketch {
    /// The part of the true neighbours that is to be expected of a scan: of those as far away as the k-th, one of 700 is estimated to be too
    /// far ([`scan`]), and hardly any that is nearer; and two or three of a thousand lie in cells that are not looked at.
    pub(crate) const EXPECTED_RECALL: f32 = 0.997;

    /// The part that is looked for where nobody asks for another.
    pub(crate) const USUAL_RECALL: f32 = 0.99;

    /// Whether there are codes of such vectors: those whose distances are products and norms.
    pub(crate) fn supports(spec: VectorSpec) -> bool {
        let floats = matches!(spec.element(), ElementType::F32 | ElementType::F16);
        match spec.metric() {
            Metric::L2 | Metric::Dot => floats || spec.element() == ElementType::U8,
            // By cosine bytes would have to be scaled to length one, which no bytes can say.
            Metric::Cosine => floats,
            Metric::L1 | Metric::Hamming => false,
        }
    }

    /// Whether `rows` rows are worth a sketch: it is much smaller than they are, and to compare all takes longer than to make ready for a scan.
    pub(crate) fn is_worth(spec: VectorSpec, rows: usize) -> bool {
        let bytes = rows * spec.row_bytes();
        Self::supports(spec) && rows >= LEAST_ROWS && bytes >= LEAST_BYTES && 2 * Self::bytes_of(spec, rows) <= bytes
    }

    /// Whether a scan of so many rows need not look at all of them.
    pub(crate) fn is_carved(spec: VectorSpec, rows: usize) -> bool {
        Self::supports(spec) && Cells::are_worth(spec.metric(), rows)
    }

    /// Of `rows` rows, which `decode` writes as numbers. Panics unless there are codes of `spec`. Cost: a rotation of each row. It is as
    /// parallel as `options` say, and the same on any number of threads.
    pub(crate) fn new(
        spec: VectorSpec,
        rows: usize,
        options: &BuildOptions<'_>,
        decode: impl Fn(u32, &mut Vec<f32>) + Sync,
    ) -> Self {
        threads::run(options.threads, || {
            let done = AtomicUsize::new(0);
            let decode = |slot: u32, out: &mut Vec<f32>| {
                if let (Some(progress), true) = (options.progress, slot.is_multiple_of(REPORTED)) {
                    // Rows are looked at for their mean, for the farthest of it, and to be encoded; and, a quarter of them twice, to be carved
                    // and for their cells' centres.
                    let looks = if Cells::are_worth(spec.metric(), rows) { 6 } else { 3 };
                    let done = done.fetch_add(REPORTED as usize, Ordering::Relaxed) / looks;
                    progress(done.min(rows), rows);
                }
                decode(slot, out);
            };
            let centre = mean_of(rows, spec.dim(), decode);
            let frame = Frame::new(centre, Some(Rotation::new(spec.dim(), 0)));
            let radius = radius_of(rows, decode, frame.centre.as_slice());
            let worth = Cells::are_worth(spec.metric(), rows);
            let cells = worth.then(|| Cells::new(&frame, radius, rows, decode)).flatten();
            let mut sketch = Self::laid((frame, radius), cells, spec, rows, decode);
            let limits = sketch.cells.as_ref().map(|cells| Limits::measure(cells, &sketch, decode));
            sketch.cells.iter_mut().zip(limits).for_each(|(cells, limits)| cells.set_limits(limits));
            sketch
        })
    }

    /// As [`new`](Sketch::new), relative to `frame`, with rows in their order.
    pub(crate) fn within(
        frame: Frame,
        spec: VectorSpec,
        rows: usize,
        decode: impl Fn(u32, &mut Vec<f32>) + Sync,
    ) -> Self {
        let radius = radius_of(rows, &decode, frame.centre.as_slice());
        Self::laid((frame, radius), None, spec, rows, decode)
    }

    /// With rows where `cells` say, or in their order; none is farther than `radius` from the frame's centre.
    fn laid(
        (frame, radius): (Frame, f32),
        cells: Option<Cells>,
        spec: VectorSpec,
        rows: usize,
        decode: impl Fn(u32, &mut Vec<f32>) + Sync,
    ) -> Self {
        assert!(Self::supports(spec), "codes of {} by {}", spec.element(), spec.metric());
        let (metric, dim) = (spec.metric(), frame.out_dim());
        let units = match metric {
            // What a row adds is its product with the centre.
            Metric::Dot => Units { add: Units::of(radius.max(frame.square().sqrt() as f32)).add, ..Units::of(radius) },
            _ => Units::of(radius),
        };
        let (bytes, blocks) = (code_bytes(dim), cells.as_ref().map_or(rows.div_ceil(LANES), Cells::len));
        let (mut codes, mut factors) = (Array::default(), Array::default());
        let (mut errors, mut largest) = (Array::default(), Array::default());
        codes.resize(blocks * bytes);
        factors.resize(blocks);
        errors.resize(blocks);
        largest.resize(blocks);
        let square = frame.square();
        let encode = |buffers: &mut Buffers, (block, out): (usize, Out<'_>)| {
            let (mut least_deviation, mut of_lanes) = (f32::INFINITY, [0.0; LANES]);
            buffers.bits.clear();
            buffers.bits.resize(dim / 16, [0; LANES]);
            buffers.origin.clear();
            match &cells {
                Some(cells) => {
                    cells.centre_of(block, &frame, &mut buffers.vector);
                    dispatch(isa(), Enter { frame: &frame, vector: &buffers.vector, out: &mut buffers.origin });
                }
                None => buffers.origin.resize(dim, 0.0),
            }
            out.factors[..LANES].fill(f16::INFINITY);
            // Smaller parts are rounded as this is.
            out.largest[0] = f16::MIN_POSITIVE.to_f32() * units.add;
            for (lane, of_lane) in of_lanes.iter_mut().enumerate() {
                let slot = slot_of(cells.as_ref(), block, lane);
                if slot as usize >= rows {
                    continue;
                }
                decode(slot, &mut buffers.vector);
                let encoded = dispatch(isa(), Encode { frame: &frame, metric, units, buffers, lane });
                let Encoded { mut factors, with_centre, deviation } = encoded;
                if metric == Metric::Dot {
                    factors.add = neighbor::half(square - f64::from(with_centre), units.add);
                }
                (out.factors[lane], out.factors[LANES + lane]) = (factors.add, factors.rescale);
                let rescale = factors.rescale.to_f32().abs() * units.rescale;
                *of_lane = rescale * deviation;
                let of = [factors.add.to_f32().abs() * units.add, *of_lane];
                out.largest.iter_mut().zip(of).for_each(|(largest, of)| *largest = largest.max(of));
                least_deviation = if rescale > 0.0 { least_deviation.min(deviation) } else { least_deviation };
            }
            let step = out.largest[1].max(f32::MIN_POSITIVE) / 255.0;
            out.errors.iter_mut().zip(of_lanes).for_each(|(out, error)| *out = (error / step).ceil() as u8);
            pack(&buffers.bits, out.codes);
            least_deviation
        };
        let outs = codes.as_mut_slice().par_chunks_mut(bytes).zip(factors.as_mut_slice());
        let outs = outs.zip(errors.as_mut_slice()).zip(largest.as_mut_slice());
        let outs = outs.map(|(((codes, factors), errors), largest)| Out { codes, factors, errors, largest });
        let least_deviation = outs.enumerate().map_init(Buffers::default, encode).reduce(|| f32::INFINITY, f32::min);
        Sketch { rows, metric, frame, units, codes, factors, errors, largest, least_deviation, cells }
    }

    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.rows
    }

    /// Bytes of codes and what goes with them.
    pub(crate) fn bytes(&self) -> usize {
        let cells = self.cells.as_ref().map_or(0, Cells::bytes);
        self.codes.bytes() + self.factors.bytes() + self.errors.bytes() + self.largest.bytes() + cells
    }

    /// Bytes of a sketch of so many rows.
    pub(crate) fn bytes_of(spec: VectorSpec, rows: usize) -> usize {
        let factors = size_of::<[f16; 2 * LANES]>() + size_of::<[u8; LANES]>() + size_of::<[f32; 2]>();
        let block = code_bytes(Rotation::padded(spec.dim())) + factors;
        rows.div_ceil(LANES) * block + Cells::bytes_of(spec, rows, block)
    }

    /// Bytes of one row that a scan reads.
    pub(crate) fn row_bytes(&self) -> usize {
        self.frame.out_dim() / 8 + 2 * size_of::<f16>() + size_of::<u8>()
    }

    /// Blocks in which there is a row of `mask`; where rows lie in cells, about so many, and more where they are few.
    pub(crate) fn blocks_of(&self, mask: &Mask) -> usize {
        let Some(cells) = &self.cells else {
            let halves = mask.words().iter().map(|&word| usize::from(word as u32 != 0) + usize::from(word >> 32 != 0));
            return halves.sum();
        };
        let (blocks, matching) = (self.factors.len(), mask.len());
        if matching < blocks {
            return matching;
        }
        let holds = |at: &usize| cells.rows(at * blocks / BLOCKS_ASKED).iter().any(|&row| mask.contains(Slot(row)));
        (0..BLOCKS_ASKED).filter(holds).count() * blocks / BLOCKS_ASKED
    }

    /// The row of a lane; beyond all rows where there is none.
    #[inline(always)]
    fn slot(&self, block: usize, lane: usize) -> u32 {
        slot_of(self.cells.as_ref(), block, lane)
    }

    /// Asks for what says the row of a lane.
    #[inline(always)]
    fn fetch_slot(&self, block: usize, lane: usize) {
        if let Some(cells) = &self.cells {
            prefetch(cells.rows(block)[lane..].as_ptr().cast::<u8>());
        }
    }

    /// Asks for what estimates of a block read.
    #[inline(always)]
    fn fetch(&self, block: usize) {
        let bytes = code_bytes(self.frame.out_dim());
        let factors: &[u8] = bytemuck::cast_slice(&self.factors.as_slice()[block]);
        let codes = &self.codes.as_slice()[block * bytes..][..bytes];
        let largest: &[u8] = bytemuck::cast_slice(&self.largest.as_slice()[block]);
        for part in [largest, codes, factors, &self.errors.as_slice()[block]] {
            part.chunks(64).for_each(|line| prefetch(line.as_ptr()));
        }
    }

    #[inline(always)]
    fn block(&self, block: usize) -> Block<'_> {
        let bytes = code_bytes(self.frame.out_dim());
        let (add, rescale) = self.factors.as_slice()[block].split_at(LANES);
        Block {
            codes: &self.codes.as_slice()[block * bytes..][..bytes],
            add: add.first_chunk().expect("two lane arrays"),
            rescale: rescale.first_chunk().expect("two lane arrays"),
            units: self.units,
        }
    }
}

/// The row of a lane, which lies where `cells` say, or in order.
#[inline(always)]
fn slot_of(cells: Option<&Cells>, block: usize, lane: usize) -> u32 {
    match cells {
        Some(cells) => cells.rows(block)[lane],
        None => (block * LANES + lane) as u32,
    }
}

/// A sketch, and what scans over it cost.
#[derive(Debug, Clone)]
pub(crate) struct Sketched {
    pub(crate) sketch: Sketch,
    /// Measured when first needed.
    costs: OnceLock<CodedCosts>,
}

impl Sketched {
    /// As [`Sketch::new`].
    pub(crate) fn new(
        spec: VectorSpec,
        rows: usize,
        options: &BuildOptions<'_>,
        decode: impl Fn(u32, &mut Vec<f32>) + Sync,
    ) -> Self {
        Sketched { sketch: Sketch::new(spec, rows, options, decode), costs: OnceLock::new() }
    }

    /// As [`Sketch::bytes`].
    pub(crate) fn bytes(&self) -> usize {
        self.sketch.bytes()
    }

    /// What scans cost, as `measure` finds.
    pub(crate) fn costs(&self, measure: impl FnOnce() -> CodedCosts) -> CodedCosts {
        *self.costs.get_or_init(measure)
    }
}

/// Standard deviation of `⟨x, q⟩`, where `x` is the code of `row` as ±½, for a `q` at distance 1 across the row. With `t` the cosine between
/// code and row, the part of `x` across the row is `½√D · √(1 − t²)` long, and lies in any of D − 1 directions. No less than a tenth of what is
/// usual: codes along their rows are not as exact as that, for factors are rounded.
#[inline(always)]
fn deviation_of(row: &[f32]) -> f32 {
    let (mut squares, mut absolutes) = ([0.0_f32; 16], [0.0_f32; 16]);
    for x in row.as_chunks::<16>().0 {
        for i in 0..16 {
            squares[i] += x[i] * x[i];
            absolutes[i] += x[i].abs();
        }
    }
    let (square, absolute) = (squares.iter().sum::<f32>(), absolutes.iter().sum::<f32>());
    let dim = row.len() as f32;
    if square == 0.0 {
        return LEAST_DEVIATION;
    }
    let across = (1.0 - absolute * absolute / (dim * square)).max(0.0);
    (0.5 * (dim * across / (dim - 1.0)).sqrt()).max(LEAST_DEVIATION)
}

const LEAST_DEVIATION: f32 = 0.03;

/// Where a block is written to.
struct Out<'a> {
    codes: &'a mut [u8],
    factors: &'a mut [f16; 2 * LANES],
    errors: &'a mut [u8; LANES],
    largest: &'a mut [f32; 2],
}

#[derive(Default)]
struct Buffers {
    vector: Vec<f32>,
    /// The same within the frame.
    row: Vec<f32>,
    /// What codes are relative to, within the frame.
    origin: Vec<f32>,
    bits: Vec<[u16; LANES]>,
}

/// Writes `buffers.vector` into one lane of one-bit codes.
struct Encode<'a> {
    frame: &'a Frame,
    metric: Metric,
    units: Units,
    buffers: &'a mut Buffers,
    lane: usize,
}

struct Encoded {
    factors: Factors,
    /// Product of the vector with the centre.
    with_centre: f32,
    deviation: f32,
}

impl Task for Encode<'_> {
    type Output = Encoded;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Encoded {
        let Encode { frame, metric, units, buffers: Buffers { vector, row, origin, bits }, lane } = self;
        let with_centre = frame.enter(simd, vector, row);
        let factors = neighbor::encode(simd, (bits, lane), origin, row, metric, units);
        for i in 0..row.len() {
            row[i] -= origin[i];
        }
        Encoded { factors, with_centre, deviation: deviation_of(row) }
    }
}

/// A vector as the frame has it.
struct Enter<'a> {
    frame: &'a Frame,
    vector: &'a [f32],
    out: &'a mut Vec<f32>,
}

impl Task for Enter<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        self.frame.enter(simd, self.vector, self.out);
    }
}
