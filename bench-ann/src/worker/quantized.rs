//! `vicino-qg` as a measured engine: the quantized graph, with one scratch per search thread.

use serde::Deserialize;
use vicino_index::{
    BuildOptions, ElementType, Metric, QuantizedGraph, QuantizedParams, QuantizedScratch, QuantizedSearch,
    QuantizedStats, Rows, VectorSpec,
};

use super::{Counters, Engine, Fault, Matrix, in_shares};
use crate::params::Params;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Build {
    /// How full vectors are kept: `f16` unless said otherwise.
    element: Option<String>,
    partitions: Option<usize>,
    candidates: Option<usize>,
    refine_hops: Option<usize>,
    entries: Option<usize>,
    seed: Option<u64>,
}

impl Build {
    pub(super) fn spec(&self, dim: usize, metric: Metric) -> Result<VectorSpec, Fault> {
        let element = self.element.as_deref().map_or(Ok(ElementType::F16), str::parse)?;
        Ok(VectorSpec::new(dim, metric, element)?)
    }

    pub(super) fn params(&self) -> QuantizedParams {
        let default = QuantizedParams::default();
        QuantizedParams {
            partitions: self.partitions.unwrap_or(default.partitions),
            candidates: self.candidates.unwrap_or(default.candidates),
            refine_hops: self.refine_hops.unwrap_or(default.refine_hops),
            entries: self.entries.unwrap_or(default.entries),
            seed: self.seed.unwrap_or(default.seed),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Search {
    slack: f32,
    /// Nodes expanded at most: fewer than `k` are enough for a low recall.
    max_hops: Option<usize>,
}

#[derive(Default)]
pub(super) struct Quantized {
    index: Option<QuantizedGraph>,
    params: QuantizedSearch,
    scratches: Vec<QuantizedScratch>, // one per search thread
}

impl Engine for Quantized {
    fn build(&mut self, train: &Matrix, metric: Metric, params: &Params, threads: usize) -> Result<(), Fault> {
        let build: Build = params.parse()?;
        let (spec, params) = (build.spec(train.dim, metric)?, build.params());
        let options = BuildOptions { threads, progress: None };
        self.index = Some(QuantizedGraph::build(spec, params, train.rows()?, &options)?);
        Ok(())
    }

    fn index_bytes(&self) -> u64 {
        self.index.as_ref().map_or(0, |index| index.index_bytes() as u64)
    }

    fn prepare(&mut self, params: &Params, k: usize, threads: usize) -> Result<(), Fault> {
        let Search { slack, max_hops } = params.parse()?;
        self.params = QuantizedSearch { max_hops: max_hops.unwrap_or(usize::MAX), ..QuantizedSearch::new(k, slack) };
        self.scratches.resize_with(threads.max(1), QuantizedScratch::new);
        Ok(())
    }

    fn search(&mut self, queries: Rows<'_>, found: &mut [i32]) -> Result<Counters, Fault> {
        let index = self.index.as_ref().ok_or("search before build")?;
        let params = self.params;
        let shares = in_shares(queries, params.k, found, &mut self.scratches, |queries, found, scratch| {
            let answered = index.search_batch(queries, params, scratch, |query, hits| {
                let ids = &mut found[query * params.k..][..params.k];
                ids.iter_mut().zip(hits).for_each(|(id, hit)| *id = hit.slot.0 as i32);
            });
            answered.map_err(|(query, error)| format!("query {query}: {error}").into())
        })?;
        let mut total = QuantizedStats::default();
        shares.into_iter().for_each(|share| total += share);
        Ok(Counters { distances: Some(total.distances + total.rescored), hops: Some(total.hops) })
    }
}
