//! Taking the files wanted out of an archive that was downloaded.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

use super::assemble::AssembleError;

/// Unpacks the files of a gzipped tar whose names end so, beside it. Gives their paths, in the order of `ends`.
pub(super) fn tar_gz<const N: usize>(archive: &Path, ends: [&str; N]) -> Result<[PathBuf; N], AssembleError> {
    let paths = ends.map(|end| archive.with_file_name(end));
    let mut found = [false; N];
    let unreadable = |source| AssembleError::Archive { path: archive.into(), source };
    let reader = BufReader::new(File::open(archive).map_err(unreadable)?);
    for entry in tar::Archive::new(GzDecoder::new(reader)).entries().map_err(unreadable)? {
        let mut entry = entry.map_err(unreadable)?;
        let name = entry.path().map_err(unreadable)?.to_string_lossy().into_owned();
        if let Some(wanted) = ends.iter().position(|end| name.ends_with(end)) {
            copy(&mut entry, &paths[wanted])?;
            found[wanted] = true;
        }
    }
    match found.iter().position(|found| !found) {
        Some(missing) => Err(AssembleError::Missing { path: archive.into(), file: ends[missing].into() }),
        None => Ok(paths),
    }
}

/// Unpacks a zip archive into `into`, without the one folder that all of it is in. Names that lead elsewhere are refused.
pub(super) fn zip(archive: &Path, into: &Path) -> Result<(), AssembleError> {
    let unreadable = |source| AssembleError::Archive { path: archive.into(), source };
    let reader = BufReader::new(File::open(archive).map_err(unreadable)?);
    let mut files = zip::ZipArchive::new(reader).map_err(|error| unreadable(error.into()))?;
    for index in 0..files.len() {
        let mut file = files.by_index(index).map_err(|error| unreadable(error.into()))?;
        let name = file.enclosed_name().ok_or_else(|| unreadable(io::Error::other("a name in it leads out of it")))?;
        if file.is_file() {
            let inside: PathBuf = name.components().skip(1).collect();
            copy(&mut file, &into.join(inside))?;
        }
    }
    Ok(())
}

fn copy(from: &mut impl Read, to: &Path) -> Result<(), AssembleError> {
    let copied = fs::create_dir_all(to.parent().unwrap_or(Path::new(".")))
        .and_then(|()| File::create(to))
        .and_then(|mut file| io::copy(from, &mut file));
    copied.map(|_| ()).map_err(|source| AssembleError::Move { path: to.into(), source })
}
