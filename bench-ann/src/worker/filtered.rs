//! `vicino-filtered` as a measured engine: the quantized graph with a sketch and payload indexes, each query with a filter of its own.
//!
//! The clock runs around all that a filter costs: looking it up in the indexes, choosing a way, searching.

use std::fs;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::{Map, Value};
use vicino_index::filter::{Condition, FieldType, Filter, PayloadIndex, PayloadPath, Range, RowSource, Scalar, Test};
use vicino_index::planner::Plan;
use vicino_index::{
    BuildOptions, ElementType, Hit, Mask, Metric, QuantizedGraph, QuantizedParams, QuantizedScratch, QuantizedSearch,
    Rows, Slot, VectorSpec,
};

use super::{Counters, Engine, Fault, Matrix};
use crate::filters::cases;
use crate::params::Params;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Build {
    /// A JSON object: the whole numbers of all rows by the payload's key.
    payload: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Search {
    slack: f32,
    /// The way to go; by default the planner's choice.
    plan: Option<Plan>,
    /// A JSON list: each query's conditions.
    filters: PathBuf,
}

#[derive(Default)]
pub(super) struct Filtered {
    index: Option<QuantizedGraph>,
    payloads: PayloadIndex,
    live: Mask,
    filters: Vec<Filter>,
    plan: Option<Plan>,
    params: QuantizedSearch,
    scratch: QuantizedScratch,
    hits: Vec<Hit>,
}

fn condition(of: &cases::Condition) -> Result<Condition, Fault> {
    Ok(match of {
        cases::Condition::Range { key, gte, lt } => {
            let range = Range { gte: Some(f64::from(*gte)), lt: Some(f64::from(*lt)), ..Range::default() };
            Condition::Field(PayloadPath::parse(key)?, Test::Range(range))
        }
        cases::Condition::Any { key, values } => {
            let values = values.iter().map(|&value| Scalar::Integer(i64::from(value))).collect();
            Condition::Field(PayloadPath::parse(key)?, Test::Any(values))
        }
    })
}

impl Engine for Filtered {
    fn build(&mut self, train: &Matrix, metric: Metric, params: &Params, threads: usize) -> Result<(), Fault> {
        let build: Build = params.parse()?;
        let spec = VectorSpec::new(train.dim, metric, ElementType::F16)?;
        let options = BuildOptions { threads, progress: None };
        let rows = train.rows()?;
        let count = rows.len();
        let index = QuantizedGraph::build(spec, QuantizedParams::default(), rows, &options)?;
        index.make_sketch(&options);
        self.index = Some(index);
        self.live = Mask::all(count);
        let columns: Map<String, Value> = serde_json::from_slice(&fs::read(&build.payload)?)?;
        for key in columns.keys() {
            self.payloads.add(PayloadPath::parse(key)?, FieldType::Integer, std::iter::empty());
        }
        for row in 0..count {
            let value = |(key, column): (&String, &Value)| (key.clone(), column[row].clone());
            self.payloads.insert(Slot(row as u32), &columns.iter().map(value).collect());
        }
        self.payloads.seal();
        Ok(())
    }

    fn index_bytes(&self) -> u64 {
        self.index.as_ref().map_or(0, |index| index.index_bytes() as u64)
    }

    fn prepare(&mut self, params: &Params, k: usize, threads: usize) -> Result<(), Fault> {
        let search: Search = params.parse()?;
        if threads != 1 {
            return Err("filtered searches are measured with one thread".into());
        }
        let filters: Vec<Vec<cases::Condition>> = serde_json::from_slice(&fs::read(&search.filters)?)?;
        let filter = |conditions: &Vec<cases::Condition>| {
            let must = conditions.iter().map(condition).collect::<Result<_, Fault>>()?;
            Ok(Filter { must, ..Filter::default() })
        };
        self.filters = filters.iter().map(filter).collect::<Result<_, Fault>>()?;
        self.params = QuantizedSearch::new(k, search.slack);
        self.plan = search.plan;
        Ok(())
    }

    fn search(&mut self, queries: Rows<'_>, found: &mut [i32]) -> Result<Counters, Fault> {
        let Filtered { index, payloads, live, filters, plan, params, scratch, hits } = self;
        let index = index.as_ref().ok_or("search before build")?;
        let none = |_: &str| Mask::none(live.rows());
        let source = RowSource { live, slot: &|_| None, having: &none };
        let (mut distances, mut hops) = (0, 0);
        for ((query, filter), found) in (0..queries.len()).zip(&*filters).zip(found.chunks_mut(params.k)) {
            let answer = payloads.answer(filter, source);
            let mask = answer.settle(|slot| unreachable!("row {slot:?}: all fields have indexes"));
            let explain = index.search_masked(queries.row(query), *params, &mask, *plan, scratch, hits)?;
            distances += explain.distances;
            hops += explain.hops;
            found.iter_mut().zip(&*hits).for_each(|(id, hit)| *id = hit.slot.0 as i32);
        }
        Ok(Counters { distances: Some(distances), hops: Some(hops) })
    }
}
