//! What keeps a collection fast and small: growing segments are sealed, graphs built, segments merged, and the log given up.
//!
//! Both kinds of work go on beside changes and searches. They begin with a view of the points, write new files, swap the manifest, and
//! end by putting the new segment into the newest view; rows that died meanwhile are marked dead in the new segment. Sealing moves the
//! operation up to which the manifest holds everything; merging does not, and so keeps every row that lived at that operation, for the
//! log that follows is written upon those.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::folder::{Folder, Place};
use super::home::Upkeep;
use super::journal::Journal;
use super::manifest::{LogStart, SegmentEntry};
use super::plan::{self, Limits, Size};
use super::shared::Shared;
use super::{CheckpointError, Collection, Schema};
use crate::faults::{self, Point};
use crate::params::BuildOptions;
use crate::segment::merge::{GONE, Merged, merge};
use crate::segment::{Column, Index, Part, Segment, Table, Tombstones};

/// How long it is waited for searches in segments that were replaced.
const PATIENCE: Duration = Duration::from_millis(200);

/// The segments as of one operation, as the manifest has them.
#[derive(Debug)]
pub(super) struct Store {
    /// None of a collection in memory.
    pub(super) folder: Option<Folder>,
    /// In the order of [`Collection::sealed`], with the rows that were dead at `operation`.
    pub(super) parts: Vec<Part>,
    /// As it was at `operation`: it says which vectors points have.
    pub(super) schema: Arc<Schema>,
    pub(super) operation: u64,
    /// What is set apart to be sealed; there only while that goes on, or after it failed.
    pub(super) pending: Option<Pending>,
    /// The operation as of which a merge failed: it is not tried again as of the same one.
    failed: Option<u64>,
}

/// A collection at the moment its growing segments were set apart.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    view: Arc<Collection>,
    /// Where the log goes on from there, and its bytes before; none in memory.
    log: Option<(LogStart, u64)>,
}

/// A segment that replaces others, in its place if it is on disk.
type Written = (Option<SegmentEntry>, Part);

impl Shared {
    /// Seals what is new, unless nothing is; whether there was anything. Where it fails nothing is lost, for the log holds everything.
    pub(super) fn seal(&self) -> Result<bool, CheckpointError> {
        let outcome = self.try_seal();
        if outcome.is_err()
            && let Some(journal) = self.journal.lock().as_mut()
        {
            journal.seal_failed();
        }
        self.note(&outcome);
        outcome
    }

    fn try_seal(&self) -> Result<bool, CheckpointError> {
        let mut store = self.store.lock();
        if self.is_closed() {
            return Ok(false);
        }
        let Some(Pending { view, log }) = self.set_apart(&mut store)? else { return Ok(false) };
        faults::reach(Point::SealBegun);
        let Merged { rows, moves } = merge(&view.frozen, &view.schema.vectors);
        let (table, columns) = rows.finish(Index::flat);
        let new = write(&mut store, table, columns, &view)?;
        faults::reach(Point::SealWritten);
        if let Some((_, part)) = &new {
            view.schema.make_sketches(&part.segment, &BuildOptions { threads: 1, progress: None });
            part.segment.prepare(view.fields());
        }
        let mut parts = view.sealed.clone();
        parts.iter_mut().for_each(|part| part.rid(&view.schema.vectors));
        parts.extend(new.as_ref().map(|(_, part)| part.clone()));
        let entry = new.as_ref().and_then(|(entry, _)| entry.clone());
        store.commit(&parts, |entries| entries.extend(entry), &view, log)?;
        faults::reach(Point::SealSwapped);
        store.parts = parts;
        store.operation = view.operation;
        store.schema = Arc::clone(&view.schema);
        store.pending = None;
        self.sealed_dead.store(store.dead(), Ordering::Relaxed);
        {
            let mut journal = self.journal.lock();
            let mut next = Collection::clone(&self.view());
            let frozen = std::mem::take(&mut next.frozen);
            next.sealed.iter_mut().for_each(|part| part.rid(&view.schema.vectors));
            if let Some((_, mut part)) = new {
                let before = view.frozen.iter().map(|part| &part.dead);
                carry(&mut part.dead, &moves, frozen.iter().map(|part| &part.dead).zip(before));
                next.sealed.push(part);
            }
            self.publish(next);
            if let (Some(journal), Some((_, bytes))) = (journal.as_mut(), log) {
                journal.sealed(bytes);
            }
        }
        store.remove_left_over()?;
        Ok(true)
    }

