//! From a quantized graph to a compact one: links without codes beside them, and codes of their own.

use std::sync::OnceLock;

use rayon::prelude::*;

use crate::bytes::Array;
use crate::graph::links::NONE;
use crate::ids::Slot;
use crate::params::BuildOptions;
use crate::qgraph::calibrate::Calibration;
use crate::qgraph::{DEGREE, QuantizedGraph};
use crate::quant::codes::Codes;
use crate::quant::frame::Frame;
use crate::quant::frame::radius_of;
use crate::query::BuildError;
use crate::rows::Rows;
use crate::spec::VectorSpec;
use crate::threads;
use crate::vectors::dense::Vectors;

use super::{CompactGraph, CompactParams};

impl CompactGraph {
    /// An index of `rows`, built in parallel; the same rows, parameters and seed give the same bytes on any number of threads. While it is
    /// built it takes what a quantized graph does.
    pub fn build(
        spec: VectorSpec,
        params: CompactParams,
        rows: Rows<'_>,
        options: &BuildOptions<'_>,
    ) -> Result<Self, BuildError> {
        let mut vectors = Vectors::new(spec);
        vectors.extend(rows)?;
        Self::over(vectors, params, options)
    }

    /// An index over rows that are stored already.
    pub(crate) fn over(
        vectors: Vectors,
        params: CompactParams,
        options: &BuildOptions<'_>,
    ) -> Result<Self, BuildError> {
        let graph = QuantizedGraph::over(vectors, params.graph, options)?;
        Ok(threads::run(options.threads, || Self::of(graph, params.keep_vectors)))
    }

    /// The compact layout of a quantized graph.
    pub fn of(mut graph: QuantizedGraph, keep_vectors: bool) -> Self {
        let (spec, scale, nodes, sample) = (graph.spec(), graph.scale, graph.len(), graph.sample());
        let params = CompactParams { graph: graph.params(), keep_vectors };
        let mut links = Array::<u32>::default();
        links.resize(nodes * DEGREE);
        links.as_mut_slice().par_chunks_mut(DEGREE).enumerate().for_each(|(node, list)| {
            list.fill(NONE);
            let neighbors = graph.neighbors(node as u32);
            list[..neighbors.len()].copy_from_slice(&neighbors);
        });
        let decode = |slot, out: &mut Vec<f32>| graph.vector(Slot(slot), out);
        let radius = radius_of(nodes, decode, graph.mean.as_slice());
        let frame = Frame::new(graph.mean.clone(), Some(graph.rotation.clone()));
        let codes = Codes::new(frame, spec.metric(), scale, (nodes, radius), decode);
        let deviation = codes.mean_deviation();
        let (full, dropped) = if keep_vectors { (graph.full.take(), None) } else { (None, graph.full.take()) };
        let mut index = CompactGraph {
            params,
            spec,
            codes,
            links,
            entries: graph.entries,
            units: graph.units,
            deviation,
            twins: graph.twins,
            full,
            calibration: Calibration::default(),
            costs: OnceLock::new(),
            sketch: OnceLock::new(),
        };
        index.calibration = index.calibrate(&sample, dropped.as_ref());
        index
    }
}
