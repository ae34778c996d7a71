//! A snapshot as one file: a tar of regular files.
//!
//! Archives come from outside, so nothing in one is believed: a name is no path, and must be of the letters that our files' names have; an
//! entry is a regular file, never a link, folder, device, sparse file or extension; sizes are added up and compared with a limit before a
//! byte is written, and with what there was after. What the files say is the business of whoever opens them.

use std::collections::HashSet;
use std::io::{self, Read, Write};

use tar::{Archive, Builder, EntryType, Header};

/// The most files in an archive.
const MAX_FILES: usize = 100_000;
/// The longest name of a file.
const MAX_NAME: usize = 64;

/// An archive that is no snapshot's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// It is no tar, or is damaged, or cannot be read.
    #[error("an archive that cannot be unpacked: {0}")]
    Io(#[from] io::Error),
    /// A file in it cannot be written.
    #[error("{name} of the archive cannot be written: {source}")]
    Write {
        /// Which file.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// An entry that is not a file.
    #[error("entry {number} of the archive, {name:?}: expected a regular file, found one of kind {kind:?}")]
    Kind {
        /// Which entry, from 1.
        number: usize,
        /// Its name.
        name: String,
        /// What it is.
        kind: EntryType,
    },
    /// A name that no file of a collection has.
    #[error(
        "entry {number} of the archive, {name:?}: expected a name of letters, digits, dots and dashes, each name once"
    )]
    Name {
        /// Which entry, from 1.
        number: usize,
        /// Its name.
        name: String,
    },
    /// More than there may be.
    #[error("an archive of more than {limit} {what}")]
    TooLarge {
        /// Of what.
        what: &'static str,
        /// As many as there may be.
        limit: u64,
    },
    /// The archive ends in the middle of a file.
    #[error("entry {number} of the archive, {name:?}: expected {expected} bytes, found {found}")]
    Short {
        /// Which entry, from 1.
        number: usize,
        /// Its name.
        name: String,
        /// Bytes by its header.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
}

/// Writes an archive, file by file.
pub(super) struct Packer<W: Write>(Builder<W>);

impl<W: Write> Packer<W> {
    pub(super) fn new(out: W) -> Self {
        Packer(Builder::new(out))
    }

    /// Adds a file of `bytes` bytes.
    pub(super) fn add(&mut self, name: &str, bytes: u64, content: impl Read) -> io::Result<()> {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header.set_size(bytes);
        header.set_mode(0o644);
        self.0.append_data(&mut header, name, content)
    }

    /// Ends the archive.
    pub(super) fn finish(self) -> io::Result<W> {
        self.0.into_inner()
    }
}

/// Reads `archive` and hands each file's name and content to `store`, which must read it to its end. At most `limit` bytes in all.
pub(super) fn unpack(
    archive: impl Read,
    limit: u64,
    mut store: impl FnMut(&str, &mut dyn Read) -> Result<u64, ArchiveError>,
) -> Result<(), ArchiveError> {
    let mut archive = Archive::new(archive);
    let (mut names, mut bytes) = (HashSet::new(), 0_u64);
    // Raw: extensions, which could give an entry another name or size, are entries themselves, and refused.
    for (entry, number) in archive.entries()?.raw(true).zip(1..) {
        let mut entry = entry?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let kind = entry.header().entry_type();
        if kind != EntryType::Regular {
            return Err(ArchiveError::Kind { number, name, kind });
        }
        if !is_plain(&name) || !names.insert(name.clone()) {
            return Err(ArchiveError::Name { number, name });
        }
        if number > MAX_FILES {
            return Err(ArchiveError::TooLarge { what: "files", limit: MAX_FILES as u64 });
        }
        let expected = entry.size();
        bytes = bytes
            .checked_add(expected)
            .filter(|&bytes| bytes <= limit)
            .ok_or(ArchiveError::TooLarge { what: "bytes", limit })?;
        let found = store(&name, &mut entry)?;
        if found != expected {
            return Err(ArchiveError::Short { number, name, expected, found });
        }
    }
    Ok(())
}

