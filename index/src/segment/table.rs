//! What a segment knows of its points besides vectors: one row each, in the order of ids.

use std::ops::Range;
use std::path::Path;

use crate::bytes::Array;
use crate::ids::{IdBytes, PointId};
use crate::storage::format::{self, FileId, IndexFile, OpenError, SaveError, Section};
use crate::vfs::Vfs;

/// Columns of equal length, grown in memory or read from a mapped file.
///
/// Invariant: ids are ascending, so each comes once and is found by halving; ends are, too.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    ids: Array<IdBytes>,
    /// Numbers of the operations that stored the points.
    versions: Array<u64>,
    /// See [`checksum`](super::checksum).
    checksums: Array<u128>,
    /// Where each payload ends in `payloads`; it begins where the one before ends.
    ends: Array<u64>,
    /// JSON objects, as they are hashed into checksums.
    payloads: Array<u8>,
}

/// Row, id, version, checksum and payload, none of them proven.
pub(crate) type DamagedRow = (u32, PointId, u64, u128, Vec<u8>);

impl Table {
    /// Makes room for `rows` rows with payloads of so many bytes.
    pub(crate) fn reserve(&mut self, rows: usize, payload_bytes: usize) {
        self.ids.reserve(rows);
        self.versions.reserve(rows);
        self.checksums.reserve(rows);
        self.ends.reserve(rows);
        self.payloads.reserve(payload_bytes);
    }

    /// Appends a row, whose id comes after all others.
    pub(crate) fn push(&mut self, id: IdBytes, version: u64, checksum: u128, payload: &[u8]) {
        debug_assert!(self.ids.as_slice().last().is_none_or(|last| *last < id));
        self.ids.extend(&[id]);
        self.versions.extend(&[version]);
        self.checksums.extend(&[checksum]);
        self.payloads.extend(payload);
        self.ends.extend(&[self.payloads.len() as u64]);
    }

