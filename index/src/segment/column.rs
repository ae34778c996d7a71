//! [`Column`]: the vectors of one name in a segment, with what finds the near ones.
//!
//! Where every row has one, a row's vector lies in the slot of its number, and nothing else is kept: so it is for a vector without a name.
//! Where only some rows have one, the vectors of these lie one behind the other, with a list of their rows, in order. Whoever asks speaks
//! of rows; only the index below knows of slots. A named vector has a checksum of its own, so that it can go, with its name, and the sum of
//! all that is left is known without reading the rest.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::OnceLock;

use super::index::{Buffers, Index, IndexKind};
use super::reach::{Depth, Reach, Way};
use super::scanned::Scanned;
use super::tombstones::Tombstones;
use crate::bytes::Array;
use crate::graph::check::{GraphFault, GraphReport};
use crate::ids::Slot;
use crate::mask::Mask;
use crate::params::{BuildOptions, Effort};
use crate::planner::Explain;
use crate::query::{Hit, SearchError};
use crate::rows::VectorRef;
use crate::spec::VectorSpec;
use crate::storage::format::{FileId, IndexFile, OpenError, SaveError, Section};
use crate::vectors::dense::Vectors;
use crate::vfs::Vfs;

/// Vectors of some rows of a segment. Invariant: there is at least one, and of each there is a checksum, or of none.
#[derive(Debug)]
pub(crate) struct Column {
    /// The vector's number in the collection; see [`VectorSet`](crate::named::VectorSet).
    pub(crate) number: u32,
    index: Index,
    /// None if all rows have one.
    rows: Option<SomeRows>,
    /// One per vector; none where the checksums of points cover it, as they do that of a vector without a name.
    checksums: Array<u128>,
    /// Looked at when first asked for.
    whole: OnceLock<bool>,
}

/// The rows of a column's slots.
#[derive(Debug)]
struct SomeRows {
    /// In order.
    of_slots: Array<u32>,
    /// The same as a set, of all rows of the segment.
    mask: Mask,
}

impl SomeRows {
    /// `of_slots`, if they are rows below `rows` in order.
    fn new(of_slots: Array<u32>, rows: usize) -> Option<Self> {
        let list = of_slots.as_slice();
        if !list.is_sorted_by(|a, b| a < b) || list.last().is_some_and(|&last| last as usize >= rows) {
            return None;
        }
        let mut mask = Mask::none(rows);
        list.iter().for_each(|&row| mask.insert(Slot(row)));
        Some(SomeRows { of_slots, mask })
    }

    fn slot_of(&self, row: u32) -> Option<Slot> {
        let has = self.mask.contains(Slot(row));
        has.then(|| Slot(self.of_slots.as_slice().partition_point(|&other| other < row) as u32))
    }

    fn row_of(&self, slot: Slot) -> Slot {
        Slot(self.of_slots.as_slice()[slot.index()])
    }
}

impl Column {
    /// The vectors in `index`, of the rows `of_slots` of a segment of `rows`.
    pub(crate) fn new(number: u32, index: Index, of_slots: &[u32], checksums: Array<u128>, rows: usize) -> Self {
        let some = (of_slots.len() < rows).then(|| {
            let mut list = Array::default();
            list.extend(of_slots);
            SomeRows::new(list, rows).expect("rows in order")
        });
        Column { number, index, rows: some, checksums, whole: OnceLock::new() }
    }

    /// Vectors there are.
    pub(crate) fn len(&self, rows: usize) -> usize {
        self.rows.as_ref().map_or(rows, |some| some.of_slots.len())
    }

    /// Vectors of rows that are not dead.
    pub(crate) fn live(&self, dead: &Tombstones) -> usize {
        match &self.rows {
            None => dead.live(),
            Some(some) => some.of_slots.len() - dead.count_in(&some.mask),
        }
    }

