//! The file: a header, a table of sections, and the sections, each aligned to 64 bytes and checksummed.
//!
//! ```text
//! 0    magic "VICINOIX"   version u32   sections u32   file length u64   checksum u32   zero to 64
//! 64   table: per section  kind u32  checksum u32  offset u64  length u64   (24 bytes)
//! …    sections, zero-filled between
//! ```
//!
//! Everything is little-endian. The header's checksum (CRC32C) covers header and table, taken with the checksum field zero; each
//! section has its own. So a reader knows after O(1) work what the file claims, and after one pass that it is what was written.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytemuck::{Pod, Zeroable};

use super::mmap::MappedFile;
use crate::faults::{self, Safeguard};
use crate::vfs::Vfs;

#[cfg(target_endian = "big")]
compile_error!("index files are mapped as they lie, and they are little-endian");

const MAGIC: [u8; 8] = *b"VICINOIX";
/// Sections start at multiples of this: a cache line, and more than any element's alignment.
const ALIGNMENT: usize = 64;
/// More sections than any version has had; a table that claims more is damaged.
const MAX_SECTIONS: u32 = 64;

/// The format this build writes, and the oldest it reads.
pub(crate) const VERSION: u32 = 1;
const OLDEST: u32 = 1;

/// Files begun by this process.
static CALLS: AtomicU64 = AtomicU64::new(0);

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Header {
    magic: [u8; 8],
    version: u32,
    sections: u32,
    file_len: u64,
    checksum: u32,
    reserved: [u32; 9],
}

#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Entry {
    kind: u32,
    checksum: u32,
    offset: u64,
    len: u64,
}

/// What a section holds. The numbers are part of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Section {
    Metadata = 1,
    Rows = 2,
    Levels = 3,
    Level0 = 4,
    Offsets = 5,
    Upper = 6,
    Kept0 = 7,
    KeptUpper = 8,
    Twins = 9,
    Mean = 10,
    CodedRows = 11,
    EntrySlots = 12,
    EntryBlocks = 13,
    HighNibbles = 14,
    CodeTerms = 15,
    FineRows = 16,
    Ids = 17,
    Versions = 18,
    Checksums = 19,
    PayloadEnds = 20,
    Payloads = 21,
    Dead = 22,
    VectorRows = 23,
    VectorChecksums = 24,
}

impl Section {
    const ALL: [Section; 24] = [
        Section::Metadata,
        Section::Rows,
        Section::Levels,
        Section::Level0,
        Section::Offsets,
        Section::Upper,
        Section::Kept0,
        Section::KeptUpper,
        Section::Twins,
        Section::Mean,
        Section::CodedRows,
        Section::EntrySlots,
        Section::EntryBlocks,
        Section::HighNibbles,
        Section::CodeTerms,
        Section::FineRows,
        Section::Ids,
        Section::Versions,
        Section::Checksums,
        Section::PayloadEnds,
        Section::Payloads,
        Section::Dead,
        Section::VectorRows,
        Section::VectorChecksums,
    ];

    fn name(self) -> &'static str {
        match self {
            Section::Metadata => "metadata",
            Section::Rows => "rows",
            Section::Levels => "levels",
            Section::Level0 => "level-0 links",
            Section::Offsets => "upper offsets",
            Section::Upper => "upper links",
            Section::Kept0 => "kept counts",
            Section::KeptUpper => "upper kept counts",
            Section::Twins => "twins",
            Section::Mean => "mean",
            Section::CodedRows => "coded rows",
            Section::EntrySlots => "entries",
            Section::EntryBlocks => "codes of entries",
            Section::HighNibbles => "higher nibbles",
            Section::CodeTerms => "terms of codes",
            Section::FineRows => "fine rows",
            Section::Ids => "ids",
            Section::Versions => "versions",
            Section::Checksums => "checksums of points",
            Section::PayloadEnds => "ends of payloads",
            Section::Payloads => "payloads",
            Section::Dead => "dead rows",
            Section::VectorRows => "rows of vectors",
            Section::VectorChecksums => "checksums of vectors",
        }
    }
}

