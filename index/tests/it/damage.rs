//! Files that are not what was written: refused with a message that says what is wrong and where, or, where only padding was hit,
//! read as if nothing had happened. Never a panic, never a wrong answer.
//!
//! [`Layout`] reads the file on its own, from the format's description alone, to know which bytes carry meaning.

use std::fs::OpenOptions;
use std::io::Write;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use vicino_index::{Hnsw, HnswParams, OpenError};

use crate::data::{bits, build, gaussian, saved, search};

const DIM: usize = 8;

/// 60 rows, ten of them copies, so that no section is empty: m = 2 puts half of them on upper levels.
fn small() -> Hnsw {
    let mut points = gaussian(8, 50, DIM);
    points.extend_from_within(..10 * DIM);
    build(&points, DIM, HnswParams { m0: 6, ..HnswParams::new(2, 20) })
}

/// Where the parts of a file lie.
struct Layout {
    table: Range<usize>,
    sections: Vec<Entry>,
}

struct Entry {
    kind: u32,
    /// Where in the file this entry's checksum is.
    checksum: Range<usize>,
    bytes: Range<usize>,
}

const HEADER: Range<usize> = 0..64;
const VERSION: Range<usize> = 8..12;
const SECTIONS: Range<usize> = 12..16;
const CHECKSUM: Range<usize> = 24..28;
const ENTRY: usize = 24;

/// The names of the kinds 1, 2, 3, … of sections.
const NAMES: [&str; 9] = [
    "metadata",
    "rows",
    "levels",
    "level-0 links",
    "upper offsets",
    "upper links",
    "kept counts",
    "upper kept counts",
    "twins",
];

impl Layout {
    fn of(file: &[u8]) -> Self {
        let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
        let long = |at: usize| u64::from_le_bytes(file[at..at + 8].try_into().unwrap()) as usize;
        let table = HEADER.end..HEADER.end + word(SECTIONS.start) as usize * ENTRY;
        let entry = |at: usize| Entry {
            kind: word(at),
            checksum: at + 4..at + 8,
            bytes: long(at + 8)..long(at + 8) + long(at + 16),
        };
        Layout { sections: table.clone().step_by(ENTRY).map(entry).collect(), table }
    }

    /// Whether the byte `at` means something; the others are the zeros that align sections.
    fn has_meaning(&self, at: usize) -> bool {
        at < self.table.end || self.sections.iter().any(|entry| entry.bytes.contains(&at))
    }

    /// Makes all checksums right again, as a forger would, or a writer with a defect.
    fn sign(&self, file: &mut [u8]) {
        for entry in &self.sections {
            let checksum = crc32c::crc32c(&file[entry.bytes.clone()]);
            file[entry.checksum.clone()].copy_from_slice(&checksum.to_le_bytes());
        }
        file[CHECKSUM].fill(0);
        let checksum = crc32c::crc32c(&file[..self.table.end]);
        file[CHECKSUM].copy_from_slice(&checksum.to_le_bytes());
    }
}

/// A folder to put bytes into and open them from.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Place(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("index")
    }

    /// Opens `bytes` from a file written in place: some file systems flush one that was truncated first, at every turn.
    fn open(&self, bytes: &[u8]) -> Result<Hnsw, OpenError> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(self.path()).unwrap();
        file.write_all(bytes).unwrap();
        file.set_len(bytes.len() as u64).unwrap();
        Hnsw::open(self.path())
    }

    fn refusal(&self, bytes: &[u8]) -> String {
        let message = self.open(bytes).expect_err("a damaged file was opened").to_string();
        let path = self.path().display().to_string();
        let rest = message.strip_prefix(&path).unwrap_or_else(|| panic!("does not begin with the path: {message}"));
        rest.strip_prefix(": ").unwrap().to_owned()
    }
}

fn answers(index: &Hnsw) -> Vec<Vec<(u32, u32)>> {
    gaussian(9, 5, DIM).chunks(DIM).map(|query| bits(&search(index, query.into(), 60, 60).0)).collect()
}

