//! What it costs to keep points, beside finding them: durable writes, restarts, searches while points come in, and a long churn.
//!
//! Each [`Phase`] can be measured by itself; the report is written after each, and keeps what was measured before. `load` makes a
//! collection of all rows, `writes`, `restart` and `latency` go on with it; `churn` has collections of its own, of fewer rows, for it
//! writes each point five times over. Every answer is checked before it is timed.
//!
//! load: batches · writes: single changes, many writers · restart: to the first answer · latency: searches beside writers ·
//! churn: worn beside fresh · background: what merging and sealing took · figures: percentiles · report: the file

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use vicino_index::collection::{Change, Options, Payload, Point, Schema, Search, SharedCollection};
use vicino_index::vfs::RealFs;
use vicino_index::{Effort, ElementType, PointId, VectorSpec};

use crate::data::Data;
use crate::machine::{Commit, Machine};

mod background;
mod churn;
mod figures;
mod latency;
mod load;
mod report;
mod restart;
mod writes;

pub use churn::resident;
pub use figures::Finding;
use figures::Findings;
pub use report::{Measured, Report};

/// A part of the measurement that can be had by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// All rows in durable batches, into an empty folder
    Load,
    /// Durable changes of one point, by one writer and by many
    Writes,
    /// From a closed collection to its first answer
    Restart,
    /// Searches, idle and beside writers and merges
    Latency,
    /// Rounds of replaced points, beside a collection built afresh of what is left
    Churn,
}

/// What is measured, and how much of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Where collections are made: `points` by [`Phase::Load`], `worn` and `fresh` by [`Phase::Churn`], emptied first.
    #[serde(skip)]
    pub dir: PathBuf,
    /// This program, started again to see what a collection takes in memory.
    #[serde(skip)]
    pub own: PathBuf,
    /// How vectors are kept, as [`ElementType`] is written.
    pub element: String,
    /// Points of a batch.
    pub batch: usize,
    /// Durable changes of one point each: so many by one writer, and by all writers together.
    pub singles: usize,
    /// Writers at once.
    pub writers: usize,
    /// Seconds of searching in each state.
    pub seconds: f64,
    /// Points per second that come in at a steady rate.
    pub ingest: usize,
    /// Points of the collections of the churn.
    pub churn_rows: usize,
    /// Rounds in which a twentieth of the points is replaced.
    pub rounds: usize,
    /// Neighbours per query.
    pub k: usize,
    /// Beam widths compared after the churn; the first is that of the latencies.
    pub ef: Vec<usize>,
}

/// Data, settings, and who is told how far it is.
struct Bench<'a> {
    data: &'a Data,
    settings: &'a Settings,
    say: &'a (dyn Fn(&str) + Sync),
}

/// Measures `phases` in their order; `each` is given what came of one before the next begins.
pub fn run(
    data: &Data,
    settings: &Settings,
    phases: &[Phase],
    say: &(dyn Fn(&str) + Sync),
    mut each: impl FnMut(Measured) -> Result<()>,
) -> Result<()> {
    ensure!(!settings.ef.is_empty(), "no beam width: expected at least one");
    let (rows, wanted) = (data.info.rows, settings.churn_rows);
    if phases.contains(&Phase::Churn) && !(20..=rows).contains(&wanted) {
        bail!("a churn of {wanted} points: expected 20 to {rows}, the rows of the data set");
    }
    let bench = Bench { data, settings, say };
    let mut phases = phases.to_vec();
    phases.sort_unstable();
    phases.dedup();
    for phase in phases {
        let (started, clock) = (SystemTime::now(), Instant::now());
        let mut findings = Findings::default();
        match phase {
            Phase::Load => load::measure(&bench, &mut findings)?,
            Phase::Writes => writes::measure(&bench, &mut findings)?,
            Phase::Restart => restart::measure(&bench, &mut findings)?,
            Phase::Latency => latency::measure(&bench, &mut findings)?,
            Phase::Churn => churn::measure(&bench, &mut findings)?,
        }
        each(Measured {
            phase,
            command: std::env::args().skip(1).collect(),
            started: humantime::format_rfc3339_seconds(started).to_string(),
            seconds: clock.elapsed().as_secs_f64(),
            commit: Commit::read(),
            machine: Machine::read(),
            settings: settings.clone(),
            findings: findings.0,
        })?;
    }
    Ok(())
}

impl Bench<'_> {
    /// An empty collection in the folder of this name.
    fn create(&self, name: &str) -> Result<SharedCollection> {
        let dir = &self.settings.dir;
        let home = dir.join(name);
        if home.exists() {
            std::fs::remove_dir_all(&home).with_context(|| format!("cannot empty {}", home.display()))?;
        }
        std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        Ok(SharedCollection::create(Arc::new(RealFs), &home, Schema::new(self.spec()?), Options::default())?)
    }

    /// The collection that [`Phase::Load`] left, with nothing due to be sealed or merged.
    fn open(&self) -> Result<SharedCollection> {
        let home = self.home();
        let collection = open(&home).with_context(|| format!("{}: run the phase `load` first", home.display()))?;
        let (found, rows) = (collection.read().len(), self.data.info.rows);
        let same = collection.read().schema().vectors.unnamed() == Some(self.spec()?);
        ensure!(found == rows && same, "{}: not the {rows} rows of the data set; load them again", home.display());
        (self.say)("sealing and merging what is due");
        collection.checkpoint()?;
        collection.settle()?;
        Ok(collection)
    }

    /// The folder of the collection of all rows.
    fn home(&self) -> PathBuf {
        self.settings.dir.join("points")
    }

    fn spec(&self) -> Result<VectorSpec> {
        let (vectors, element) = (self.data.vectors(), &self.settings.element);
        Ok(VectorSpec::new(vectors.dim, vectors.metric, element.parse::<ElementType>()?)?)
    }

    /// Points `ids`, of the rows that `row` says.
    fn upsert(&self, ids: impl Iterator<Item = u64>, row: impl Fn(u64) -> usize) -> Change {
        let vectors = self.data.vectors();
        let point = |id| {
            let vector = vectors.train[row(id) * vectors.dim..][..vectors.dim].to_vec();
            Point { id: PointId::Integer(id), vectors: vector.into(), payload: Payload::new() }
        };
        Change::Upsert(ids.map(point).collect())
    }

    /// Query `number`, counted round and round.
    fn query(&self, number: usize) -> &[f32] {
        let vectors = self.data.vectors();
        let queries = vectors.queries.len() / vectors.dim;
        &vectors.queries[number % queries * vectors.dim..][..vectors.dim]
    }

    /// A search by a beam of width `ef`.
    fn search(&self, ef: usize) -> Search<'static> {
        Search { effort: Some(Effort::Beam(ef)), ..Search::new(self.settings.k) }
    }
}

fn open(home: &Path) -> Result<SharedCollection> {
    Ok(SharedCollection::open(Arc::new(RealFs), home, Options::default())?)
}

/// Live points and kind of each segment.
fn segments(collection: &SharedCollection) -> String {
    let view = collection.read();
    let segments = view.segments().map(|segment| format!("{} {}", segment.live(), segment.kind));
    segments.collect::<Vec<_>>().join(", ")
}
