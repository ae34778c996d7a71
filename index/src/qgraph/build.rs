//! From rows to a quantized graph.
//!
//! A graph over bytes is grown with a narrow beam ([`Graph::extend`]), its rows are written, and then every node's links are chosen
//! again from what a wide walk over those rows meets: a walk on one-bit codes costs a fraction of a beam on vectors, so that is where the
//! candidates come from ([`Graph::refine`]). The rows are written once more. Every step gives the same result on any number of threads.

use half::f16;
use rayon::prelude::*;

use crate::bytes::Array;
use crate::distance::fastscan::{LANES, Units};
use crate::distance::simd::{Simd, Task, dispatch};
use crate::graph::Graph;
use crate::graph::level::mix;
use crate::graph::links::{Links, LinksView};
use crate::ids::Slot;
use crate::metric::{ElementType, Metric};
use crate::params::BuildOptions;
use crate::quant::byte::Scale;
use crate::quant::neighbor;
use crate::quant::rotation::Rotation;
use crate::query::BuildError;
use crate::rows::Rows;
use crate::spec::{Component, VectorSpec};
use crate::threads;
use crate::vectors::dense::{Dense, Vectors};

use super::entry::Entries;
use super::layout::{Layout, RowMut};
use super::params::{QuantizedParams, Unsupported};
use super::walk::{Batch, Field, Limits, Walk};
use super::{DEGREE, QuantizedGraph, WIDTH, isa};

/// Candidates that links are chosen from: the nearest of those a walk expanded.
const CANDIDATES: usize = 300;

impl QuantizedGraph {
    /// An index of `rows`, built in parallel; the same rows, parameters and seed give the same bytes on any number of threads.
    pub fn build(
        spec: VectorSpec,
        params: QuantizedParams,
        rows: Rows<'_>,
        options: &BuildOptions<'_>,
    ) -> Result<Self, BuildError> {
        let (metric, element) = (spec.metric(), spec.element());
        let element_fits = matches!(element, ElementType::F32 | ElementType::F16 | ElementType::U8);
        if !element_fits || !matches!(metric, Metric::L2 | Metric::Cosine) || spec.dim() < 1 {
            return Err(Unsupported { metric, element }.into());
        }
        params.validate()?;
        let mut vectors = Vectors::new(spec);
        vectors.extend(rows)?;
        threads::run(options.threads, || Ok(Self::of(spec, params, vectors, options)))
    }

    fn of(spec: VectorSpec, params: QuantizedParams, vectors: Vectors, options: &BuildOptions<'_>) -> Self {
        let (dim, nodes) = (spec.dim(), vectors.len());
        let scale = if spec.metric() == Metric::L2 { scale_of(&vectors) } else { Scale::Own };
        let rotation = Rotation::new(dim, params.seed);
        let layout = Layout::new(dim, rotation.out_dim());
        let mean = mean_of(&vectors, dim);
        let mut index = QuantizedGraph {
            params,
            spec,
            scale,
            layout,
            units: Units::of(radius_of(&vectors, mean.as_slice())),
            mean,
            rotation,
            rows: Array::default(),
            entries: Entries::default(),
            twins: Array::default(),
            full: Some(vectors),
        };
        index.rows.resize(nodes * layout.stride);
        let report = |done: usize| {
            if let Some(progress) = options.progress {
                progress(done, nodes);
            }
        };
        match scale {
            Scale::Whole => index.link(&index.bytes::<u8>(1.0), &report),
            Scale::Own => index.link(&index.bytes::<i8>(127.0 / index.largest()), &report),
        }
        if scale == Scale::Whole {
            index.full = None;
        }
        report(nodes);
        index
    }

    fn vectors(&self) -> &Vectors {
        self.full.as_ref().expect("kept while building")
    }

    /// All rows as bytes of one step, for the graph's distances.
    fn bytes<T: Component>(&self, steps: f32) -> Dense<T> {
        let spec = VectorSpec::new(self.spec.dim(), Metric::L2, T::TYPE).expect("bytes compare by l2");
        let mut rows = Array::default();
        let stride = Dense::<T>::stride_of(&spec);
        rows.resize(self.len() * stride);
        rows.as_mut_slice().par_chunks_mut(stride).enumerate().for_each_init(Vec::new, |vector, (slot, row)| {
            self.vectors().decode(Slot(slot as u32), vector);
            for (word, &x) in row.iter_mut().zip(&*vector) {
                *word = T::from_f32((x * steps).round()).expect("within the range of a byte");
            }
        });
        Dense::over(spec, rows)
    }

    /// The largest coordinate.
    fn largest(&self) -> f32 {
        let of = |slot: usize| {
            let mut vector = Vec::new();
            self.vectors().decode(Slot(slot as u32), &mut vector);
            vector.into_iter().fold(f32::MIN_POSITIVE, |max, x| max.max(x.abs()))
        };
        (0..self.len()).into_par_iter().map(of).reduce(|| f32::MIN_POSITIVE, f32::max)
    }

