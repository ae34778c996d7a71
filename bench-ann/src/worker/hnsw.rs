//! `vicino` as a measured engine: the graph, with one scratch per search thread.

use serde::Deserialize;
use vicino_index::{
    BuildOptions, ElementType, HnswParams, Metric, Rows, Scratch, SearchError, SearchParams, SearchStats, VectorSpec,
};

use super::{Counters, Engine, Fault, Matrix, in_shares};
use crate::params::Params;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Build {
    m: usize,
    ef_construction: usize,
    /// How rows are stored: `f32` unless said otherwise.
    element: Option<String>,
    keep_pruned: Option<bool>,
    seed: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Search {
    ef: usize,
}

#[derive(Default)]
pub(super) struct Hnsw {
    index: Option<vicino_index::Hnsw>,
    params: SearchParams,
    scratches: Vec<Scratch>, // one per search thread
}

impl Engine for Hnsw {
    fn build(&mut self, train: &Matrix, metric: Metric, params: &Params, threads: usize) -> Result<(), Fault> {
        let build: Build = params.parse()?;
        let element = build.element.as_deref().map_or(Ok(ElementType::F32), str::parse)?;
        let spec = VectorSpec::new(train.dim, metric, element)?;
        let mut params = HnswParams::new(build.m, build.ef_construction);
        params.keep_pruned = build.keep_pruned.unwrap_or(params.keep_pruned);
        params.seed = build.seed.unwrap_or(params.seed);
        let options = BuildOptions { threads, progress: None };
        self.index = Some(vicino_index::Hnsw::build(spec, params, train.rows()?, &options)?);
        Ok(())
    }

    fn index_bytes(&self) -> u64 {
        self.index.as_ref().map_or(0, |index| index.index_bytes() as u64)
    }

    fn prepare(&mut self, params: &Params, k: usize, threads: usize) -> Result<(), Fault> {
        self.params = SearchParams::new(k, params.parse::<Search>()?.ef);
        self.scratches.resize_with(threads.max(1), Scratch::new);
        Ok(())
    }

    fn search(&mut self, queries: Rows<'_>, found: &mut [i32]) -> Result<Counters, Fault> {
        let index = self.index.as_ref().ok_or("search before build")?;
        let params = self.params;
        let totals = in_shares(queries, params.k, found, &mut self.scratches, |queries, found, scratch| {
            answer(index, queries, params, scratch, found).map_err(Into::into)
        })?;
        let sum = |count: fn(&SearchStats) -> u64| Some(totals.iter().map(count).sum());
        Ok(Counters { distances: sum(|stats| stats.distances), hops: sum(|stats| stats.hops) })
    }
}

/// One thread's queries, in order.
fn answer(
    index: &vicino_index::Hnsw,
    queries: Rows<'_>,
    params: SearchParams,
    scratch: &mut Scratch,
    found: &mut [i32],
) -> Result<SearchStats, SearchError> {
    let mut total = SearchStats::default();
    let mut hits = Vec::with_capacity(params.k);
    for (i, row) in found.chunks_mut(params.k).enumerate() {
        let stats = index.search(queries.row(i), params, scratch, &mut hits)?;
        total.distances += stats.distances;
        total.hops += stats.hops;
        for (id, hit) in row.iter_mut().zip(&hits) {
            *id = hit.slot.0 as i32;
        }
    }
    Ok(total)
}
