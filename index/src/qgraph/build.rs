//! From rows to a quantized graph.
//!
//! A graph over bytes is made of comparisons within leaves ([`Graph::grow`]), its rows are written, and then every node's links are
//! chosen again from what a walk over those rows meets ([`Graph::refine`]): leaves know a row's surroundings, walks the ways to them.
//! The rows are written once more. Every step gives the same result on any number of threads.
//!
//! Beside the index itself a build takes memory for one byte per coordinate, two per coordinate after rotation, and eight per
//! candidate of each row. Of whole numbers no floats are kept.

use std::sync::OnceLock;

use half::f16;
use rayon::prelude::*;

use crate::bytes::Array;
use crate::distance::fastscan::{LANES, Units, pack};
use crate::distance::simd::{Simd, Task, dispatch, isa};
use crate::graph::Graph;
use crate::graph::level::mix;
use crate::graph::links::{Links, LinksView};
use crate::graph::tour::tour;
use crate::ids::Slot;
use crate::metric::{ElementType, Metric};
use crate::params::BuildOptions;
use crate::quant::byte::Scale;
use crate::quant::frame::{mean_of, radius_of};
use crate::quant::neighbor;
use crate::quant::rotation::Rotation;
use crate::query::BuildError;
use crate::rows::{Rows, VectorRef};
use crate::spec::{Component, VectorSpec};
use crate::threads;
use crate::vectors::dense::{Dense, Vectors};

use super::calibrate::Calibration;
use super::entry::Entries;
use super::gate::Open;
use super::layout::{Layout, RowMut};
use super::params::{QuantizedParams, Unsupported};
use super::rotated::Rotated;
use super::walk::{Batch, Limits, Walk};
use super::{DEGREE, QuantizedGraph, WIDTH};

impl QuantizedGraph {
    /// An index of `rows`, built in parallel; the same rows, parameters and seed give the same bytes on any number of threads.
    pub fn build(
        spec: VectorSpec,
        params: QuantizedParams,
        rows: Rows<'_>,
        options: &BuildOptions<'_>,
    ) -> Result<Self, BuildError> {
        let mut vectors = Vectors::new(kept_as(spec, rows));
        vectors.extend(rows)?;
        Self::of_spec(spec, vectors, params, options)
    }

    /// Whether there can be an index of such rows.
    pub(crate) fn supports(spec: VectorSpec) -> bool {
        match spec.element() {
            ElementType::F32 | ElementType::F16 => matches!(spec.metric(), Metric::L2 | Metric::Cosine),
            // By cosine bytes would have to be scaled to length one, which no bytes can say.
            ElementType::U8 => spec.metric() == Metric::L2,
            ElementType::I8 | ElementType::Bits => false,
        }
    }

    /// An index over rows that are stored already.
    pub(crate) fn over(
        vectors: Vectors,
        params: QuantizedParams,
        options: &BuildOptions<'_>,
    ) -> Result<Self, BuildError> {
        Self::of_spec(vectors.spec(), vectors, params, options)
    }

    /// An index of `spec` over rows, which may be kept as bytes if they are whole numbers.
    fn of_spec(
        spec: VectorSpec,
        vectors: Vectors,
        params: QuantizedParams,
        options: &BuildOptions<'_>,
    ) -> Result<Self, BuildError> {
        if !Self::supports(spec) {
            return Err(Unsupported { metric: spec.metric(), element: spec.element() }.into());
        }
        params.validate()?;
        threads::run(options.threads, || Ok(Self::of(spec, params, vectors, options)))
    }

    fn of(spec: VectorSpec, params: QuantizedParams, vectors: Vectors, options: &BuildOptions<'_>) -> Self {
        let (dim, nodes) = (spec.dim(), vectors.len());
        let scale = if spec.metric() == Metric::L2 { scale_of(&vectors) } else { Scale::Own };
        let rotation = Rotation::new(dim, params.seed);
        let layout = Layout::new(dim, rotation.out_dim());
        let mean = mean_of(nodes, dim, |slot, out| vectors.decode(Slot(slot), out));
        let radius = radius_of(nodes, |slot, out| vectors.decode(Slot(slot), out), mean.as_slice());
        let mut index = QuantizedGraph {
            params,
            spec,
            scale,
            layout,
            units: Units::of(radius),
            mean,
            rotation,
            rows: Array::default(),
            entries: Entries::default(),
            twins: Array::default(),
            full: None,
            calibration: Calibration::default(),
            costs: OnceLock::new(),
            sketch: OnceLock::new(),
            copies: OnceLock::new(),
        };
        let report = |done: usize| {
            if let Some(progress) = options.progress {
                progress(done, nodes);
            }
        };
        let rotated = Rotated::new(&index.rotation, index.mean.as_slice(), radius, &vectors);
        match scale {
            Scale::Whole => {
                // Floats are not needed any more.
                let dense = match vectors {
                    Vectors::U8(rows) => rows,
                    floats => whole(dim, nodes, &|slot, out| floats.decode(slot, out)),
                };
                index.link(&dense, &|slot, out| dense.decode(slot.index(), out), &rotated, &report);
                drop(rotated);
                index.calibration = index.calibrate(&index.sample_by(&dense));
            }
            Scale::Own => {
                let decode = |slot, out: &mut Vec<f32>| vectors.decode(slot, out);
                let dense = rounded(dim, nodes, &decode);
                index.link(&dense, &decode, &rotated, &report);
                drop(rotated);
                index.full = Some(vectors);
                index.calibration = index.calibrate(&index.sample_by(&dense));
            }
        }
        report(nodes);
        index
    }