    /// What is to be sealed: what an earlier attempt left, or all that grows.
    fn set_apart(&self, store: &mut Store) -> Result<Option<Pending>, CheckpointError> {
        if store.pending.is_none() {
            let mut journal = self.journal.lock();
            let view = self.view();
            if view.operation == store.operation {
                return Ok(None);
            }
            let log = journal.as_mut().map(Journal::divide).transpose()?;
            let view = view.freeze();
            self.publish(Collection::clone(&view));
            store.pending = Some(Pending { view, log });
        }
        Ok(store.pending.clone())
    }

    /// Whether there is enough that is new to be sealed.
    pub(super) fn seal_due(&self) -> bool {
        let options = self.options;
        if let Some(journal) = self.journal.lock().as_ref() {
            if !journal.may_seal() {
                return false;
            }
            if journal.bytes() >= options.checkpoint_after {
                return true;
            }
        }
        let view = self.view();
        let rows = |parts: &[Part]| parts.iter().map(|part| part.segment.table.len()).sum::<usize>();
        let bytes = |parts: &[Part]| parts.iter().map(|part| part.segment.vector_bytes()).sum::<usize>();
        // Rows that died are given back by a merge, which knows of them once they are sealed.
        let dead_now: usize = view.sealed.iter().map(|part| part.dead.len()).sum();
        let sealed_dead = self.sealed_dead.load(Ordering::Relaxed);
        // The files of vectors whose name is gone go with the next manifest.
        let gone = view.sealed.iter().any(|part| part.segment.has_more_than(&view.schema.vectors));
        gone || rows(&view.growing) >= options.seal_rows
            || bytes(&view.growing) as u64 >= options.checkpoint_after
            || dead_now.saturating_sub(sealed_dead) * 100
                > rows(&view.sealed).max(options.seal_rows) * plan::MAX_DEAD_PERCENT
    }

    /// Writes the segments that are due, or, if `all`, those from which anything can be gained, anew as one; whether there were any. The graph's build is as parallel
    /// as `options` say.
    pub(super) fn rewrite(&self, all: bool, options: &BuildOptions<'_>) -> Result<bool, CheckpointError> {
        let outcome = self.try_rewrite(all, options);
        self.note(&outcome);
        outcome
    }

    fn try_rewrite(&self, all: bool, options: &BuildOptions<'_>) -> Result<bool, CheckpointError> {
        let _alone = self.rewriting.lock();
        let (sources, schema, place) = {
            let mut store = self.store.lock();
            if store.pending.is_some() || self.read_only().is_some() {
                return Ok(false);
            }
            let due = match all {
                true => plan::compactable(&store.sizes(), self.limits()),
                false if store.failed == Some(store.operation) => None,
                false => plan::due(&store.sizes(), self.limits()),
            };
            let Some(chosen) = due else { return Ok(false) };
            let sources: Vec<Part> = chosen.into_iter().map(|number| store.parts[number].clone()).collect();
            let rows: usize = sources.iter().map(|part| part.dead.live()).sum();
            let schema = Arc::clone(&store.schema);
            (sources, schema, store.folder.as_mut().filter(|_| rows > 0).map(Folder::place))
        };
        let number = place.as_ref().map(|place| place.number);
        let outcome = self.replace(&sources, &schema, place, options);
        if !matches!(outcome, Ok(true)) {
            let mut store = self.store.lock();
            store.failed = outcome.is_err().then_some(store.operation);
            if let (Some(folder), Some(number)) = (store.folder.as_mut(), number) {
                folder.give_up(number);
            }
        } else if self.options.upkeep == Upkeep::Background {
            let_go(sources);
        }
        outcome
    }