/// What tells a file from every other: its length, and the checksum of its header, which covers those of its sections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileId {
    pub(crate) bytes: u64,
    pub(crate) checksum: u32,
}

/// An index that could not be written. The file that was there, if any, is as it was.
#[derive(Debug, thiserror::Error)]
#[error("{path}: cannot save: {error}", path = path.display())]
pub struct SaveError {
    /// The file.
    pub path: PathBuf,
    /// What went wrong.
    #[source]
    pub error: io::Error,
}

/// A file that is no index, or a damaged one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The file could not be read.
    #[error("{path}: cannot open: {error}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        error: io::Error,
    },
    /// Another kind of file.
    #[error("{path}: not a Vicino index: it starts with {found:02x?}, expected {expected:02x?}", path = path.display(), expected = MAGIC)]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Its first bytes.
        found: Vec<u8>,
    },
    /// A format that this build does not read.
    #[error("{path}: format version {found}, this build reads {OLDEST}..={VERSION}", path = path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// The file ends early, or goes on after its end.
    #[error("{path}: {found} bytes long, expected {expected}", path = path.display())]
    Length {
        /// The file.
        path: PathBuf,
        /// The length it should have.
        expected: u64,
        /// The length it has.
        found: u64,
    },
    /// Bytes that are not those written.
    #[error("{path}: damaged in section `{section}`, which starts at byte {offset}: {what}", path = path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Which part of it.
        section: &'static str,
        /// Where that part starts.
        offset: u64,
        /// What shows it.
        what: String,
    },
    /// A sound file, and not the one that is meant: of another time, or of another collection.
    #[error("{path}: another file than the one meant: checksum {found:08x}, expected {expected:08x}", path = path.display())]
    Stranger {
        /// The file.
        path: PathBuf,
        /// The checksum of the file meant.
        expected: u32,
        /// The checksum of the file found.
        found: u32,
    },
}

/// Writes `sections` to `path` by way of a temporary file beside it, so that `path` holds the old content or the new at any moment,
/// and the new is on disk when this returns.
pub(crate) fn replace(vfs: &dyn Vfs, path: &Path, sections: &[(Section, &[u8])]) -> Result<(), SaveError> {
    try_replace(vfs, path, sections).map_err(|error| SaveError { path: path.to_owned(), error })
}

fn try_replace(vfs: &dyn Vfs, path: &Path, sections: &[(Section, &[u8])]) -> io::Result<()> {
    let name = path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not a file name"))?;
    let mut temporary = name.to_owned();
    // A name of this call's own: two threads may save to one path at once.
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    temporary.push(format!(".{}-{call}.tmp", std::process::id()));
    let temporary = path.with_file_name(temporary);
    let result = try_write(vfs, &temporary, sections).and_then(|_| vfs.rename(&temporary, path));
    if result.is_err() {
        // What is left of it is of no use; the error to report is the first one.
        let _ = vfs.remove(&temporary);
        return result;
    }
    vfs.sync_dir(path.parent().unwrap_or(Path::new("")))
}

/// Writes `sections` to a new file at `path`. Its bytes are on disk when this returns, its name is not.
pub(crate) fn write(vfs: &dyn Vfs, path: &Path, sections: &[(Section, &[u8])]) -> Result<FileId, SaveError> {
    try_write(vfs, path, sections).map_err(|error| SaveError { path: path.to_owned(), error })
}

