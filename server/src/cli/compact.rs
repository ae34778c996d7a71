//! `vicino compact`: room given back at once.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use serde_json::{Map, json};
use vicino_index::collection::Usage;

use super::place::{Place, PlaceArgs};
use super::remote::{self, DEFAULT_URL};
use crate::dto::Compacted;
use crate::store;

#[derive(Debug, Args)]
#[command(after_help = "\
Seals what is in the log, puts points into as few segments as fit, builds the graphs that are missing, and leaves out
the rows of points that were replaced or removed. A server does so in the background, once a fifth of a segment is
dead; this does not wait for that. Each segment is a step that is done or not: cut short, the same command goes on.

Examples:
  vicino compact --data ./data                 all collections of a folder that no server uses
  vicino compact -c points                     one of a running server, which goes on serving")]
pub(super) struct Compact {
    /// The collection; without it, all of them
    #[arg(long, short, value_name = "NAME")]
    collection: Option<String>,
    /// A running server
    #[arg(long, default_value = DEFAULT_URL, conflicts_with = "data")]
    url: String,
    /// A data folder that no server uses, instead of a server
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

impl Compact {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let names = match (&self.collection, &self.data) {
            (Some(name), _) => vec![name.clone()],
            (None, Some(data)) => store::homes(data)?.into_iter().map(|(name, _)| name.to_string()).collect(),
            (None, None) => remote::collections(&self.url)?,
        };
        let (mut answer, mut failed) = (Map::new(), 0);
        for name in names {
            match self.compact(&name) {
                Ok(compacted) if self.json => drop(answer.insert(name, json!(compacted))),
                Ok(compacted) => print(&name, compacted),
                Err(error) if self.collection.is_some() => return Err(error),
                Err(error) => {
                    eprintln!("{name}: {error:#}");
                    failed += 1;
                }
            }
        }
        if self.json {
            println!("{}", json!(answer));
        }
        if failed > 0 {
            bail!("{failed} collections could not be compacted");
        }
        Ok(())
    }

    fn compact(&self, name: &str) -> anyhow::Result<Compacted> {
        let place = Place::open(&PlaceArgs::new(name, &self.url, self.data.as_deref()), false)?;
        let style = ProgressStyle::with_template("compacting {msg} {bar:40} {pos}/{len} rows {eta}").expect("valid");
        let bar = ProgressBar::new(0).with_style(style).with_message(name.to_owned());
        bar.enable_steady_tick(Duration::from_millis(200));
        let compacted = place.compact(&|done, all| {
            bar.set_length(all as u64);
            bar.set_position(done as u64);
        })?;
        bar.finish_and_clear();
        Ok(compacted)
    }
}

fn print(name: &str, Compacted { before, after }: Compacted) {
    println!("{name}");
    for (when, Usage { points, rows, dead, segments, files, bytes }) in [("before", before), ("after", after)] {
        let bytes = HumanBytes(bytes);
        println!(
            "  {when:6}  {points} points in {rows} rows, {dead} dead; {segments} segments; {files} files, {bytes}"
        );
    }
}