    /// Puts one segment in the place of `sources`; false if something else had to come first.
    fn replace(
        &self,
        sources: &[Part],
        schema: &Schema,
        place: Option<Place>,
        options: &BuildOptions<'_>,
    ) -> Result<bool, CheckpointError> {
        faults::reach(Point::MergeBegun);
        let Merged { rows, moves } = merge(sources, &schema.vectors);
        let (table, columns) = rows.finish(|vectors| schema.index(vectors, options));
        let mut new: Option<Written> = match place {
            Some(place) => {
                let (entry, part) = place.write(&table, &columns, &schema.vectors)?;
                Some((Some(entry), part))
            }
            None => (table.len() > 0).then(|| (None, Part::new(Segment::new(0, table, columns)))),
        };
        faults::reach(Point::MergeWritten);
        if let Some((_, part)) = &new {
            // So that no search waits for it.
            schema.make_sketches(&part.segment, options);
            part.segment.prepare(self.view().fields());
        }
        let mut store = self.store.lock();
        if store.pending.is_some() || self.is_closed() {
            return Ok(false);
        }
        let positions: Vec<usize> = sources.iter().map(|source| position(&store.parts, source)).collect();
        // A seal may have made rows dead as of a later operation, or taken vectors away.
        if let Some((entry, part)) = &mut new {
            entry.iter_mut().for_each(|entry| entry.rid(&store.schema.vectors));
            part.rid(&store.schema.vectors);
            let now = positions.iter().map(|&at| &store.parts[at].dead);
            carry(&mut part.dead, &moves, now.zip(sources.iter().map(|source| &source.dead)));
        }
        let (mut parts, entry) = (store.parts.clone(), new.as_ref().and_then(|(entry, _)| entry.clone()));
        put(&mut parts, &positions, new.as_ref().map(|(_, part)| part.clone()));
        store.recommit(&parts, |entries| put(entries, &positions, entry))?;
        faults::reach(Point::MergeSwapped);
        store.parts = parts;
        {
            let _no_change = self.journal.lock();
            let mut next = Collection::clone(&self.view());
            if let Some((_, part)) = &mut new {
                let now = positions.iter().map(|&at| &next.sealed[at].dead);
                carry(&mut part.dead, &moves, now.zip(sources.iter().map(|source| &source.dead)));
            }
            put(&mut next.sealed, &positions, new.map(|(_, part)| part));
            self.publish(next);
        }
        self.sealed_dead.store(store.dead(), Ordering::Relaxed);
        store.remove_left_over()?;
        Ok(true)
    }

    /// Makes the sketches that are in no file, of segments that were there when the collection was opened.
    pub(super) fn make_sketches(&self, options: &BuildOptions<'_>) {
        let view = self.view();
        view.parts().for_each(|part| view.schema.make_sketches(&part.segment, options));
    }

    /// Does all that is due.
    pub(super) fn keep_up(&self) -> Result<(), CheckpointError> {
        self.make_sketches(&BuildOptions::default());
        while self.seal_due() && self.seal()? {}
        while self.rewrite(false, &BuildOptions::default())? {}
        while self.join(&BuildOptions::default()) {}
        Ok(())
    }

    fn limits(&self) -> Limits {
        // As if every point had all vectors.
        let row_bytes = self.view().schema.vectors.row_bytes().max(1);
        let merge_rows = (self.options.merge_bytes / row_bytes).min(crate::ids::Slot::MAX_ROWS);
        Limits { seal_rows: self.options.seal_rows, merge_rows }
    }
}

/// Lets go of segments that were replaced, once no search uses them: whoever has one last unmaps it and gives back the room of its file,
/// which for a search would be a long time to take. It is not waited for longer than [`PATIENCE`].
fn let_go(replaced: Vec<Part>) {
    let asked = Instant::now();
    while replaced.iter().any(|part| Arc::strong_count(&part.segment) > 1) && asked.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(replaced);
}

/// Where `source` is now among `parts`: seals add to them, and one merge at a time takes from them.
fn position(parts: &[Part], source: &Part) -> usize {
    let same = |part: &Part| part.segment.is(&source.segment);
    parts.iter().position(same).expect("nothing else takes segments away")
}

