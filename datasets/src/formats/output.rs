//! Writing a file so that half of it is never found under its name.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::FormatError;

/// Calls `write` on a temporary file beside `path`, and renames that to `path` once it is whole and on disk.
pub fn write_whole(
    path: &Path,
    write: impl FnOnce(&mut (dyn Write + Send)) -> io::Result<()>,
) -> Result<(), FormatError> {
    let fault = |action| move |error| FormatError::io(path, action, error);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make_folder(folder).map_err(fault("write to its folder"))?;
    let file = tempfile::Builder::new().prefix(".writing-").permissions(readable()).tempfile_in(folder);
    let mut out = BufWriter::new(file.map_err(fault("create a file beside it"))?);
    write(&mut out).map_err(fault("write"))?;
    let file = out.into_inner().map_err(|error| fault("write")(error.into_error()))?;
    file.as_file().sync_all().map_err(fault("write to disk"))?;
    file.persist(path).map_err(|error| fault("rename to its name")(error.error))?;
    Ok(())
}

/// Makes `folder` if need be, and errors if it is marked read-only: the mark is meant for root too, whom the system lets through.
pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    if fs::metadata(folder)?.permissions().readonly() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("{} is read-only", folder.display())));
    }
    Ok(())
}

/// As a file made by any other program, rather than private as temporary files are.
#[cfg(unix)]
fn readable() -> fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o666)
}