    /// Grows the graph over `dense`, which is made of the vectors that are decoded, and writes rows along it.
    fn link<T: Component>(
        &mut self,
        dense: &Dense<T>,
        decode: Decode<'_>,
        rotated: &Rotated,
        report: &(dyn Fn(usize) + Sync),
    ) {
        let (params, nodes) = (self.params.graph(), dense.len());
        self.rows.resize(nodes * self.layout.stride);
        let mut graph = Graph { links: Links::new(params.m, params.m0), entry: None, unproven: 0 };
        graph.links.reserve(nodes);
        graph.grow(isa(), dense.view(), &params, self.params.leaves(), &|done| report(done / 2));
        self.write_vectors(decode);
        self.write_links(rotated, graph.links.view(), graph.entry);
        let candidates = |nodes: &[u32], walks: &mut [Walk; WIDTH], out: &mut [Vec<u32>]| {
            self.surroundings(nodes, decode, walks, out);
        };
        graph.refine(dense.view(), &params, &candidates, &|done| report(nodes / 2 + done / 2));
        self.write_links(rotated, graph.links.view(), graph.entry);
        self.twins = std::mem::take(&mut graph.links.twins);
    }

    /// The nodes that walks towards each of `nodes` expand.
    fn surroundings(&self, nodes: &[u32], decode: Decode<'_>, walks: &mut [Walk; WIDTH], out: &mut [Vec<u32>]) {
        let limits = Limits {
            results: self.params.refine_hops,
            k: self.params.refine_hops,
            joins_after: None,
            keep: self.params.refine_hops,
            slack: f32::INFINITY,
            max_hops: self.params.refine_hops,
            rescored: 0,
        };
        let query = |index: usize, query: &mut Vec<f32>| {
            decode(Slot(nodes[index]), query);
            None
        };
        let done = |index: usize, walk: &mut Walk| out[index].extend(walk.found.iter().map(|found| found.1));
        let (field, queries) = (self.field(), nodes.len());
        dispatch(isa(), Batch { field, limits, queries, query, looked: false, gate: Open, done, walks });
    }

    /// Writes the bytes of every vector into its row.
    fn write_vectors(&mut self, decode: Decode<'_>) {
        let mut rows = std::mem::take(&mut self.rows);
        let tasks = rows.as_mut_slice().par_chunks_mut(self.layout.stride).enumerate();
        let (scale, metric, layout) = (self.scale, self.spec.metric(), self.layout);
        tasks.for_each_init(Vec::new, |vector, (node, bytes)| {
            decode(Slot(node as u32), vector);
            dispatch(isa(), Encode { scale, metric, vector, row: RowMut { bytes, layout } });
        });
        self.rows = rows;
    }

    /// Writes every node's neighbours and their codes into its row, and the entries.
    fn write_links(&mut self, rotated: &Rotated, links: LinksView<'_>, entry: Option<u32>) {
        let (layout, metric, units) = (self.layout, self.spec.metric(), self.units);
        let mut rows: Vec<_> = self.rows.as_mut_slice().chunks_mut(layout.stride).map(Some).collect();
        let mut tasks: Vec<_> = tour(links).into_iter().map(|node| (node, rows[node as usize].take())).collect();
        let room = || neighbor::bits(rotated.dim());
        tasks.par_iter_mut().for_each_init(room, |bits, (node, bytes)| {
            let row = RowMut { bytes: bytes.take().expect("a tour comes to each node once"), layout };
            let links = links.list(*node, 0);
            dispatch(isa(), Write { rotated, links, node: *node, metric, units, row, bits });
        });
        let slots = self.entry_slots(links, entry);
        self.entries = Entries::new(&slots, rotated, metric, units);
    }

    /// The graph's own entry and nodes drawn at random, in order.
    fn entry_slots(&self, links: LinksView<'_>, entry: Option<u32>) -> Vec<u32> {
        let linked = |slot: &u32| !links.list(*slot, 0).is_empty();
        let mut drawn: Vec<u32> = (0..self.len() as u32).filter(linked).collect();
        drawn.sort_unstable_by_key(|&slot| mix(self.params.seed ^ mix(u64::from(slot))));
        drawn.truncate(self.params.entries);
        drawn.retain(|&slot| Some(slot) != entry);
        drawn.sort_unstable();
        entry.into_iter().chain(drawn).collect()
    }
}

