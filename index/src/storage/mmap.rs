//! A file mapped read-only: the one place where the index trusts the file system not to change bytes under it.

use std::fs::File;
use std::io;
use std::path::Path;

use memmap2::Mmap;

/// A whole file in the address space, read-only.
#[derive(Debug)]
pub(crate) struct MappedFile {
    map: Mmap,
}

impl MappedFile {
    /// Maps `path`. The file must not be changed or truncated while it is open; replace it by rename instead.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        // SAFETY: the map is private to this process and read-only. Nothing here writes through a map, and files are replaced by
        // rename, which leaves a mapped one as it was; another process truncating the file is outside what a map can guard against.
        let map = unsafe { Mmap::map(&file)? };
        Ok(MappedFile { map })
    }

    /// The file's bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.map
    }
}
