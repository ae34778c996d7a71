//! `vicino snapshot`: a collection of one moment as a file, and a collection made from one.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use serde_json::json;
use vicino_datasets::formats::write_whole;

use super::place::{Place, PlaceArgs};
use crate::dto::SnapshotDescription;
use crate::store::{Counted, MAX_SNAPSHOT_BYTES, Restore as How};

#[derive(Debug, Args)]
#[command(after_help = "\
A snapshot is a tar of the collection's files: all changes that were answered before it, and of later ones a
first part. Changes and searches go on while it is made. It lies in DIR/snapshots of the data folder.

Examples:
  vicino snapshot create -c points --to points.snapshot
  vicino snapshot list -c points
  vicino snapshot restore points.snapshot -c points --replace
  vicino snapshot restore points.snapshot -c copy --data ./data")]
pub(super) struct Snapshot {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a snapshot of a collection as it is now
    Create(Create),
    /// Say which snapshots of a collection there are
    List(List),
    /// Make a collection from a snapshot
    Restore(Restore),
    /// Remove a snapshot
    Remove(Remove),
}

#[derive(Debug, Args)]
struct Create {
    #[command(flatten)]
    place: PlaceArgs,
    /// Copy it to this file, too, which appears once it is whole
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    place: PlaceArgs,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Restore {
    /// A file, or the name of a snapshot that `list` says
    #[arg(value_name = "SNAPSHOT")]
    snapshot: String,
    #[command(flatten)]
    place: PlaceArgs,
    /// Put it in the place of a collection of this name, which is lost
    #[arg(long)]
    replace: bool,
    /// SHA-256 that the file must have
    #[arg(long, value_name = "HEX", value_parser = sha256)]
    sha256: Option<String>,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Remove {
    /// Its name, as `list` says it
    #[arg(value_name = "SNAPSHOT")]
    snapshot: String,
    #[command(flatten)]
    place: PlaceArgs,
}

fn sha256(text: &str) -> Result<String, String> {
    match text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        true => Ok(text.to_ascii_lowercase()),
        false => Err("expected 64 hexadecimal digits".into()),
    }
}

impl Snapshot {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self.action {
            Action::Create(action) => action.run(),
            Action::List(action) => action.run(),
            Action::Restore(action) => action.run(),
            Action::Remove(action) => action.run(),
        }
    }
}

impl Create {
    fn run(self) -> anyhow::Result<()> {
        let place = Place::open(&self.place, false)?;
        let bar = bar("archiving", 0);
        let progress = |done, all| {
            bar.set_length(all);
            bar.set_position(done);
        };
        let made = place.snapshot(&progress)?;
        bar.finish_and_clear();
        self.to.iter().try_for_each(|to| copy(&place, &made, to))?;
        if self.json {
            println!("{}", json!({"snapshot": made, "file": self.to}));
            return Ok(());
        }
        println!("snapshot {} of {place}: {}", made.name, HumanBytes(made.size));
        made.checksum.iter().for_each(|checksum| println!("  SHA-256 {checksum}"));
        self.to.iter().for_each(|to| println!("  copied to {}", to.display()));
        Ok(())
    }
}

impl List {
    fn run(self) -> anyhow::Result<()> {
        let place = Place::open(&self.place, false)?;
        let snapshots = place.snapshots()?;
        if self.json {
            println!("{}", json!(snapshots));
            return Ok(());
        }
        for SnapshotDescription { name, creation_time, size, checksum } in &snapshots {
            let time = creation_time.as_deref().unwrap_or("time unknown");
            println!("{name}\n  {time}, {}, SHA-256 {}", HumanBytes(*size), checksum.as_deref().unwrap_or("unknown"));
        }
        if snapshots.is_empty() {
            println!("no snapshots of {place}");
        }
        Ok(())
    }
}

impl Restore {
    fn run(self) -> anyhow::Result<()> {
        let place = Place::open(&self.place, true)?;
        if !self.replace && place.exists()? {
            bail!("{place} exists: --replace puts the snapshot in its place, or choose another name");
        }
        let file = Path::new(&self.snapshot);
        if file.is_file() {
            self.upload(&place, file).with_context(|| file.display().to_string())?;
        } else {
            let known = place.snapshots().unwrap_or_default();
            if known.iter().all(|known| known.name != self.snapshot) {
                let names: Vec<&str> = known.iter().map(|known| known.name.as_str()).collect();
                let names = if names.is_empty() { "none".into() } else { names.join(", ") };
                bail!("`{}`: expected a file, or a snapshot of {place}; there are: {names}", self.snapshot);
            }
            place.recover(&self.snapshot, self.how())?;
        }
        let points = place.count()?;
        if self.json {
            println!("{}", json!({"restored": self.snapshot, "points": points}));
        } else {
            println!("{points} points in {place}");
        }
        Ok(())
    }

    fn how(&self) -> How<'_> {
        How { limit: MAX_SNAPSHOT_BYTES, sha256: self.sha256.as_deref(), replace: self.replace }
    }

    fn upload(&self, place: &Place, path: &Path) -> anyhow::Result<()> {
        let file = File::open(path)?;
        let bar = bar("restoring", file.metadata()?.len());
        let mut archive = Ending { inner: bar.wrap_read(file), bar: bar.clone() };
        place.restore(&mut archive, self.how())?;
        bar.finish_and_clear();
        Ok(())
    }
}

impl Remove {
    fn run(self) -> anyhow::Result<()> {
        let place = Place::open(&self.place, false)?;
        place.remove_snapshot(&self.snapshot)?;
        println!("snapshot {} removed", self.snapshot);
        Ok(())
    }
}

/// Copies snapshot `made` to file `to`, and proves that it is the same.
fn copy(place: &Place, made: &SnapshotDescription, to: &Path) -> anyhow::Result<()> {
    let bar = bar("copying", made.size);
    write_whole(to, |out| {
        let mut out = Counted::new(bar.wrap_write(out), u64::MAX);
        place.read_snapshot(&made.name, &mut out).map_err(io::Error::other)?;
        let (bytes, found) = (out.bytes, out.sha256());
        let expected = made.checksum.as_ref().unwrap_or(&found);
        match bytes == made.size && *expected == found {
            true => Ok(()),
            false => Err(io::Error::other(format!(
                "{bytes} bytes of SHA-256 {found} came, expected {} of {expected}",
                made.size
            ))),
        }
    })?;
    bar.finish_and_clear();
    Ok(())
}

fn bar(what: &'static str, bytes: u64) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{msg} {bar:40} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}");
    let bar = ProgressBar::new(bytes).with_style(style.expect("a valid template")).with_message(what);
    // What takes long may not be what is counted.
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Says at the end of a file that what is in it is verified now.
struct Ending<R> {
    inner: R,
    bar: ProgressBar,
}

impl<R: Read> Read for Ending<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(bytes)?;
        if read == 0 {
            self.bar.set_message("verifying");
        }
        Ok(read)
    }
}
