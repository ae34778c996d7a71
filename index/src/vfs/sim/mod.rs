//! [`SimFs`]: a file system in memory that loses, tears and reorders whatever was not synced, and fails when told to.
//!
//! Every file has the bytes a process sees, the bytes on disk, and between them the changes not yet synced; every folder likewise its
//! names. [`SimFs::crash`] makes the file system that a machine finds after losing power: of the unsynced changes an arbitrary subset
//! happened, each written range torn at sector borders, each name on its own. That is harsher than any real file system, so what
//! survives it survives them.
//!
//! faults: calls that fail · image: what a crash leaves · tree: folders, files and their pending changes

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Lock, LockError, MappedFile, Vfs, VfsFile};

mod faults;
mod image;
#[cfg(test)]
mod tests;
mod tree;

pub use faults::{Fault, FaultKind};
pub use image::Keep;
use tree::{Ino, Tree};

/// What is told of every call before it runs.
type Probe = Box<dyn FnMut(&SimFs) + Send>;

/// A simulated file system. Clones are the same one.
#[derive(Clone, Default)]
pub struct SimFs {
    shared: Arc<Mutex<State>>,
    probe: Arc<Mutex<Option<Probe>>>,
}

#[derive(Debug, Clone, Default)]
struct State {
    tree: Tree,
    locks: Vec<PathBuf>,
    calls: u64,
    drawn: u64,
    capacity: Option<u64>,
    fault: Option<Fault>,
}

/// What a call does, as far as faults tell calls apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    Read,
    Write,
    /// A name is made.
    Name,
    /// A name or bytes are given up.
    Remove,
    Sync,
}

impl SimFs {
    /// An empty file system.
    pub fn new() -> Self {
        Self::default()
    }

    /// What the machine finds after losing power now: a file system of its own, without locks, faults or probe.
    pub fn crash(&self, keep: Keep) -> SimFs {
        let state = self.shared.lock();
        Self::over(State { tree: image::after(&state.tree, keep), drawn: state.drawn, ..State::default() })
    }

    /// What the next process finds after this one was killed: every byte it wrote, synced or not. Locks are free.
    pub fn kill(&self) -> SimFs {
        let state = self.shared.lock();
        let (tree, drawn, capacity) = (state.tree.clone(), state.drawn, state.capacity);
        Self::over(State { tree, drawn, capacity, ..State::default() })
    }

    fn over(state: State) -> Self {
        SimFs { shared: Arc::new(Mutex::new(state)), probe: Arc::default() }
    }

    /// Runs `probe` before each call from now on; it may make crash images.
    pub fn on_call(&self, probe: impl FnMut(&SimFs) + Send + 'static) {
        *self.probe.lock() = Some(Box::new(probe));
    }

    /// Lets calls fail as `fault` says, in place of an earlier one.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.shared.lock().fault = fault;
    }

    /// Limits the bytes that all files together may have; writes beyond fail as on a full disk.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.shared.lock().capacity = bytes;
    }

    /// Bytes of all files together.
    pub fn used(&self) -> u64 {
        self.shared.lock().tree.used()
    }

    /// Calls so far.
    pub fn calls(&self) -> u64 {
        self.shared.lock().calls
    }

    /// The paths of all files, in order.
    pub fn files(&self) -> Vec<PathBuf> {
        self.shared.lock().tree.files()
    }

    /// Sets the bytes of the file at `path`, on disk at once: what a failing disk or a stranger does.
    pub fn put(&self, path: &Path, bytes: Vec<u8>) -> io::Result<()> {
        self.shared.lock().tree.put(path, bytes)
    }

    /// Counts a call, lets it fail if its time has come, or runs it.
    fn call<R>(&self, kind: Call, run: impl FnOnce(&mut State) -> io::Result<R>) -> io::Result<R> {
        if let Some(probe) = self.probe.lock().as_mut() {
            probe(self);
        }
        let mut state = self.shared.lock();
        state.calls += 1;
        let now = state.calls;
        match state.fault.as_mut().and_then(|fault| fault.strikes(now, kind)) {
            Some(error) => Err(error),
            None => run(&mut state),
        }
    }

    fn write(&self, ino: Ino, bytes: &[u8]) -> io::Result<usize> {
        self.call(Call::Write, |state| {
            let now = state.calls;
            let mut room =
                state.capacity.map_or(bytes.len() as u64, |capacity| capacity.saturating_sub(state.tree.used()));
            if let Some(part) = state.fault.as_mut().and_then(|fault| fault.part(now, bytes.len())) {
                room = room.min(part as u64);
            }
            let taken = bytes.len().min(room as usize);
            if taken == 0 && !bytes.is_empty() {
                return Err(io::ErrorKind::StorageFull.into());
            }
            state.tree.write(ino, &bytes[..taken]);
            Ok(taken)
        })
    }

    fn sync(&self, ino: Ino) -> io::Result<()> {
        let outcome = self.call(Call::Sync, |state| {
            state.tree.sync(ino);
            Ok(())
        });
        if outcome.is_err() {
            self.shared.lock().tree.forget(ino);
        }
        outcome
    }
}

impl fmt::Debug for SimFs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimFs").field("calls", &self.calls()).finish_non_exhaustive()
    }
}

impl Vfs for SimFs {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.call(Call::Name, |state| state.tree.create_dir(dir))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.call(Call::Read, |state| state.tree.list(dir))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        let ino = self.call(Call::Name, |state| state.tree.create(path))?;
        Ok(Box::new(SimFile { fs: self.clone(), ino }))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        let ino = self.call(Call::Read, |state| state.tree.file(path))?;
        Ok(Box::new(SimFile { fs: self.clone(), ino }))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.call(Call::Read, |state| Ok(state.tree.bytes(state.tree.file(path)?).to_vec()))
    }

    fn map(&self, path: &Path) -> io::Result<MappedFile> {
        self.call(Call::Read, |state| MappedFile::of_bytes(state.tree.bytes(state.tree.file(path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call(Call::Name, |state| state.tree.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.call(Call::Remove, |state| state.tree.remove(path))
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        self.call(Call::Remove, |state| state.tree.remove_dir(dir))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.call(Call::Sync, |state| state.tree.sync_dir(dir))
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn Lock>, LockError> {
        let free = self.call(Call::Name, |state| {
            if state.locks.iter().any(|held| held == path) {
                return Ok(false);
            }
            if state.tree.file(path).is_err() {
                state.tree.create(path)?;
            }
            state.locks.push(path.to_owned());
            Ok(true)
        })?;
        if free { Ok(Box::new(SimLock { fs: self.clone(), path: path.to_owned() })) } else { Err(LockError::Held) }
    }

    fn unique(&self) -> u128 {
        let mut state = self.shared.lock();
        state.drawn += 1;
        u128::from(state.drawn).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
    }
}

#[derive(Debug)]
struct SimFile {
    fs: SimFs,
    ino: Ino,
}

impl Write for SimFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.fs.write(self.ino, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl VfsFile for SimFile {
    fn sync(&mut self) -> io::Result<()> {
        self.fs.sync(self.ino)
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.fs.call(Call::Remove, |state| state.tree.cut(self.ino, len))
    }
}

#[derive(Debug)]
struct SimLock {
    fs: SimFs,
    path: PathBuf,
}

impl Lock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.fs.shared.lock().locks.retain(|held| *held != self.path);
    }
}
