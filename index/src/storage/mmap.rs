//! A file mapped read-only: the one place where the index trusts the file system not to change bytes under it.

use std::fs::File;
use std::io;
use std::path::Path;

use memmap2::{Mmap, MmapMut};

/// A whole file in the address space, read-only.
#[derive(Debug)]
pub struct MappedFile {
    /// None of an empty file, which cannot be mapped everywhere.
    map: Option<Mmap>,
}

impl MappedFile {
    /// Maps `path`. The file must not be changed or truncated while it is open; replace it by rename instead.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        if file.metadata()?.len() == 0 {
            return Ok(MappedFile { map: None });
        }
        // SAFETY: the map is private to this process and read-only. Nothing here writes through a map, and files are replaced by
        // rename, which leaves a mapped one as it was; another process truncating the file is outside what a map can guard against.
        let map = unsafe { Mmap::map(&file)? };
        Ok(MappedFile { map: Some(map) })
    }

    /// `bytes` at page-aligned addresses of their own, as if a file of them were mapped.
    pub(crate) fn of_bytes(bytes: &[u8]) -> io::Result<Self> {
        if bytes.is_empty() {
            return Ok(MappedFile { map: None });
        }
        let mut map = MmapMut::map_anon(bytes.len())?;
        map.copy_from_slice(bytes);
        Ok(MappedFile { map: Some(map.make_read_only()?) })
    }

    /// The file's bytes.
    pub fn bytes(&self) -> &[u8] {
        self.map.as_deref().unwrap_or_default()
    }
}
