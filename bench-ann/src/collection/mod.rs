//! What it costs to keep points, beside finding them: durable writes, restarts, searches while points come in, and a long churn.
//!
//! One run makes a collection of the data set's rows in a folder of its own and measures, in this order: loading in batches; single
//! changes and many writers; a restart to its first answer; search latency idle, and beside ingest and merges; then rounds of replaced
//! points, after which a collection is built afresh of what is left and both are compared. Every answer is checked before it is timed.
//!
//! load: writes · serve: restart and latency · churn: worn beside fresh · figures: percentiles and the report

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use vicino_index::collection::{Change, Options, Payload, Point, Schema, SharedCollection};
use vicino_index::vfs::RealFs;
use vicino_index::{ElementType, PointId, VectorSpec};

use crate::data::Data;

mod churn;
mod figures;
mod load;
mod serve;

pub use churn::resident;
pub use figures::Report;

/// What is measured, and how much of it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where collections are made; emptied first.
    pub dir: PathBuf,
    /// How vectors are kept.
    pub element: ElementType,
    /// Points of a batch.
    pub batch: usize,
    /// Durable changes of one point each, by one writer.
    pub singles: usize,
    /// Writers at once, and changes of each.
    pub writers: (usize, usize),
    /// Seconds of searching in each state.
    pub seconds: f64,
    /// Points per second that come in meanwhile.
    pub ingest: usize,
    /// Rounds in which a twentieth of the points is replaced.
    pub rounds: usize,
    /// Neighbours per query.
    pub k: usize,
    /// Beam widths compared after the churn; the first is that of the latencies.
    pub ef: Vec<usize>,
    /// This program, started again to see what a collection takes in memory.
    pub own: PathBuf,
}

/// Measures all of it.
pub fn run(data: &Data, settings: &Settings, say: &dyn Fn(&str)) -> Result<Report> {
    if settings.ef.is_empty() {
        bail!("no beam width: expected at least one");
    }
    let mut report = Report::default();
    let home = fresh_folder(&settings.dir, "worn")?;
    let collection = create(data, settings, &home)?;
    say("loading");
    load::all(data, settings, &collection, &mut report)?;
    say("single changes and many writers");
    load::singles(data, settings, &collection, &mut report)?;
    say("restarting");
    let collection = serve::restart(data, settings, collection, &home, &mut report)?;
    say("searching, idle and beside ingest");
    serve::latencies(data, settings, &collection, &mut report)?;
    say("churning");
    churn::wear(data, settings, collection, &home, &mut report, say)?;
    Ok(report)
}

fn fresh_folder(dir: &Path, name: &str) -> Result<PathBuf> {
    let home = dir.join(name);
    if home.exists() {
        std::fs::remove_dir_all(&home).with_context(|| format!("cannot empty {}", home.display()))?;
    }
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    Ok(home)
}

fn create(data: &Data, settings: &Settings, home: &Path) -> Result<SharedCollection> {
    let vectors = data.vectors();
    let vectors = VectorSpec::new(vectors.dim, vectors.metric, settings.element)?;
    Ok(SharedCollection::create(Arc::new(RealFs), home, Schema::new(vectors), Options::default())?)
}

/// Row `row` of the data set as point `id`.
fn point(data: &Data, id: u64, row: usize) -> Point {
    let vectors = data.vectors();
    let vector = vectors.train[row * vectors.dim..][..vectors.dim].to_vec();
    Point { id: PointId::Integer(id), vectors: vector.into(), payload: Payload::new() }
}

/// Points `ids`, of the rows that `row` says.
fn upsert(data: &Data, ids: impl Iterator<Item = u64>, row: impl Fn(u64) -> usize) -> Change {
    Change::Upsert(ids.map(|id| point(data, id, row(id))).collect())
}

/// Query `number`, counted round and round.
fn query(data: &Data, number: usize) -> &[f32] {
    let vectors = data.vectors();
    let queries = vectors.queries.len() / vectors.dim;
    &vectors.queries[number % queries * vectors.dim..][..vectors.dim]
}
