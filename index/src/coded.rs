//! [`Coded`]: rows held as codes alone and compared one by one. What a code can find before a graph is walked on it.

use rayon::prelude::*;

use crate::bytes::Array;
use crate::distance::fastscan::LANES;
use crate::distance::simd::{Simd, Task, dispatch, isa};
use crate::ids::Slot;
use crate::metric::Metric;
use crate::pool::{Candidate, Pool};
use crate::qgraph::build::scale_of;
use crate::qgraph::{Unsupported, load};
use crate::quant::byte::{self, BLOCK, ByteQuery, Scale};
use crate::quant::codes::{CodeQuery, Codes};
use crate::quant::frame::{Frame, mean_of, radius_of};
use crate::quant::nested::Bits;
use crate::quant::rotation::Rotation;
use crate::query::{BuildError, Hit, SearchError};
use crate::rows::{Rows, VectorRef};
use crate::scratch::Scratch;
use crate::sketch::Sketch;
use crate::spec::VectorSpec;
use crate::vectors::dense::Vectors;

/// How a row is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// Each coordinate as the element type of the spec.
    Full,
    /// A byte per coordinate in steps of the row's own; whole numbers in 0..=255 as they are. Never rotated.
    Byte,
    /// A byte per coordinate relative to the mean, of which so many bits are read. Whole numbers are exact at eight.
    Nested(Bits),
    /// A bit per coordinate, relative to the mean (RaBitQ).
    Bit,
}

/// Rows as codes, compared one by one.
///
/// ```
/// use vicino_index::{Code, CodeBits, Coded, ElementType, Metric, Rows, VectorSpec};
/// let points: Vec<f32> = (0..2000).flat_map(|i| [(i % 40) as f32 / 7.0, (i / 40) as f32 / 7.0]).collect();
/// let spec = VectorSpec::new(2, Metric::L2, ElementType::F32)?;
/// let coded = Coded::new(spec, Code::Nested(CodeBits::Eight), true, Rows::new(&points, 2)?)?;
/// let mut hits = Vec::new();
/// coded.search((&[7.2 / 7.0, 3.1 / 7.0]).into(), 10, &mut hits)?;
/// assert!(hits.iter().any(|hit| hit.slot.0 == 3 * 40 + 7));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Coded {
    spec: VectorSpec,
    rows: usize,
    store: Store,
}

#[derive(Debug, Clone)]
enum Store {
    Full(Vectors),
    Byte { scale: Scale, rows: Array<u8>, stride: usize },
    Nested(Codes, Bits),
    Bit(Box<Sketch>),
}

