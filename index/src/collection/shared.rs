//! [`SharedCollection`]: one writer at a time, many readers, and a log that makes changes last.
//!
//! Changes wait in a queue. Whichever caller finds nobody at work takes all that wait, logs them as one group, with one sync, applies
//! them, and hands out what became of each; meanwhile the next ones wait. So a sync is shared by as many as came while the last one ran,
//! and nobody waits for company. A change is applied, and so seen by readers, only after its group counts as stored.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex, RwLock, RwLockReadGuard};

use super::change::{Change, WriteError};
use super::home::{CreateError, Home, Options, Recovery};
use super::record::Record;
use super::{CheckpointError, Collection, OpenCollectionError, Schema};
use crate::params::BuildOptions;
use crate::vfs::Vfs;
use crate::wal::LogError;

/// The most changes, and about the most bytes, that share a group.
const MAX_GROUP_CHANGES: usize = 1024;
const MAX_GROUP_BYTES: usize = 4 << 20;

/// A collection that any number of threads read and change, kept in a folder or in memory.
///
/// ```
/// use std::sync::Arc;
/// use vicino_index::collection::{Change, Options, Payload, Point, Schema, SharedCollection};
/// use vicino_index::vfs::RealFs;
/// use vicino_index::{ElementType, HnswParams, Metric, PointId, VectorSpec};
/// # let dir = std::env::temp_dir().join(format!("vicino-doc-{}", std::process::id()));
/// let vectors = VectorSpec::new(2, Metric::L2, ElementType::F32)?;
/// let schema = Schema { vectors, hnsw: HnswParams::default(), full_scan_bytes: 10_240_000, note: Payload::new() };
/// let cities = SharedCollection::create(Arc::new(RealFs), &dir, schema, Options::default())?;
/// let milan = Point { id: PointId::Integer(7), vector: vec![9.19, 45.46], payload: Payload::new() };
/// cities.write(Change::Upsert(vec![milan]))?; // on disk when this returns
/// drop(cities); // as a crash would
///
/// let cities = SharedCollection::open(Arc::new(RealFs), &dir, Options::default())?;
/// assert!(cities.read().get(PointId::Integer(7)).is_some());
/// # drop(cities);
/// # std::fs::remove_dir_all(&dir)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SharedCollection {
    collection: RwLock<Collection>,
    queue: Mutex<Queue>,
    turn: Condvar,
    /// Held while the log is written to or a checkpoint is made; always taken before `collection`.
    home: Mutex<Option<Home>>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<(u64, Change)>,
    outcomes: BTreeMap<u64, Result<u64, WriteError>>,
    next_ticket: u64,
    /// Whether somebody is at work.
    busy: bool,
    /// A writer panicked: the points may not be what the log says.
    failed: bool,
}

impl SharedCollection {
    /// A collection that ends with the process.
    pub fn in_memory(collection: Collection) -> Self {
        Self::new(collection, None)
    }

    /// Makes a collection in folder `dir`, which is made if missing.
    pub fn create(vfs: Arc<dyn Vfs>, dir: &Path, schema: Schema, options: Options) -> Result<Self, CreateError> {
        let collection = Collection::new(schema)?;
        let home = Home::create(vfs, dir, collection.schema(), options)?;
        Ok(Self::new(collection, Some(home)))
    }

    /// Opens the collection in folder `dir`: every change that counted as stored is there. A group that a crash left unfinished is
    /// cut off; anything else that is not what was written is an error, and nothing is repaired or left out.
    pub fn open(vfs: Arc<dyn Vfs>, dir: &Path, options: Options) -> Result<Self, OpenCollectionError> {
        let (home, collection) = Home::open(vfs, dir, options)?;
        Ok(Self::new(collection, Some(home)))
    }

    fn new(collection: Collection, home: Option<Home>) -> Self {
        SharedCollection {
            collection: RwLock::new(collection),
            queue: Mutex::default(),
            turn: Condvar::new(),
            home: Mutex::new(home),
        }
    }