fn try_write(vfs: &dyn Vfs, path: &Path, sections: &[(Section, &[u8])]) -> io::Result<FileId> {
    let mut table = Vec::with_capacity(sections.len());
    let mut end = size_of::<Header>() + sections.len() * size_of::<Entry>();
    for (kind, bytes) in sections {
        let offset = end.next_multiple_of(ALIGNMENT);
        let checksum = crc32c::crc32c(bytes);
        table.push(Entry { kind: *kind as u32, checksum, offset: offset as u64, len: bytes.len() as u64 });
        end = offset + bytes.len();
    }
    let count = sections.len() as u32;
    let mut header =
        Header { magic: MAGIC, version: VERSION, sections: count, file_len: end as u64, ..Zeroable::zeroed() };
    header.checksum = checksum(header, &table);
    let mut file = BufWriter::with_capacity(1 << 20, vfs.create(path)?);
    file.write_all(bytemuck::bytes_of(&header))?;
    file.write_all(bytemuck::cast_slice(&table))?;
    let mut at = size_of::<Header>() + size_of_val(&table[..]);
    for (entry, (_, bytes)) in table.iter().zip(sections) {
        file.write_all(&[0; ALIGNMENT][..entry.offset as usize - at])?;
        file.write_all(bytes)?;
        at = entry.offset as usize + bytes.len();
    }
    let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    if faults::on(Safeguard::SegmentSync) {
        file.sync()?;
    }
    Ok(FileId { bytes: header.file_len, checksum: header.checksum })
}

/// CRC32C over header and table, with the header's own checksum field zero.
fn checksum(header: Header, table: &[Entry]) -> u32 {
    let header = Header { checksum: 0, ..header };
    crc32c::crc32c_append(crc32c::crc32c(bytemuck::bytes_of(&header)), bytemuck::cast_slice(table))
}

/// A file whose every section has been found to be what was written.
#[derive(Debug)]
pub(crate) struct IndexFile {
    path: PathBuf,
    file: Arc<MappedFile>,
    id: FileId,
    table: Vec<Entry>,
}

impl IndexFile {
    /// Maps and verifies `path`. Cost: O(1) to map, one pass over the bytes to verify.
    pub(crate) fn open(vfs: &dyn Vfs, path: &Path) -> Result<Self, OpenError> {
        Self::open_checked(vfs, path, true)
    }

    /// As [`open`](IndexFile::open), of the very file that `id` names.
    pub(crate) fn open_as(vfs: &dyn Vfs, path: &Path, id: FileId) -> Result<Self, OpenError> {
        let file = Self::open(vfs, path)?;
        if file.id != id && faults::on(Safeguard::SegmentIdentity) {
            let (expected, found) = (id.checksum, file.id.checksum);
            return Err(OpenError::Stranger { path: file.path, expected, found });
        }
        Ok(file)
    }

    /// Maps `path` and makes sure that its sections lie in the file, whatever their checksums say.
    pub(crate) fn open_damaged(vfs: &dyn Vfs, path: &Path) -> Result<Self, OpenError> {
        Self::open_checked(vfs, path, false)
    }

    fn open_checked(vfs: &dyn Vfs, path: &Path, sums: bool) -> Result<Self, OpenError> {
        let path = path.to_owned();
        let file = vfs.map(&path).map_err(|error| OpenError::Io { path: path.clone(), error })?;
        let bytes = file.bytes();
        let found = bytes.len() as u64;
        let too_short = |expected: usize| OpenError::Length { path: path.clone(), expected: expected as u64, found };
        let magic = &bytes[..bytes.len().min(MAGIC.len())];
        if magic != &MAGIC[..magic.len()] {
            return Err(OpenError::Foreign { path, found: magic.to_vec() });
        }
        let header = bytes.get(..size_of::<Header>()).ok_or_else(|| too_short(size_of::<Header>()))?;
        let header: Header = bytemuck::pod_read_unaligned(header);
        if !(OLDEST..=VERSION).contains(&header.version) {
            return Err(OpenError::Version { path, found: header.version });
        }
        let corrupt = |section, offset, what: String| OpenError::Corrupt { path: path.clone(), section, offset, what };
        if header.sections > MAX_SECTIONS {
            return Err(corrupt("header", 0, format!("{} sections, expected at most {MAX_SECTIONS}", header.sections)));
        }
        let table_end = size_of::<Header>() + header.sections as usize * size_of::<Entry>();
        let table = bytes.get(size_of::<Header>()..table_end).ok_or_else(|| too_short(table_end))?;
        let table: Vec<Entry> = table.chunks_exact(size_of::<Entry>()).map(bytemuck::pod_read_unaligned).collect();
        let computed = checksum(header, &table);
        if computed != header.checksum && sums && faults::on(Safeguard::SegmentHeaderChecksum) {
            return Err(corrupt("header", 0, mismatch(header.checksum, computed)));
        }
        if header.file_len != bytes.len() as u64 {
            return Err(OpenError::Length { expected: header.file_len, found: bytes.len() as u64, path });
        }
        let id = FileId { bytes: header.file_len, checksum: header.checksum };
        let opened = IndexFile { path: path.clone(), file: Arc::new(file), id, table };
        opened.verify(sums)?;
        Ok(opened)
    }

