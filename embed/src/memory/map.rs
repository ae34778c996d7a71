//! A file mapped read-only: the one place where memories trust the file system not to change bytes under them.

use std::fs::File;
use std::io;
use std::path::Path;

use memmap2::Mmap;

/// Maps `path`. The file must not be changed or truncated while it is open; replace it by rename, as saving does.
#[allow(unsafe_code)]
pub(super) fn map(path: &Path) -> io::Result<Mmap> {
    let file = File::open(path)?;
    // SAFETY: the map is private to this process and read-only. Nothing here writes through a map, and files are replaced by
    // rename, which leaves a mapped one as it was; another process truncating the file is outside what a map can guard against.
    unsafe { Mmap::map(&file) }
}