/// Writes the vector of a row.
type Decode<'a> = &'a (dyn Fn(Slot, &mut Vec<f32>) + Sync);

/// `rows` vectors of whole numbers as bytes.
pub(super) fn whole(dim: usize, rows: usize, decode: Decode<'_>) -> Dense<u8> {
    bytes(dim, rows, decode, 1.0)
}

/// `rows` vectors rounded to bytes of one step.
pub(super) fn rounded(dim: usize, rows: usize, decode: Decode<'_>) -> Dense<i8> {
    let of = |slot: usize| {
        let mut vector = Vec::new();
        decode(Slot(slot as u32), &mut vector);
        vector.into_iter().fold(f32::MIN_POSITIVE, |max, x| max.max(x.abs()))
    };
    let largest = (0..rows).into_par_iter().map(of).reduce(|| f32::MIN_POSITIVE, f32::max);
    bytes(dim, rows, decode, 127.0 / largest)
}

/// All rows as bytes of one step, for the graph's distances.
fn bytes<T: Component>(dim: usize, rows: usize, decode: Decode<'_>, steps: f32) -> Dense<T> {
    let spec = VectorSpec::new(dim, Metric::L2, T::TYPE).expect("bytes compare by l2");
    let mut words = Array::default();
    let stride = Dense::<T>::stride_of(&spec);
    words.resize(rows * stride);
    words.as_mut_slice().par_chunks_mut(stride).enumerate().for_each_init(Vec::new, |vector, (slot, row)| {
        decode(Slot(slot as u32), vector);
        for (word, &x) in row.iter_mut().zip(&*vector) {
            *word = T::from_f32((x * steps).round()).expect("within the range of a byte");
        }
    });
    Dense::over(spec, words)
}

/// Writes one vector's bytes.
struct Encode<'a> {
    scale: Scale,
    metric: Metric,
    vector: &'a [f32],
    row: RowMut<'a>,
}

impl Task for Encode<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, _: S) {
        let terms = self.scale.encode(self.vector, self.metric, self.row.vector());
        self.row.set_terms(terms);
    }
}

/// Writes one node's neighbours and their codes.
struct Write<'a> {
    rotated: &'a Rotated,
    links: &'a [u32],
    node: u32,
    metric: Metric,
    units: Units,
    row: RowMut<'a>,
    bits: &'a mut [[u16; LANES]],
}

impl Task for Write<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Write { rotated, links, node, metric, units, mut row, bits } = self;
        let (mut slots, mut add, mut rescale) = ([node; LANES], [f16::INFINITY; LANES], [f16::ZERO; LANES]);
        let center = rotated.row(node);
        for (lane, &slot) in links.iter().enumerate().take(DEGREE) {
            if let Some(&next) = links.get(lane + 1) {
                rotated.prefetch(next);
            }
            let (bits, neighbor) = ((&mut *bits, lane), rotated.row(slot));
            let factors = neighbor::encode_words(simd, bits, center, neighbor, rotated.step(), metric, units);
            (slots[lane], add[lane], rescale[lane]) = (slot, factors.add, factors.rescale);
        }
        // What an earlier node left there is no code of this one.
        bits.iter_mut().for_each(|bits| bits[links.len().min(LANES)..].fill(0));
        pack(bits, row.codes());
        row.set_neighbors(&slots, &add, &rescale);
    }
}

/// How rows are kept while they are linked: floats that are whole numbers as bytes, in a fourth of the memory.
fn kept_as(spec: VectorSpec, rows: Rows<'_>) -> VectorSpec {
    let floats = matches!(spec.element(), ElementType::F32 | ElementType::F16);
    let whole = |row: usize| match rows.row(row) {
        VectorRef::F32(row) => Scale::of(row.iter().copied()) == Scale::Whole,
        VectorRef::F16(row) => Scale::of(row.iter().map(|x| x.to_f32())) == Scale::Whole,
        VectorRef::U8(_) => true,
        VectorRef::I8(_) | VectorRef::Bits(_) => false,
    };
    if floats && spec.metric() == Metric::L2 && (0..rows.len()).into_par_iter().all(whole) {
        VectorSpec::new(spec.dim(), Metric::L2, ElementType::U8).expect("bytes compare by l2")
    } else {
        spec
    }
}

pub(crate) fn scale_of(vectors: &Vectors) -> Scale {
    if matches!(vectors, Vectors::U8(_)) {
        return Scale::Whole;
    }
    let row = |slot: usize| {
        let mut vector = Vec::new();
        vectors.decode(Slot(slot as u32), &mut vector);
        Scale::of(vector.into_iter())
    };
    if (0..vectors.len()).into_par_iter().all(|slot| row(slot) == Scale::Whole) { Scale::Whole } else { Scale::Own }
}