    /// The slots of rows that are not dead, in order.
    pub(crate) fn living(&self, dead: &Tombstones) -> Vec<u32> {
        match &self.rows {
            None => dead.live_rows().collect(),
            Some(some) => {
                let slots = (0..).zip(some.of_slots.as_slice());
                slots.filter(|(_, row)| !dead.contains(**row)).map(|(slot, _)| slot).collect()
            }
        }
    }

    /// The rows that have a vector, of `rows`.
    pub(crate) fn mask(&self, rows: usize) -> Mask {
        self.rows.as_ref().map_or_else(|| Mask::all(rows), |some| some.mask.clone())
    }

    /// Leaves in `mask` those rows that have a vector.
    pub(crate) fn restrict(&self, mask: &mut Mask) {
        self.rows.iter().for_each(|some| mask.and(&some.mask));
    }

    /// Whether `row` has a vector.
    pub(crate) fn contains(&self, row: u32) -> bool {
        self.rows.as_ref().is_none_or(|some| some.mask.contains(Slot(row)))
    }

    /// The row of a slot.
    #[inline]
    pub(crate) fn row_of(&self, slot: Slot) -> Slot {
        self.rows.as_ref().map_or(slot, |some| some.row_of(slot))
    }

    /// Whether every row has a vector, and so its slot is its number.
    pub(crate) fn has_all_rows(&self) -> bool {
        self.rows.is_none()
    }

    /// Puts rows in the place of slots.
    pub(crate) fn translate(&self, hits: &mut [Hit]) {
        self.rows.iter().for_each(|some| some.translate(hits));
    }

    fn slot_of(&self, row: u32) -> Option<Slot> {
        match &self.rows {
            None => Some(Slot(row)),
            Some(some) => some.slot_of(row),
        }
    }

    /// The vector of `row` as stored, as numbers; false if it has none.
    pub(crate) fn vector(&self, row: u32, out: &mut Vec<f32>) -> bool {
        let slot = self.slot_of(row);
        slot.into_iter().for_each(|slot| self.index.vector(slot.0, out));
        slot.is_some()
    }

    /// The checksum of the vector of `row`, if it has one of its own.
    pub(crate) fn checksum(&self, row: u32) -> Option<u128> {
        self.slot_of(row).and_then(|slot| self.checksums.as_slice().get(slot.index()).copied())
    }

    /// The slots of those of `rows` that have a vector.
    pub(crate) fn slots_of(&self, rows: Range<u32>) -> Range<u32> {
        let Some(some) = &self.rows else { return rows };
        let first = |row: u32| some.of_slots.as_slice().partition_point(|&other| other < row) as u32;
        first(rows.start)..first(rows.end)
    }

    /// The rows of `slots`.
    pub(crate) fn rows_of(&self, slots: Range<u32>) -> impl Iterator<Item = u32> {
        slots.map(|slot| self.rows.as_ref().map_or(slot, |some| some.row_of(Slot(slot)).0))
    }

    /// Appends the vectors in `slots` to `to`, as they are stored.
    pub(crate) fn append_to(&self, slots: Range<u32>, to: &mut Vectors) {
        self.index.append_to(slots, to);
    }

    /// The checksums of the vectors in `slots`, if they have some of their own.
    pub(crate) fn checksums_of(&self, slots: Range<u32>) -> &[u128] {
        self.checksums.as_slice().get(slots.start as usize..slots.end as usize).unwrap_or_default()
    }

    /// Rows with vectors, and the vectors' checksums.
    pub(crate) fn checksums(&self) -> impl Iterator<Item = (u32, u128)> {
        let row = |slot: u32| self.rows.as_ref().map_or(slot, |some| some.row_of(Slot(slot)).0);
        (0..).zip(self.checksums.as_slice()).map(move |(slot, &checksum)| (row(slot), checksum))
    }

    pub(crate) fn kind(&self) -> IndexKind {
        self.index.kind()
    }

    /// As [`Index::is_whole`]. Cost: a pass over the vectors, but once.
    pub(crate) fn is_whole(&self) -> bool {
        *self.whole.get_or_init(|| self.index.is_whole())
    }