    /// Checks that every section lies in the file, and its checksum if `sums` is set.
    fn verify(&self, sums: bool) -> Result<(), OpenError> {
        for entry in &self.table {
            let end = entry.offset.checked_add(entry.len).filter(|&end| end <= self.file.bytes().len() as u64);
            if end.is_none() || !entry.offset.is_multiple_of(ALIGNMENT as u64) {
                return Err(self.corrupt(entry, format!("{} bytes at {} do not fit the file", entry.len, entry.offset)));
            }
            if !sums {
                continue;
            }
            let computed = crc32c::crc32c(self.bytes_of(entry));
            if computed != entry.checksum && faults::on(Safeguard::SegmentSectionChecksum) {
                return Err(self.corrupt(entry, mismatch(entry.checksum, computed)));
            }
        }
        Ok(())
    }

    /// The bytes of `section`.
    pub(crate) fn bytes(&self, section: Section) -> Result<&[u8], OpenError> {
        self.entry(section).map(|entry| self.bytes_of(entry))
    }

    /// `section` as a mapped array.
    pub(crate) fn array<T: Pod>(&self, section: Section) -> Result<crate::bytes::Array<T>, OpenError> {
        let entry = self.entry(section)?;
        if !entry.len.is_multiple_of(size_of::<T>() as u64) {
            return Err(self
                .corrupt(entry, format!("{} bytes are no whole number of elements of {}", entry.len, size_of::<T>())));
        }
        let (offset, len) = (entry.offset as usize, entry.len as usize / size_of::<T>());
        Ok(crate::bytes::Array::mapped(self.file.clone(), offset, len))
    }

    /// The error that `section` does not hold what it should.
    pub(crate) fn invalid(&self, section: Section, what: String) -> OpenError {
        match self.entry(section) {
            Ok(entry) => self.corrupt(entry, what),
            Err(missing) => missing,
        }
    }

    fn entry(&self, section: Section) -> Result<&Entry, OpenError> {
        self.table.iter().find(|entry| entry.kind == section as u32).ok_or_else(|| OpenError::Corrupt {
            path: self.path.clone(),
            section: section.name(),
            offset: 0,
            what: "the file has no such section".into(),
        })
    }

    fn bytes_of(&self, entry: &Entry) -> &[u8] {
        &self.file.bytes()[entry.offset as usize..][..entry.len as usize]
    }

    fn corrupt(&self, entry: &Entry, what: String) -> OpenError {
        let kind = Section::ALL.into_iter().find(|&kind| kind as u32 == entry.kind);
        let section = kind.map_or("unknown", Section::name);
        OpenError::Corrupt { path: self.path.clone(), section, offset: entry.offset, what }
    }
}

fn mismatch(expected: u32, found: u32) -> String {
    format!("checksum {found:08x}, expected {expected:08x}")
}