impl Coded {
    /// Codes of `rows`, of f32, f16 or u8 by L2, dot or cosine; `rotated` first, where the code knows of it.
    pub fn new(spec: VectorSpec, code: Code, rotated: bool, rows: Rows<'_>) -> Result<Self, BuildError> {
        let (metric, element) = (spec.metric(), spec.element());
        if code != Code::Full && !Sketch::supports(spec) {
            return Err(Unsupported { metric, element }.into());
        }
        let mut vectors = Vectors::new(spec);
        vectors.extend(rows)?;
        let rows = vectors.len();
        let scale = if metric == Metric::L2 { scale_of(&vectors) } else { Scale::Own };
        let decode = |slot, out: &mut Vec<f32>| vectors.decode(Slot(slot), out);
        let frame = || {
            let rotation = rotated.then(|| Rotation::new(spec.dim(), 0));
            Frame::new(mean_of(rows, spec.dim(), decode), rotation)
        };
        let store = match code {
            Code::Full => Store::Full(vectors),
            Code::Byte => {
                let stride = spec.dim().next_multiple_of(BLOCK) + size_of::<byte::Terms>();
                let mut bytes = Array::default();
                bytes.resize(rows * stride);
                let tasks = bytes.as_mut_slice().par_chunks_mut(stride).enumerate();
                tasks.for_each_init(Vec::new, |vector, (slot, out)| {
                    vectors.decode(Slot(slot as u32), vector);
                    let (numbers, terms) = out.split_at_mut(stride - size_of::<byte::Terms>());
                    terms.copy_from_slice(bytemuck::bytes_of(&scale.encode(vector, metric, numbers)));
                });
                Store::Byte { scale, rows: bytes, stride }
            }
            Code::Nested(bits) => {
                let frame = frame();
                let radius = radius_of(rows, decode, frame.centre.as_slice());
                Store::Nested(Codes::new(frame, metric, scale, (rows, radius), decode), bits)
            }
            Code::Bit => Store::Bit(Box::new(Sketch::within(frame(), spec, rows, decode))),
        };
        Ok(Coded { spec, rows, store })
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Bytes of a row that a comparison reads, at the bits that are read.
    pub fn row_bytes(&self) -> usize {
        match &self.store {
            Store::Full(_) => self.spec.words() * self.spec.element().word_bytes(),
            Store::Byte { .. } => self.spec.dim() + size_of::<byte::Terms>(),
            Store::Nested(codes, bits) => {
                let terms = 8;
                match bits {
                    Bits::Two => codes.plane() / 2 + terms,
                    Bits::Four => codes.plane() + terms,
                    Bits::Eight if codes.scale == Scale::Whole => self.spec.dim() + terms,
                    Bits::Eight => 2 * codes.plane() + terms + terms,
                }
            }
            Store::Bit(sketch) => sketch.row_bytes(),
        }
    }

    /// Puts the `k` rows nearest by their codes into `hits`, nearest first; all of them if there are fewer.
    pub fn search(&self, query: VectorRef<'_>, k: usize, hits: &mut Vec<Hit>) -> Result<(), SearchError> {
        hits.clear();
        if k == 0 {
            return Err(SearchError::ZeroK);
        }
        if let Store::Full(vectors) = &self.store {
            let mut scratch = Scratch::new();
            vectors.exact(query, k, |_| true, &mut scratch)?;
            hits.extend(scratch.accepted.candidates().iter().map(|&candidate| Hit::from(candidate)));
            return Ok(());
        }
        let mut vector = Vec::new();
        load(&self.spec, query, &mut vector)?;
        let mut pool = Pool::default();
        pool.reset(k.min(self.rows).max(1));
        dispatch(isa(), Scan { coded: self, query: &vector, pool: &mut pool });
        hits.extend(pool.candidates().iter().map(|&candidate| Hit::from(candidate)));
        Ok(())
    }
}

/// Compares a query with every row.
struct Scan<'a> {
    coded: &'a Coded,
    query: &'a [f32],
    pool: &'a mut Pool,
}

impl Task for Scan<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Scan { coded, query, pool } = self;
        let rows = coded.rows as u32;
        let mut out = [0.0; LANES];
        let mut take = |first: u32, out: &[f32]| {
            for (slot, &distance) in (first..rows).zip(out) {
                if distance <= pool.bound() {
                    pool.insert(Candidate::new(distance, slot));
                }
            }
        };
        match &coded.store {
            Store::Full(_) => unreachable!("compared as they are"),
            Store::Byte { scale, rows: bytes, stride } => {
                let mut code = ByteQuery::default();
                code.set(query, *scale, coded.spec.metric());
                for (slot, row) in bytes.as_slice().chunks_exact(*stride).enumerate() {
                    let (row, terms) = row.split_at(stride - size_of::<byte::Terms>());
                    take(slot as u32, &[code.distance(simd, row, bytemuck::cast_slice(terms)[0])]);
                }
            }
            Store::Nested(codes, bits) => {
                let mut code = CodeQuery::default();
                codes.set(simd, &mut code, query);
                let mut slots = [0; LANES];
                for first in (0..rows).step_by(LANES) {
                    let count = LANES.min((rows - first) as usize);
                    for (slot, at) in slots.iter_mut().zip(first..) {
                        *slot = at;
                    }
                    codes.estimates(simd, &mut code, *bits, &slots[..count], &mut out);
                    take(first, &out[..count]);
                }
            }
            Store::Bit(sketch) => sketch.estimates(query, take),
        }
    }
}