    /// As [`Index::depth`].
    pub(crate) fn depth(&self, k: usize, effort: Effort) -> Depth {
        self.index.depth(k, effort)
    }

    /// As [`Index::expected_recall`].
    pub(crate) fn expected_recall(&self, reach: Reach) -> Option<f32> {
        self.index.expected_recall(reach)
    }

    /// Bytes of vectors, codes, links, rows and checksums.
    pub(crate) fn bytes(&self) -> usize {
        let rows = self.rows.as_ref().map_or(0, |some| some.of_slots.bytes() + some.mask.words().len() * 8);
        self.index.bytes() + rows + self.checksums.bytes()
    }

    /// As [`Index::make_sketch`].
    pub(crate) fn make_sketch(&self, memory: Option<usize>, options: &BuildOptions<'_>) {
        self.index.make_sketch(memory, options);
    }

    /// As [`Index::exact`], of rows.
    pub(crate) fn exact(
        &self,
        query: VectorRef<'_>,
        k: usize,
        accept: &dyn Fn(Slot) -> bool,
        buffers: &mut Buffers,
        hits: &mut Vec<Hit>,
    ) -> Result<(), SearchError> {
        match &self.rows {
            None => self.index.exact(query, k, accept, buffers, hits),
            Some(some) => {
                self.index.exact(query, k, &|slot| accept(some.row_of(slot)), buffers, hits)?;
                some.translate(hits);
                Ok(())
            }
        }
    }

    /// The vectors, by their slots, where there is no graph.
    pub(crate) fn scanned(&self) -> Option<&Scanned> {
        self.index.scanned()
    }

    /// Whether there is no graph, but a sketch.
    pub(crate) fn is_sketched(&self) -> bool {
        self.scanned().is_some_and(Scanned::has_sketch)
    }

    /// As [`Index::search`], of rows.
    pub(crate) fn search(
        &self,
        query: VectorRef<'_>,
        reach: Reach,
        accept: &dyn Fn(Slot) -> bool,
        buffers: &mut Buffers,
        hits: &mut Vec<Hit>,
    ) -> Result<Way, SearchError> {
        match &self.rows {
            None => self.index.search(query, reach, accept, buffers, hits),
            Some(some) => {
                let way = self.index.search(query, reach, &|slot| accept(some.row_of(slot)), buffers, hits)?;
                some.translate(hits);
                Ok(way)
            }
        }
    }

    /// As [`Index::exact_among`] the rows of `mask`, all of which must have a vector.
    pub(crate) fn exact_among(
        &self,
        query: VectorRef<'_>,
        k: usize,
        mask: &Mask,
        buffers: &mut Buffers,
        hits: &mut Vec<Hit>,
    ) -> Result<(), SearchError> {
        match &self.rows {
            None => self.index.exact_among(query, k, mask, buffers, hits),
            Some(some) => {
                self.index.exact_among(query, k, &some.slots(mask), buffers, hits)?;
                some.translate(hits);
                Ok(())
            }
        }
    }

    /// As [`Index::search_masked`] among the rows of `mask`, all of which must have a vector.
    pub(crate) fn search_masked(
        &self,
        query: VectorRef<'_>,
        reach: Reach,
        mask: &Mask,
        buffers: &mut Buffers,
        hits: &mut Vec<Hit>,
    ) -> Result<Explain, SearchError> {
        match &self.rows {
            None => self.index.search_masked(query, reach, mask, buffers, hits),
            Some(some) => {
                let explain = self.index.search_masked(query, reach, &some.slots(mask), buffers, hits)?;
                some.translate(hits);
                Ok(explain)
            }
        }
    }

    /// As [`Index::measure_costs`].
    pub(crate) fn measure_costs(&self) {
        self.index.measure_costs();
    }

    /// Proves the invariants of the graph, if there is one.
    pub(crate) fn check(&self) -> Result<Option<GraphReport>, GraphFault> {
        self.index.check()
    }