/// Whether `name` could be that of a collection's file, and on no system a path.
fn is_plain(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.';
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(plain) && !name.starts_with('.') && !name.ends_with('.')
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    type Files = BTreeMap<String, Vec<u8>>;

    fn unpacked(archive: &[u8], limit: u64) -> Result<Files, ArchiveError> {
        let mut files = Files::new();
        unpack(archive, limit, |name, content| {
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes)?;
            let found = bytes.len() as u64;
            files.insert(name.into(), bytes);
            Ok(found)
        })?;
        Ok(files)
    }

    fn packed(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut packer = Packer::new(Vec::new());
        files.iter().for_each(|(name, content)| packer.add(name, content.len() as u64, *content).unwrap());
        packer.finish().unwrap()
    }

    /// One entry, as `change` makes its header, and its content.
    fn entry(change: impl FnOnce(&mut Header), content: &[u8]) -> Vec<u8> {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_size(content.len() as u64);
        header.as_mut_bytes()[..12].copy_from_slice(b"manifest.jso");
        change(&mut header);
        header.set_cksum();
        let padding = content.len().next_multiple_of(512) - content.len();
        [header.as_bytes(), content, &vec![0; padding]].concat()
    }

    fn name(header: &mut Header, name: &[u8]) {
        header.as_mut_bytes()[..100].fill(0);
        header.as_mut_bytes()[..name.len()].copy_from_slice(name);
    }

    #[test]
    fn files_come_back_as_they_were() {
        let large = vec![7; 100_000];
        let files: [(&str, &[u8]); 3] = [("segment-1.points", &large), ("wal-2.log", b""), ("manifest.json", b"{}")];
        let found = unpacked(&packed(&files), 1 << 20).unwrap();
        assert_eq!(found, files.iter().map(|(name, content)| ((*name).into(), content.to_vec())).collect());
        assert_eq!(unpacked(&packed(&files), 100_002).unwrap(), found);
        assert!(matches!(unpacked(&packed(&files), 100_001), Err(ArchiveError::TooLarge { what: "bytes", .. })));
    }

    #[test]
    fn names_that_could_be_paths_and_names_that_come_twice_are_refused() {
        let long = [b'a'; 65];
        let names: [&[u8]; 14] = [
            b"../x",
            b"/etc/passwd",
            b"a/b",
            b"a\\b",
            b"..",
            b".",
            b".hidden",
            b"c:x",
            b"A",
            b"a b",
            b"a\nb",
            "ü".as_bytes(),
            b"x.",
            &long,
        ];
        for bad in names {
            let archive = entry(|header| name(header, bad), b"content");
            assert!(
                matches!(unpacked(&archive, 1000), Err(ArchiveError::Name { .. })),
                "{:?}",
                String::from_utf8_lossy(bad)
            );
        }
        // A ustar header may have the front of a path in another field.
        let mut archive = packed(&[("a", b"x")]);
        archive[345..348].copy_from_slice(b"../");
        let mut header = Header::new_ustar();
        header.as_mut_bytes().copy_from_slice(&archive[..512]);
        header.set_cksum();
        archive[..512].copy_from_slice(header.as_bytes());
        assert!(matches!(unpacked(&archive, 1000), Err(ArchiveError::Name { .. })));
        let twice = packed(&[("a", b"1"), ("a", b"2")]);
        assert!(matches!(unpacked(&twice, 1000), Err(ArchiveError::Name { number: 2, .. })));
    }

    #[test]
    fn what_is_no_regular_file_is_refused() {
        for kind in b"12345678LKxgSDV" {
            let archive = entry(|header| header.set_entry_type(EntryType::new(*kind)), b"../../etc/passwd");
            let error = unpacked(&archive, 1000).unwrap_err();
            assert!(matches!(error, ArchiveError::Kind { number: 1, .. }), "{}: {error}", char::from(*kind));
        }
    }

    #[test]
    fn sizes_are_believed_only_as_far_as_there_are_bytes() {
        for size in [1_000, 1 << 40, u64::MAX / 2] {
            let archive = entry(|header| header.set_size(size), b"short");
            let error = unpacked(&archive, 10_000).unwrap_err();
            let fits = size <= 10_000;
            assert!(matches!(error, ArchiveError::Short { .. } | ArchiveError::Io(_)) || !fits, "{size}: {error}");
            assert!(matches!(error, ArchiveError::TooLarge { .. }) || fits, "{size}: {error}");
        }
        let whole = packed(&[("a", &[1; 2000]), ("b", &[2; 10])]);
        for len in (1..whole.len() - 1024).filter(|len| len % 512 != 0 || *len == 1024) {
            assert!(unpacked(&whole[..len], 10_000).is_err(), "cut at {len}");
        }
        assert!(unpacked(b"this is no tar at all, and is longer than nothing", 1000).is_err());
        let bad = packed(&[("a", b"x")])
            .iter()
            .enumerate()
            .map(|(at, &byte)| if at == 150 { byte ^ 1 } else { byte })
            .collect::<Vec<u8>>();
        assert!(unpacked(&bad, 1000).is_err(), "a header's own checksum");
    }
}
