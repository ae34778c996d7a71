//! `flat` as a measured engine: the exact scan, the floor every approximate index must beat.

use serde::Deserialize;
use vicino_index::{ElementType, Metric, Rows, VectorSpec};

use super::{Counters, Engine, Fault, Matrix};
use crate::params::Params;

/// It has no parameters; one that is given is refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Default)]
pub(super) struct Flat {
    index: Option<vicino_index::Flat>,
    k: usize,
    threads: usize,
}

impl Engine for Flat {
    fn build(&mut self, train: &Matrix, metric: Metric, params: &Params, _threads: usize) -> Result<(), Fault> {
        let Nothing {} = params.parse()?;
        let spec = VectorSpec::new(train.dim, metric, ElementType::F32)?;
        self.index = Some(vicino_index::Flat::build(spec, train.rows()?)?);
        Ok(())
    }

    fn index_bytes(&self) -> u64 {
        self.index.as_ref().map_or(0, |index| index.index_bytes() as u64)
    }

    fn prepare(&mut self, params: &Params, k: usize, threads: usize) -> Result<(), Fault> {
        let Nothing {} = params.parse()?;
        (self.k, self.threads) = (k, threads);
        Ok(())
    }

    fn search(&mut self, queries: Rows<'_>, found: &mut [i32]) -> Result<Counters, Fault> {
        let index = self.index.as_ref().ok_or("search before build")?;
        let answers = index.search_many(queries, self.k, self.threads, None)?;
        for (row, hits) in found.chunks_mut(self.k).zip(&answers) {
            for (id, hit) in row.iter_mut().zip(hits) {
                *id = hit.slot.0 as i32;
            }
        }
        Ok(Counters { distances: Some((index.len() * queries.len()) as u64), hops: None })
    }
}