    /// Writes it to a new file at `path`; the name is on disk once the folder is synced.
    pub(crate) fn save(&self, vfs: &dyn Vfs, path: &Path) -> Result<FileId, SaveError> {
        let rows = self.rows.as_ref().map(|some| (Section::VectorRows, bytemuck::cast_slice(some.of_slots.as_slice())));
        let sums = (self.checksums.len() > 0)
            .then(|| (Section::VectorChecksums, bytemuck::cast_slice(self.checksums.as_slice())));
        let more: Vec<(Section, &[u8])> = rows.into_iter().chain(sums).collect();
        self.index.save(vfs, path, &more)
    }

    /// The column of number `number` in `file`, whose checksums hold: `len` vectors of `spec`, of a segment of `rows` rows; with checksums
    /// of their own if they are `named`.
    pub(crate) fn from_file(
        file: &IndexFile,
        number: u32,
        kind: IndexKind,
        spec: VectorSpec,
        (len, rows): (usize, usize),
        named: bool,
    ) -> Result<Self, OpenError> {
        let index = Index::from_file(file, kind, spec, len)?;
        let some = if len == rows {
            None
        } else {
            let list: Array<u32> = file.array(Section::VectorRows)?;
            let found = list.len();
            let some = SomeRows::new(list, rows).filter(|_| found == len);
            let wrong = || file.invalid(Section::VectorRows, format!("they are no {len} of {rows} rows in order"));
            Some(some.ok_or_else(wrong)?)
        };
        let checksums: Array<u128> = if named { file.array(Section::VectorChecksums)? } else { Array::default() };
        if named && checksums.len() != len {
            let found = checksums.len();
            return Err(file.invalid(Section::VectorChecksums, format!("{found} checksums, expected {len}")));
        }
        Ok(Column { number, index, rows: some, checksums, whole: OnceLock::new() })
    }
}

impl SomeRows {
    /// Puts rows in the place of slots.
    fn translate(&self, hits: &mut [Hit]) {
        hits.iter_mut().for_each(|hit| hit.slot = self.row_of(hit.slot));
    }

    /// The slots of those rows of `mask` that have one.
    fn slots(&self, mask: &Mask) -> Mask {
        let mut slots = Mask::none(self.of_slots.len());
        for (slot, &row) in (0..).zip(self.of_slots.as_slice()) {
            if mask.contains(Slot(row)) {
                slots.insert(Slot(slot));
            }
        }
        slots
    }
}

/// What can be read of a column whose file may be damaged.
pub(crate) struct DamagedColumn {
    index: Index,
    /// Vectors that can be read.
    len: usize,
    /// Slots by row; none if all rows have one.
    slots: Option<HashMap<u32, u32>>,
    checksums: Array<u128>,
}

impl DamagedColumn {
    /// As [`Column::from_file`], whatever is in `file`.
    pub(crate) fn open(
        file: &IndexFile,
        kind: IndexKind,
        spec: VectorSpec,
        (expected, rows): (usize, usize),
        named: bool,
    ) -> Result<Self, OpenError> {
        let (index, len) = Index::damaged(file, kind, spec)?;
        let slots = if expected == rows {
            None
        } else {
            let list: Array<u32> = file.array(Section::VectorRows)?;
            Some(list.as_slice().iter().copied().zip(0..).collect())
        };
        let checksums = if named { file.array(Section::VectorChecksums)? } else { Array::default() };
        Ok(DamagedColumn { index, len, slots, checksums })
    }

    /// Puts the vector of `row` into `out`; its checksum, if it has one of its own. None if nothing is there.
    pub(crate) fn vector(&self, row: u32, out: &mut Vec<f32>) -> Option<Option<u128>> {
        let slot = self.slots.as_ref().map_or(Some(row), |slots| slots.get(&row).copied())?;
        if slot as usize >= self.len {
            return None;
        }
        self.index.vector(slot, out);
        Some(self.checksums.as_slice().get(slot as usize).copied())
    }
}