    /// Grows the graph over `dense`, and writes rows along it.
    fn link<T: Component>(&mut self, dense: &Dense<T>, report: &(dyn Fn(usize) + Sync)) {
        let (params, nodes) = (self.params.graph(), self.len());
        let mut graph = Graph { links: Links::new(params.m, params.m0), entry: None, unproven: 0 };
        graph.links.reserve(nodes);
        graph.extend(dense.view(), &params, &|done| report(done / 2));
        self.write(graph.links.view(), graph.entry);
        let candidates =
            |nodes: &[u32], walks: &mut [Walk; WIDTH], out: &mut [Vec<u32>]| self.surroundings(nodes, walks, out);
        graph.refine(dense.view(), &params, &candidates, &|done| report(nodes / 2 + done / 2));
        self.write(graph.links.view(), graph.entry);
        self.twins = std::mem::take(&mut graph.links.twins);
    }

    /// The nodes that walks towards each of `nodes` expand.
    fn surroundings(&self, nodes: &[u32], walks: &mut [Walk; WIDTH], out: &mut [Vec<u32>]) {
        let limits = Limits {
            k: CANDIDATES,
            keep: CANDIDATES,
            slack: f32::INFINITY,
            max_hops: self.params.refine_hops,
            rescored: 0,
        };
        let query = |index: usize, query: &mut Vec<f32>| self.vectors().decode(Slot(nodes[index]), query);
        let done = |index: usize, walk: &mut Walk| out[index].extend(walk.found.iter().map(|found| found.1));
        let (field, queries) = (Field { full: (&[], 0), ..self.field() }, nodes.len());
        dispatch(isa(), Batch { field, limits, queries, query, accept: |_| true, done, walks });
    }

    /// Writes the row of every node, and the entries.
    fn write(&mut self, links: LinksView<'_>, entry: Option<u32>) {
        let mut rows = std::mem::take(&mut self.rows);
        let tasks = rows.as_mut_slice().par_chunks_mut(self.layout.stride).enumerate();
        tasks.for_each_init(Buffers::default, |buffers, (node, bytes)| {
            dispatch(isa(), Write { index: self, links, node: node as u32, bytes, buffers });
        });
        self.rows = rows;
        let slots = self.entry_slots(links, entry);
        let mut vector = Vec::new();
        self.entries = Entries::new(&slots, self.rotation.out_dim(), self.spec.metric(), self.units, |slot, out| {
            self.rotated(slot, &mut vector, out);
        });
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

    /// The rotated vector of a row, relative to the mean.
    #[inline(always)]
    fn rotated(&self, slot: u32, vector: &mut Vec<f32>, out: &mut Vec<f32>) {
        self.vectors().decode(Slot(slot), vector);
        self.rotation.rotate(vector.iter().zip(self.mean.as_slice()).map(|(x, mean)| x - mean), out);
    }
}

#[derive(Default)]
struct Buffers {
    vector: Vec<f32>,
    node: Vec<f32>,
    neighbor: Vec<f32>,
}

/// Writes one row.
struct Write<'a> {
    index: &'a QuantizedGraph,
    links: LinksView<'a>,
    node: u32,
    bytes: &'a mut [u8],
    buffers: &'a mut Buffers,
}

impl Task for Write<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Write { index, links, node, bytes, buffers: Buffers { vector, node: center, neighbor } } = self;
        let mut row = RowMut { bytes, layout: index.layout };
        index.rotated(node, vector, center);
        let terms = index.scale.encode(vector, index.spec.metric(), row.vector());
        row.set_terms(terms);
        let (mut slots, mut add, mut rescale) = ([node; LANES], [f16::INFINITY; LANES], [f16::ZERO; LANES]);
        let codes = row.codes();
        codes.fill(0);
        for (lane, &slot) in links.list(node, 0).iter().enumerate().take(DEGREE) {
            index.rotated(slot, vector, neighbor);
            let factors = neighbor::encode(codes, lane, center, neighbor, index.spec.metric(), index.units);
            (slots[lane], add[lane], rescale[lane]) = (slot, factors.add, factors.rescale);
        }
        row.set_neighbors(&slots, &add, &rescale);
    }
}

fn scale_of(vectors: &Vectors) -> Scale {
    let row = |slot: usize| {
        let mut vector = Vec::new();
        vectors.decode(Slot(slot as u32), &mut vector);
        Scale::of(vector.into_iter())
    };
    if (0..vectors.len()).into_par_iter().all(|slot| row(slot) == Scale::Whole) { Scale::Whole } else { Scale::Own }
}

fn mean_of(vectors: &Vectors, dim: usize) -> Array<f32> {
    let (mut sums, mut vector) = (vec![0.0_f64; dim], Vec::new());
    for slot in 0..vectors.len() {
        vectors.decode(Slot(slot as u32), &mut vector);
        sums.iter_mut().zip(&vector).for_each(|(sum, &x)| *sum += f64::from(x));
    }
    let mut mean = Array::default();
    mean.resize(dim);
    let count = vectors.len().max(1) as f64;
    mean.as_mut_slice().iter_mut().zip(sums).for_each(|(mean, sum)| *mean = (sum / count) as f32);
    mean
}

/// The greatest distance of a row from the mean.
fn radius_of(vectors: &Vectors, mean: &[f32]) -> f32 {
    let of = |slot: usize| {
        let mut vector = Vec::new();
        vectors.decode(Slot(slot as u32), &mut vector);
        vector.iter().zip(mean).map(|(x, mean)| (x - mean) * (x - mean)).sum::<f32>().sqrt()
    };
    (0..vectors.len()).into_par_iter().map(of).reduce(|| 0.0, f32::max)
}
