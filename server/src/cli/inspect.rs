//! `vicino info`, `vicino verify` and `vicino salvage`: a data folder looked at while no server uses it.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use vicino_index::collection::{
    Change, Inspection, Options, Recovery, Salvaged, SegmentInfo, inspect, salvage, verify,
};
use vicino_index::vfs::RealFs;

use crate::store::{self, Store};

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  vicino info ./data

Reads every collection, its log included, and changes nothing.")]
pub(super) struct Info {
    /// The data folder of a server that is not running
    #[arg(value_name = "DIR")]
    data: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  vicino verify ./data

Reads every byte: checksums of all files, every change in the log, the sum of all points, and the invariants
of every graph. Changes nothing; the exit status is 1 if any collection is damaged.")]
pub(super) struct Verify {
    /// The data folder of a server that is not running
    #[arg(value_name = "DIR")]
    data: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  vicino salvage ./data ./saved

For a folder that `vicino verify` finds damaged. Every point whose own checksum holds and every whole group
of the log is written to a new data folder, and what is lost is named. The old folder stays as it is.")]
pub(super) struct Salvage {
    /// The damaged data folder of a server that is not running
    #[arg(value_name = "DIR")]
    data: PathBuf,
    /// The data folder to make, which must not exist
    #[arg(value_name = "NEW")]
    new: PathBuf,
}

/// Points per change of the new folder.
const BATCH: usize = 1000;

impl Salvage {
    pub(super) fn run(self) -> anyhow::Result<()> {
        if self.new.exists() {
            bail!("{} exists: choose a folder that does not", self.new.display());
        }
        let store = Store::open(&self.new, Options::default())?;
        for (name, home) in store::homes(&self.data)? {
            let Salvaged { schema, mut points, lost } = match salvage(&RealFs, &home) {
                Ok(salvaged) => salvaged,
                Err(error) => {
                    println!("{name}\n  lost: {error}");
                    continue;
                }
            };
            println!("{name}\n  {} points", points.len());
            lost.iter().for_each(|what| println!("  lost: {what}"));
            store.create(name.clone(), schema)?;
            let collection = store.get(name.as_str()).context("the collection just made")?;
            while !points.is_empty() {
                let rest = points.split_off(points.len().min(BATCH));
                collection.write(Change::Upsert(points))?;
                points = rest;
            }
            collection.checkpoint()?;
        }
        Ok(())
    }
}

impl Info {
    pub(super) fn run(self) -> anyhow::Result<()> {
        each(&self.data, |home| {
            let inspection = inspect(&RealFs, home)?;
            let Inspection { schema, operation, checkpoint, segments, files, .. } = &inspection;
            println!("{}", summary(&inspection));
            let hnsw = schema.hnsw;
            for vector in schema.vectors.iter() {
                let (name, spec) = (vector.name(), vector.spec());
                let name = if name.is_empty() { String::new() } else { format!(" `{name}`") };
                println!("  vectors{name} of {} × {}, {} distance", spec.dim(), spec.element(), spec.metric());
            }
            println!("  m {}, ef_construction {}; layout of graphs: {}", hnsw.m, hnsw.ef_construction, schema.layout);
            println!("  operation {operation}, manifest {checkpoint}");
            for SegmentInfo { number, rows, dead, kind, .. } in segments.iter().filter(|segment| segment.number > 0) {
                println!("  segment {number}: {rows} rows, {dead} of them dead; {kind}");
            }
            files.iter().for_each(|(name, bytes)| println!("  {bytes:>12} bytes  {name}"));
            Ok(())
        })
    }
}

impl Verify {
    pub(super) fn run(self) -> anyhow::Result<()> {
        each(&self.data, |home| {
            let (inspection, graphs) = verify(&RealFs, home)?;
            println!("{}", summary(&inspection));
            let (nodes, unreachable) = graphs
                .iter()
                .fold((0, 0), |(nodes, unreachable), graph| (nodes + graph.nodes, unreachable + graph.unreachable));
            println!(
                "  sound: sum of points {:032x}, {} graphs, {nodes} nodes, {unreachable} unreachable",
                inspection.sum,
                graphs.len()
            );
            Ok(())
        })
    }
}

fn summary(Inspection { points, log: Recovery { groups, changes, torn_bytes }, .. }: &Inspection) -> String {
    let torn = if *torn_bytes > 0 { format!(", {torn_bytes} bytes of an unfinished one") } else { String::new() };
    format!("  {points} points; in the log {changes} changes in {groups} groups{torn}")
}

/// Looks at every collection; goes on past those that are damaged.
fn each(data: &std::path::Path, look: impl Fn(&std::path::Path) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut damaged = 0;
    for (name, home) in store::homes(data)? {
        println!("{name}");
        if let Err(error) = look(&home) {
            println!("  damaged: {error:#}");
            damaged += 1;
        }
    }
    if damaged > 0 {
        bail!("{damaged} collections are damaged or in use");
    }
    Ok(())
}