    /// Appends rows of another table as they are; their ids come after all others.
    pub(crate) fn extend(&mut self, from: &Table, rows: Range<u32>) {
        let (start, range) = (from.payload_start(rows.start), rows.start as usize..rows.end as usize);
        debug_assert!(self.ids.as_slice().last() < from.ids.as_slice()[range.clone()].first());
        self.ids.extend(&from.ids.as_slice()[range.clone()]);
        self.versions.extend(&from.versions.as_slice()[range.clone()]);
        self.checksums.extend(&from.checksums.as_slice()[range.clone()]);
        let (at, before) = (self.payloads.len() as u64, self.ends.len());
        self.payloads.extend(&from.payloads.as_slice()[start as usize..from.payload_start(rows.end) as usize]);
        self.ends.extend(&from.ends.as_slice()[range]);
        self.ends.as_mut_slice()[before..].iter_mut().for_each(|end| *end = *end - start + at);
    }

    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.ids.bytes() + self.versions.bytes() + self.checksums.bytes() + self.ends.bytes() + self.payloads.bytes()
    }

    /// The id of a row, in bytes.
    pub(crate) fn id_bytes(&self, row: u32) -> IdBytes {
        self.ids.as_slice()[row as usize]
    }

    /// The id of a row.
    pub(crate) fn id(&self, row: u32) -> PointId {
        PointId::from_bytes(self.id_bytes(row)).expect("ids are checked when a file is opened")
    }

    pub(crate) fn version(&self, row: u32) -> u64 {
        self.versions.as_slice()[row as usize]
    }

    pub(crate) fn checksum(&self, row: u32) -> u128 {
        self.checksums.as_slice()[row as usize]
    }

    /// The payload of a row, in bytes.
    pub(crate) fn payload(&self, row: u32) -> &[u8] {
        self.payload_if_whole(row).expect("ends are checked when a file is opened")
    }

    fn payload_if_whole(&self, row: u32) -> Option<&[u8]> {
        let (start, end) = (self.payload_start(row), self.ends.as_slice()[row as usize]);
        self.payloads.as_slice().get(start as usize..end as usize)
    }

    /// Where the payload of a row begins, or would.
    fn payload_start(&self, row: u32) -> u64 {
        (row as usize).checked_sub(1).map_or(0, |before| self.ends.as_slice()[before])
    }

    /// The first row whose id is not before `id`.
    pub(crate) fn lower_bound(&self, id: &IdBytes) -> u32 {
        self.ids.as_slice().partition_point(|other| other < id) as u32
    }

    /// The row of this id.
    pub(crate) fn row_of(&self, id: &IdBytes) -> Option<u32> {
        // Points often come in the order of ids: then most tables end before this one.
        if self.ids.as_slice().last().is_none_or(|last| last < id) {
            return None;
        }
        let row = self.lower_bound(id);
        (self.ids.as_slice().get(row as usize) == Some(id)).then_some(row)
    }

    /// Writes the table to a new file at `path`; the name is on disk once the folder is synced.
    pub(crate) fn save(&self, vfs: &dyn Vfs, path: &Path) -> Result<FileId, SaveError> {
        let sections: [(Section, &[u8]); 5] = [
            (Section::Ids, bytemuck::cast_slice(self.ids.as_slice())),
            (Section::Versions, bytemuck::cast_slice(self.versions.as_slice())),
            (Section::Checksums, bytemuck::cast_slice(self.checksums.as_slice())),
            (Section::PayloadEnds, bytemuck::cast_slice(self.ends.as_slice())),
            (Section::Payloads, self.payloads.as_slice()),
        ];
        format::write(vfs, path, &sections)
    }

    /// The table of `rows` rows in `file`, whose checksums hold. One pass over ids and ends.
    pub(crate) fn from_file(file: &IndexFile, rows: usize) -> Result<Self, OpenError> {
        let table = Self::unchecked(file)?;
        let columns = [
            (Section::Ids, table.ids.len()),
            (Section::Versions, table.versions.len()),
            (Section::Checksums, table.checksums.len()),
            (Section::PayloadEnds, table.ends.len()),
        ];
        if let Some((section, found)) = columns.into_iter().find(|(_, found)| *found != rows) {
            return Err(file.invalid(section, format!("{found} rows, expected {rows}")));
        }
        let ids = table.ids.as_slice();
        if !ids.is_sorted_by(|a, b| a < b) || ids.iter().any(|&id| PointId::from_bytes(id).is_none()) {
            return Err(file.invalid(Section::Ids, "they are no ids in ascending order".into()));
        }
        let (ends, bytes) = (table.ends.as_slice(), table.payloads.len() as u64);
        if !ends.is_sorted() || ends.last().copied().unwrap_or(0) != bytes {
            return Err(file.invalid(Section::PayloadEnds, format!("they do not divide {bytes} bytes")));
        }
        Ok(table)
    }

    /// The columns of `file`, whatever is in them.
    fn unchecked(file: &IndexFile) -> Result<Self, OpenError> {
        Ok(Table {
            ids: file.array(Section::Ids)?,
            versions: file.array(Section::Versions)?,
            checksums: file.array(Section::Checksums)?,
            ends: file.array(Section::PayloadEnds)?,
            payloads: file.array(Section::Payloads)?,
        })
    }

    /// What can be read of a damaged `file`: row, id, version, checksum and payload of every row that has them all.
    pub(crate) fn damaged(file: &IndexFile) -> Result<impl Iterator<Item = DamagedRow> + use<>, OpenError> {
        let table = Self::unchecked(file)?;
        let rows = [table.ids.len(), table.versions.len(), table.checksums.len(), table.ends.len()];
        let rows = rows.into_iter().min().unwrap_or(0) as u32;
        Ok((0..rows).filter_map(move |row| {
            let id = PointId::from_bytes(table.id_bytes(row))?;
            Some((row, id, table.version(row), table.checksum(row), table.payload_if_whole(row)?.to_vec()))
        }))
    }
}
