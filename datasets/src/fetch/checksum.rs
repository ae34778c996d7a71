//! Holding downloads to the checksums known, and recording those not known yet.
//!
//! The record lies beside the set as `NAME.sha256`, in the form of `sha256sum`, and outlives it: a set fetched again must be the same.

use std::collections::HashMap;
use std::fs;
use std::io::{self, BufRead, BufReader};
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
            let (file, expected) = (file.path.into(), expected.into());
            let error = SourceError::Checksum { file, sum: "SHA-256", expected, found };
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

/// SHA-256 of a file, in hexadecimal.
pub(super) fn sha256(path: &Path) -> io::Result<String> {
    let mut hasher = Sha256::new();
    each_chunk(path, |bytes| hasher.update(bytes))?;
    Ok(hexadecimal(&hasher.finalize()))
}

/// The name that git gives a file's contents: SHA-1 of its length and them, in hexadecimal.
pub(super) fn git_blob(path: &Path) -> io::Result<String> {
    let mut hasher = sha1_smol::Sha1::new();
    hasher.update(format!("blob {}\0", fs::metadata(path)?.len()).as_bytes());
    each_chunk(path, |bytes| hasher.update(bytes))?;
    Ok(hasher.digest().to_string())
}

fn each_chunk(path: &Path, mut hash: impl FnMut(&[u8])) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(1 << 18, fs::File::open(path)?);
    loop {
        let bytes = reader.fill_buf()?;
        if bytes.is_empty() {
            return Ok(());
        }
        hash(bytes);
        let count = bytes.len();
        reader.consume(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_sha256sum_and_git() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "hello\n").unwrap();
        let sha256_of_hello = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
        assert_eq!(sha256(file.path()).unwrap(), sha256_of_hello);
        assert_eq!(git_blob(file.path()).unwrap(), "ce013625030ba8dba906f756967f9e9ca394464a");
    }
}