/// Puts `new` in the place of the first of `positions`, and nothing in the others.
fn put<T>(list: &mut Vec<T>, positions: &[usize], new: Option<T>) {
    let first = positions.iter().copied().min().unwrap_or(list.len());
    let mut at = 0;
    list.retain(|_| {
        at += 1;
        !positions.contains(&(at - 1))
    });
    if let Some(new) = new {
        list.insert(first, new);
    }
}

/// Marks dead what has died of a merged segment's sources, of which there is now and before, since they were merged.
fn carry<'a>(
    dead: &mut Tombstones,
    moves: &[Vec<u32>],
    sources: impl Iterator<Item = (&'a Tombstones, &'a Tombstones)>,
) {
    for ((now, before), moves) in sources.zip(moves) {
        for row in now.since(before) {
            let to = moves[row as usize];
            if to != GONE {
                dead.insert(to);
            }
        }
    }
}

/// Writes a segment of `table` and `columns`, unless it has no row.
fn write(
    store: &mut Store,
    table: Table,
    columns: Vec<Column>,
    view: &Collection,
) -> Result<Option<Written>, CheckpointError> {
    if table.len() == 0 {
        return Ok(None);
    }
    let Some(folder) = store.folder.as_mut() else {
        return Ok(Some((None, Part::new(Segment::new(0, table, columns)))));
    };
    let place = folder.place();
    match place.write(&table, &columns, &view.schema.vectors) {
        Ok((entry, part)) => Ok(Some((Some(entry), part))),
        Err(error) => {
            folder.give_up(place.number);
            Err(error)
        }
    }
}

impl Store {
    pub(super) fn new(folder: Option<Folder>, parts: Vec<Part>, schema: Arc<Schema>, operation: u64) -> Self {
        Store { folder, parts, schema, operation, pending: None, failed: None }
    }

    /// Makes the manifest one of `parts`, as of `view`, behind which the log goes on as `log` says.
    fn commit(
        &mut self,
        parts: &[Part],
        change: impl FnOnce(&mut Vec<SegmentEntry>),
        view: &Collection,
        log: Option<(LogStart, u64)>,
    ) -> Result<(), CheckpointError> {
        let (Some(folder), Some((start, _))) = (&mut self.folder, log) else { return Ok(()) };
        let mut entries = folder.manifest.segments.clone();
        entries.iter_mut().for_each(|entry| entry.rid(&view.schema.vectors));
        change(&mut entries);
        let outcome = folder.commit(with_dead(&entries, parts), |manifest| manifest.advance(view, start));
        if outcome.is_err() {
            entries.last().into_iter().for_each(|entry| folder.give_up(entry.number));
        }
        outcome
    }

    /// Makes the manifest one of `parts`, which hold the same points as of the same operation.
    fn recommit(&mut self, parts: &[Part], change: impl FnOnce(&mut Vec<SegmentEntry>)) -> Result<(), CheckpointError> {
        let Some(folder) = &mut self.folder else { return Ok(()) };
        let mut entries = folder.manifest.segments.clone();
        change(&mut entries);
        folder.commit(with_dead(&entries, parts), |_| ())
    }

    fn remove_left_over(&self) -> Result<(), CheckpointError> {
        let Some(folder) = &self.folder else { return Ok(()) };
        folder.remove_left_over().map_err(|source| CheckpointError::Io { path: folder.dir().into(), source })
    }

    /// Rows that are dead as of its operation.
    pub(super) fn dead(&self) -> usize {
        self.parts.iter().map(|part| part.dead.len()).sum()
    }

    fn sizes(&self) -> Vec<Size> {
        let size = |part: &Part| {
            let lacks_graph = self.schema.vectors.iter().any(|vector| {
                let column = part.segment.column(vector.number()).filter(|column| !column.kind().is_graph());
                let bytes = column.map_or(0, |column| column.live(&part.dead) * vector.row_bytes());
                bytes > self.schema.full_scan_bytes
            });
            Size { live: part.dead.live(), dead: part.dead.len(), lacks_graph }
        };
        self.parts.iter().map(size).collect()
    }
}

fn with_dead<'a>(entries: &[SegmentEntry], parts: &'a [Part]) -> Vec<(SegmentEntry, &'a Tombstones)> {
    entries.iter().cloned().zip(parts.iter().map(|part| &part.dead)).collect()
}
