//! `vicino-compact` as a measured engine: the compact graph, with one scratch per search thread.

use serde::Deserialize;
use vicino_index::{
    BuildOptions, CodeBits, CompactGraph, CompactParams, CompactScratch, CompactSearch, Metric, QuantizedStats, Rows,
};

use super::quantized::Build;
use super::{Counters, Engine, Fault, Matrix, in_shares};
use crate::params::Params;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Search {
    slack: f32,
    /// Of each coordinate, that the walk reads: 2, 4 or 8; 4 unless said otherwise.
    bits: Option<u8>,
}

#[derive(Default)]
pub(super) struct Compact {
    index: Option<CompactGraph>,
    params: CompactSearch,
    scratches: Vec<CompactScratch>, // one per search thread
}

impl Engine for Compact {
    fn build(&mut self, train: &Matrix, metric: Metric, params: &Params, threads: usize) -> Result<(), Fault> {
        let mut params = params.clone();
        let keep_vectors = match params.0.shift_remove("keep_vectors") {
            Some(value) => serde_json::from_value(value)?,
            None => false,
        };
        let build: Build = params.parse()?;
        let spec = build.spec(train.dim, metric)?;
        let params = CompactParams { graph: build.params(), keep_vectors };
        let options = BuildOptions { threads, progress: None };
        self.index = Some(CompactGraph::build(spec, params, train.rows()?, &options)?);
        Ok(())
    }

    fn index_bytes(&self) -> u64 {
        self.index.as_ref().map_or(0, |index| index.index_bytes() as u64)
    }

    fn prepare(&mut self, params: &Params, k: usize, threads: usize) -> Result<(), Fault> {
        let search: Search = params.parse()?;
        let bits = match search.bits {
            None => CompactSearch::DEFAULT_BITS,
            Some(2) => CodeBits::Two,
            Some(4) => CodeBits::Four,
            Some(8) => CodeBits::Eight,
            Some(other) => return Err(format!("bits is {other}: expected 2, 4 or 8").into()),
        };
        self.params = CompactSearch { bits, ..CompactSearch::new(k, search.slack) };
        self.scratches.resize_with(threads.max(1), CompactScratch::new);
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
        let distances = total.estimates + total.distances + total.rescored;
        Ok(Counters { distances: Some(distances), hops: Some(total.hops) })
    }
}
