//! Holding downloads to the checksums known, and recording those not known yet.
//!
//! The record lies beside the set as `NAME.sha256`, in the form of `sha256sum`, and outlives it: a set fetched again must be the same.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{SourceError, io_error};
use crate::dataset::hexadecimal;
use crate::formats::write_whole;
use crate::registry::File;

/// Checksums to be recorded once the set is made.
pub(super) struct Sums {
    record: PathBuf,
    known: HashMap<String, String>,
    changed: bool,
}

/// Hashes `paths`, the downloads of `files`, and compares. A file that differs is deleted, so that the next try gets it anew.
pub(super) fn verify(files: &[File], paths: &[PathBuf], record: &Path) -> Result<Sums, SourceError> {
    let mut known = read(record)?;
    let mut changed = false;
    for (file, path) in files.iter().zip(paths) {
        let found = sha256(path).map_err(io_error(path, "read"))?;
        let expected = file.sha256.or_else(|| known.get(file.path).map(String::as_str)).unwrap_or(&found);
        if expected != found {
            let error = SourceError::Checksum { file: file.path.into(), expected: expected.into(), found };
            fs::remove_file(path).map_err(io_error(path, "remove"))?;
            return Err(error);
        }
        changed |= file.sha256.is_none() && known.insert(file.path.into(), found).is_none();
    }
    Ok(Sums { record: record.into(), known, changed })
}

impl Sums {
    /// Writes down what was first seen now.
    pub(super) fn record(self) -> Result<(), SourceError> {
        if !self.changed {
            return Ok(());
        }
        let mut lines: Vec<_> = self.known.iter().map(|(name, sum)| format!("{sum}  {name}\n")).collect();
        lines.sort_unstable();
        let written = write_whole(&self.record, |out| out.write_all(lines.concat().as_bytes()));
        written.map_err(|error| io_error(&self.record, "record checksums")(io::Error::other(error)))
    }
}

fn read(record: &Path) -> Result<HashMap<String, String>, SourceError> {
    let text = match fs::read_to_string(record) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(HashMap::new()),
        Err(error) => return Err(io_error(record, "read")(error)),
    };
    let pairs = text.lines().filter_map(|line| line.split_once("  "));
    Ok(pairs.map(|(sum, name)| (name.to_owned(), sum.to_owned())).collect())
}

fn sha256(path: &Path) -> io::Result<String> {
    let mut hasher = Hasher(Sha256::new());
    io::copy(&mut fs::File::open(path)?, &mut hasher)?;
    Ok(hexadecimal(&hasher.0.finalize()))
}

struct Hasher(Sha256);

impl Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