    /// The collection, for reading. Changes wait until it is given back.
    pub fn read(&self) -> RwLockReadGuard<'_, Collection> {
        self.collection.read()
    }

    /// Makes `change`, all of it or, on an error, nothing, and returns the number of the operation. When this returns it is seen by
    /// every reader and is as durable as [`Options::sync`] says.
    pub fn write(&self, change: Change) -> Result<u64, WriteError> {
        let mut queue = self.queue.lock();
        let ticket = queue.next_ticket;
        queue.next_ticket += 1;
        queue.waiting.push_back((ticket, change));
        loop {
            if let Some(outcome) = queue.outcomes.remove(&ticket) {
                return outcome;
            }
            if queue.failed {
                return Err(WriteError::ReadOnly { why: "a change could not be applied".into() });
            }
            if queue.busy {
                self.turn.wait(&mut queue);
                continue;
            }
            queue.busy = true;
            let changes = queue.take_group();
            drop(queue);
            let at_work = AtWork(self);
            let outcomes = self.make(changes);
            std::mem::forget(at_work);
            queue = self.queue.lock();
            queue.busy = false;
            queue.outcomes.extend(outcomes);
            self.turn.notify_all();
        }
    }

    /// Logs and applies `changes` in order; what became of each.
    fn make(&self, changes: Vec<(u64, Change)>) -> Outcomes {
        let mut outcomes = Vec::with_capacity(changes.len());
        let mut home = self.home.lock();
        let mut resolved = Vec::with_capacity(changes.len());
        let (first, sum) = {
            let collection = self.collection.read();
            let mut rows = collection.graph().len();
            for (ticket, change) in changes {
                match change.resolve(&collection, &mut rows) {
                    Ok(record) => resolved.push((ticket, record)),
                    Err(error) => outcomes.push((ticket, Err(error))),
                }
            }
            (collection.operation() + 1, collection.sum())
        };
        if let Some(home) = home.as_mut() {
            log(home, first, sum, &mut resolved, &mut outcomes);
        }
        if resolved.is_empty() {
            return outcomes;
        }
        let mut collection = self.collection.write();
        for (ticket, record) in resolved {
            let applied = collection.apply(record, &BuildOptions::default());
            outcomes.push((ticket, Ok(applied.expect("the record was made for these points"))));
        }
        drop(collection);
        if let Some(home) = home.as_mut() {
            home.checkpoint_along(&self.collection.read());
        }
        outcomes
    }

    /// Does what is due besides changes: syncs the log at its interval, makes a checkpoint of a long one. To be called now and then.
    pub fn tend(&self) -> Result<(), CheckpointError> {
        let mut home = self.home.lock();
        let Some(home) = home.as_mut() else { return Ok(()) };
        home.sync_if_due()?;
        let collection = self.collection.read();
        if home.checkpoint_due(&collection) { home.checkpoint(&collection) } else { Ok(()) }
    }

    /// Makes a checkpoint, unless there is nothing new: afterwards opening reads no log.
    pub fn checkpoint(&self) -> Result<(), CheckpointError> {
        match self.home.lock().as_mut() {
            Some(home) => home.checkpoint(&self.collection.read()),
            None => Ok(()),
        }
    }

    /// What was found when the collection was opened; `None` of one in memory.
    pub fn recovery(&self) -> Option<Recovery> {
        self.home.lock().as_ref().map(Home::recovery)
    }

    /// Why the last checkpoint could not be made, if it could not. Nothing is lost by it; the log grows, and opening takes longer.
    pub fn checkpoint_error(&self) -> Option<String> {
        self.home.lock().as_ref().and_then(|home| home.checkpoint_error().map(String::from))
    }

    /// Why changes are refused until the collection is opened again, if they are.
    pub fn read_only(&self) -> Option<String> {
        self.home.lock().as_ref().and_then(|home| home.broken().map(String::from))
    }
}

/// What became of changes, by ticket.
type Outcomes = Vec<(u64, Result<u64, WriteError>)>;

/// Logs `resolved`; what could not be is moved to `outcomes`. On a full disk deletes are logged all the same.
fn log(home: &mut Home, first: u64, sum: u128, resolved: &mut Vec<(u64, Record)>, outcomes: &mut Outcomes) {
    let grows = |record: &Record| !matches!(record, Record::Delete(_));
    if resolved.iter().any(|(_, record)| grows(record))
        && let Err(error) = home.ensure_reserve()
    {
        refuse(resolved, outcomes, grows, &error);
    }
    for last_attempt in [false, true] {
        let records = encode(resolved, outcomes);
        if records.is_empty() {
            return;
        }
        let Err(error) = home.commit(first, sum, &records) else { return };
        let full = matches!(&error, LogError::Refused { source, .. } if is_full(source));
        if last_attempt || !full || !home.release_reserve() {
            return refuse(resolved, outcomes, |_| true, &error);
        }
        refuse(resolved, outcomes, grows, &error);
    }
}

/// The bytes of `resolved`, without those that are too large.
fn encode(resolved: &mut Vec<(u64, Record)>, outcomes: &mut Outcomes) -> Vec<Vec<u8>> {
    let mut records = Vec::with_capacity(resolved.len());
    resolved.retain(|(ticket, record)| {
        let bytes = record.encode();
        let found = bytes.len();
        if found > Change::MAX_BYTES {
            outcomes.push((*ticket, Err(WriteError::TooLarge { found })));
            return false;
        }
        records.push(bytes);
        true
    });
    records
}

/// Moves those of `resolved` for which `which` holds to `outcomes`.
fn refuse(
    resolved: &mut Vec<(u64, Record)>,
    outcomes: &mut Outcomes,
    which: impl Fn(&Record) -> bool,
    error: &LogError,
) {
    let refused = resolved.extract_if(.., |(_, record)| which(record));
    outcomes.extend(refused.map(|(ticket, _)| (ticket, Err(refusal(error)))));
}

/// Whether the disk, or what this user may have of it, is full.
fn is_full(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}

fn refusal(error: &LogError) -> WriteError {
    match error {
        LogError::Refused { source, .. } if is_full(source) => WriteError::Full { what: error.to_string() },
        LogError::Refused { .. } => WriteError::Io { what: error.to_string() },
        LogError::ReadOnly(why) => WriteError::ReadOnly { why: why.clone() },
    }
}

impl Queue {
    /// The changes that share the next group.
    fn take_group(&mut self) -> Vec<(u64, Change)> {
        let mut bytes = 0;
        let mut group = Vec::new();
        while let Some((_, change)) = self.waiting.front() {
            bytes += change.size();
            let more = group.is_empty()
                || (group.len() < MAX_GROUP_CHANGES && bytes <= MAX_GROUP_BYTES && !change.depends_on_points());
            if !more {
                break;
            }
            group.extend(self.waiting.pop_front());
        }
        group
    }
}

/// Ends the writing if the caller at work panics: others must not wait for it for ever.
struct AtWork<'a>(&'a SharedCollection);

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        let mut queue = self.0.queue.lock();
        queue.failed = true;
        queue.busy = false;
        self.0.turn.notify_all();
    }
}