#[test]
fn the_small_file_has_every_section_and_they_lie_as_described() {
    let (index, file) = (small(), saved(&small()));
    let report = index.check().unwrap();
    assert!(report.twins == 10 && report.level_histogram.len() > 2, "{report:?}");
    let layout = Layout::of(&file);
    assert_eq!(layout.sections.iter().map(|entry| entry.kind).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert!(layout.sections.iter().all(|entry| !entry.bytes.is_empty() && entry.bytes.start % 64 == 0));
    assert_eq!(layout.sections.last().unwrap().bytes.end, file.len());
    assert!((0..file.len()).all(|at| layout.has_meaning(at) || file[at] == 0), "padding is zero");
    let mut signed = file.clone();
    layout.sign(&mut signed);
    assert!(signed == file, "the checksums are those described");
}

#[test]
fn every_flipped_bit_is_refused_unless_it_is_padding() {
    let (place, index) = (Place::new(), small());
    let (mut file, expected) = (saved(&index), answers(&index));
    let layout = Layout::of(&file);
    for bit in 0..file.len() * 8 {
        let (at, mask) = (bit / 8, 1 << (bit % 8));
        file[at] ^= mask;
        let outcome = catch_unwind(AssertUnwindSafe(|| place.open(&file).map(|index| answers(&index))));
        let outcome = outcome.unwrap_or_else(|_| panic!("panic with bit {} of byte {at} flipped", bit % 8));
        match outcome {
            Ok(found) => assert!(!layout.has_meaning(at) && found == expected, "bit {} of byte {at} accepted", bit % 8),
            Err(error) => assert!(layout.has_meaning(at), "padding byte {at}: {error}"),
        }
        file[at] ^= mask;
    }
    assert_eq!(answers(&place.open(&file).unwrap()), expected);
}

#[test]
fn every_other_length_is_refused() {
    let (place, file) = (Place::new(), saved(&small()));
    for len in 0..file.len() {
        let message = place.refusal(&file[..len]);
        assert!(message.starts_with(&format!("{len} bytes long, expected ")), "cut at {len}: {message}");
    }
    let longer = [&file[..], &[0]].concat();
    assert_eq!(place.refusal(&longer), format!("{} bytes long, expected {}", longer.len(), file.len()));
}

#[test]
fn damage_is_named_with_its_section_and_offset() {
    let (place, mut file) = (Place::new(), saved(&small()));
    for entry in Layout::of(&file).sections {
        let at = entry.bytes.start + entry.bytes.len() / 2;
        let written = crc32c::crc32c(&file[entry.bytes.clone()]);
        file[at] ^= 0x10;
        let found = crc32c::crc32c(&file[entry.bytes.clone()]);
        let (name, offset) = (NAMES[entry.kind as usize - 1], entry.bytes.start);
        let expected = format!(
            "damaged in section `{name}`, which starts at byte {offset}: checksum {found:08x}, expected {written:08x}"
        );
        assert_eq!(place.refusal(&file), expected);
        file[at] ^= 0x10;
    }
    file[70] ^= 1;
    let message = place.refusal(&file);
    assert!(message.starts_with("damaged in section `header`, which starts at byte 0: checksum "), "{message}");
}

#[test]
fn what_is_no_index_is_told_apart() {
    let place = Place::new();
    let png = place.refusal(b"\x89PNG\r\n\x1a\n and so on");
    assert!(
        png.starts_with("not a Vicino index: it starts with [89, 50, 4e, 47, 0d, 0a, 1a, 0a], expected [56, "),
        "{png}"
    );
    assert!(place.refusal(b"VICI-").starts_with("not a Vicino index"));
    assert_eq!(place.refusal(b""), "0 bytes long, expected 64");

    let mut newer = saved(&small());
    newer[VERSION].copy_from_slice(&7_u32.to_le_bytes());
    assert_eq!(place.refusal(&newer), "format version 7, this build reads 1..=1");

    let cannot_open = |path: &Path| {
        let error = Hnsw::open(path).expect_err("nothing to open");
        assert!(matches!(&error, OpenError::Io { .. }), "{error:?}");
        let message = error.to_string();
        assert!(message.starts_with(&format!("{}: cannot open: ", path.display())), "{message}");
    };
    cannot_open(&place.0.path().join("missing"));
    cannot_open(place.0.path());
}

/// Checksums hold, but what they vouch for does not: any byte of the graph's sections set to other values. Refused, or searched
/// without a panic. (Other metadata or rows make another index, not a damaged one.)
#[test]
fn a_well_signed_lie_does_no_harm() {
    let (place, file) = (Place::new(), saved(&small()));
    let layout = Layout::of(&file);
    let mut refused = 0;
    for entry in layout.sections.iter().filter(|entry| !["metadata", "rows"].contains(&NAMES[entry.kind as usize - 1]))
    {
        for at in entry.bytes.clone() {
            for value in [0, 1, 59, 60, 0xff].into_iter().filter(|&value| value != file[at]) {
                let mut lie = file.clone();
                lie[at] = value;
                layout.sign(&mut lie);
                let outcome = catch_unwind(AssertUnwindSafe(|| match place.open(&lie) {
                    Ok(index) => {
                        let _ = index.check();
                        answers(&index);
                        false
                    }
                    Err(_) => true,
                }));
                let name = NAMES[entry.kind as usize - 1];
                refused += u32::from(outcome.unwrap_or_else(|_| panic!("{name}: panic with byte {at} set to {value}")));
            }
        }
    }
    assert!(refused > 1000, "{refused}");
}
