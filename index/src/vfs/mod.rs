//! All file access of the engine, behind one trait: [`Vfs`].
//!
//! What survives a crash is decided by which writes were synced, and in what order. So nothing that must survive one calls the system
//! itself: it goes through here, to the real file system ([`RealFs`]) or to a simulated one ([`SimFs`]) that loses, tears and reorders
//! whatever was not synced, and fails any call it is told to.
//!
//! The contract, which is the weakest that file systems keep: bytes are on disk after [`VfsFile::sync`]; names (a file made, renamed or
//! removed) are on disk after [`Vfs::sync_dir`] of their folder; one does not imply the other. A rename is atomic.

use std::fmt::Debug;
use std::io;
use std::path::Path;

mod real;
mod sim;

pub use crate::storage::mmap::MappedFile;
pub use real::RealFs;
pub use sim::{Fault, FaultKind, Keep, SimFs};

/// A file system, as far as the engine needs one.
pub trait Vfs: Debug + Send + Sync {
    /// Makes folder `dir`, with those above it, unless it exists.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// The names of what lies in folder `dir`, in no order.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// An empty file at `path`, in place of what was there, to append to.
    fn create(&self, path: &Path) -> io::Result<Box<dyn VfsFile>>;

    /// The file at `path`, which must exist, to append to.
    fn append(&self, path: &Path) -> io::Result<Box<dyn VfsFile>>;

    /// All bytes of the file at `path`.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The file at `path`, read-only in the address space. It must not be changed while it is mapped, only replaced or removed.
    fn map(&self, path: &Path) -> io::Result<MappedFile>;

    /// Gives what lies at `from` the name `to`, in place of a file that had it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes the file at `path`.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Removes folder `dir` with all that is in it.
    fn remove_dir(&self, dir: &Path) -> io::Result<()>;

    /// Returns once the names in folder `dir` are on disk.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Takes the lock at `path`, a file that is made if missing. It is free again when the result is dropped or the process ends.
    fn lock(&self, path: &Path) -> Result<Box<dyn Lock>, LockError>;

    /// A number that no other call returns, on any machine, except by a chance of 2⁻¹²⁸ or a simulation's wish.
    fn unique(&self) -> u128;
}

/// A file that grows at its end. `write` may take a part of what it is given, as [`io::Write`] says.
pub trait VfsFile: io::Write + Debug + Send {
    /// Returns once all bytes written so far, and the length, are on disk. After an error none of the unsynced bytes can be relied
    /// on, and asking again proves nothing: the system may have dropped them and forgotten it.
    fn sync(&mut self) -> io::Result<()>;

    /// Cuts the file to `len` bytes, which must not be more than it has.
    fn set_len(&mut self, len: u64) -> io::Result<()>;
}

/// A lock that is held while this lives.
pub trait Lock: Debug + Send + Sync {}

/// A lock that was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Another holds it.
    #[error("held by another process")]
    Held,
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}
