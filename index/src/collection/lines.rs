//! Small files of JSON lines, the last of which is the checksum of those before it.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::OpenCollectionError;
use crate::faults::{self, Safeguard};
use crate::vfs::{MappedFile, Vfs, VfsFile};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Footer {
    crc32c: u32,
}

/// Writes lines and sums them up.
pub(super) struct LineWriter {
    out: BufWriter<Box<dyn VfsFile>>,
    crc32c: u32,
}

impl LineWriter {
    pub(super) fn create(vfs: &dyn Vfs, path: &Path) -> io::Result<Self> {
        Ok(LineWriter { out: BufWriter::with_capacity(1 << 18, vfs.create(path)?), crc32c: 0 })
    }

    pub(super) fn line(&mut self, value: &impl Serialize) -> io::Result<()> {
        let mut text = serde_json::to_vec(value)?;
        text.push(b'\n');
        self.crc32c = crc32c::crc32c_append(self.crc32c, &text);
        self.out.write_all(&text)
    }

    /// Writes the last line. The file's bytes are on disk when this returns, unless `sync` is off.
    pub(super) fn finish(mut self, sync: Safeguard) -> io::Result<()> {
        let crc32c = self.crc32c;
        self.line(&Footer { crc32c })?;
        let mut file = self.out.into_inner().map_err(io::IntoInnerError::into_error)?;
        if faults::on(sync) { file.sync() } else { Ok(()) }
    }
}

/// Reads lines and sums them up.
pub(super) struct LineReader {
    path: PathBuf,
    file: MappedFile,
    /// Where the next line starts.
    at: usize,
    /// Where the line read last starts.
    last: usize,
    number: usize,
}

impl LineReader {
    pub(super) fn open(vfs: &dyn Vfs, path: PathBuf) -> Result<Self, OpenCollectionError> {
        match vfs.map(&path) {
            Ok(file) => Ok(LineReader { path, file, at: 0, last: 0, number: 0 }),
            Err(source) => Err(OpenCollectionError::Io { path, source }),
        }
    }

    pub(super) fn next<T: for<'de> Deserialize<'de>>(&mut self) -> Result<T, OpenCollectionError> {
        let rest = &self.file.bytes()[self.at..];
        let len = rest.iter().position(|&byte| byte == b'\n').map_or(rest.len(), |end| end + 1);
        (self.last, self.at, self.number) = (self.at, self.at + len, self.number + 1);
        serde_json::from_slice(&rest[..len]).map_err(|source| {
            let (path, line) = (self.path.clone(), self.number);
            OpenCollectionError::Line { path, line, source }
        })
    }

    /// Reads the last line and compares the checksum, unless `checksum` is off; nothing may follow.
    pub(super) fn finish(&mut self, checksum: Safeguard) -> Result<(), OpenCollectionError> {
        let Footer { crc32c: expected } = self.next()?;
        let found = crc32c::crc32c(&self.file.bytes()[..self.last]);
        if expected != found && faults::on(checksum) {
            return Err(OpenCollectionError::Checksum { path: self.path.clone(), expected, found });
        }
        let rest = self.file.bytes().len() - self.at;
        if rest > 0 { Err(self.mismatch("bytes after the last line", 0, rest)) } else { Ok(()) }
    }

    pub(super) fn mismatch(&self, what: &'static str, expected: usize, found: usize) -> OpenCollectionError {
        OpenCollectionError::Mismatch { path: self.path.clone(), what, expected, found }
    }
}
