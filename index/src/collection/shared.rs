//! [`SharedCollection`]: one writer at a time, many readers, and a log that makes changes last.
//!
//! Changes wait in a queue. Whichever caller finds nobody at work takes all that wait, logs them as one group, with one sync, applies
//! them, and hands out what became of each; meanwhile the next ones wait. So a sync is shared by as many as came while the last one ran,
//! and nobody waits for company. A change is applied, and so seen by readers, only after its group counts as stored. Readers take a view
//! and hold no lock; a change makes a new one.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::{Condvar, Mutex, RwLock};

use super::change::{Change, WriteError};
use super::home::{self, Home, Options, Read, Recovery, Upkeep};
use super::journal::Journal;
use super::record::Record;
use super::upkeep::Store;
use super::worker::Worker;
use super::{CheckpointError, Collection, CreateError, OpenCollectionError, Schema};
use crate::params::BuildOptions;
use crate::vfs::Vfs;
use crate::wal::LogError;

/// The most changes, and about the most bytes, that share a group.
const MAX_GROUP_CHANGES: usize = 1024;
const MAX_GROUP_BYTES: usize = 4 << 20;

/// A collection that any number of threads read and change, kept in a folder or in memory. Dropped, it ends its background work first;
/// a merge under way is given up.
///
/// ```
/// use std::sync::Arc;
/// use vicino_index::collection::{Change, Options, Payload, Point, Schema, SharedCollection};
/// use vicino_index::vfs::RealFs;
/// use vicino_index::{ElementType, Metric, PointId, VectorSpec};
/// # let dir = std::env::temp_dir().join(format!("vicino-doc-{}", std::process::id()));
/// let vectors = VectorSpec::new(2, Metric::L2, ElementType::F32)?;
/// let cities = SharedCollection::create(Arc::new(RealFs), &dir, Schema::new(vectors), Options::default())?;
/// let milan = Point { id: PointId::Integer(7), vectors: vec![9.19, 45.46].into(), payload: Payload::new() };
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
    shared: Arc<Shared>,
    recovery: Option<Recovery>,
    worker: Option<Worker>,
}

/// What callers and background threads share. Locks are taken in this order: `joining`, `rewriting`, `store`, `journal`, `view`.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) options: Options,
    /// Held only while the view is taken or replaced.
    view: RwLock<Arc<Collection>>,
    queue: Mutex<Queue>,
    turn: Condvar,
    /// Held while the log is written to or the view replaced; none of a collection in memory.
    pub(super) journal: Mutex<Option<Journal>>,
    /// Held while something is sealed, and while a manifest is replaced.
    pub(super) store: Mutex<Store>,
    /// Rows that were dead when last sealed or merged.
    pub(super) sealed_dead: AtomicUsize,
    /// Nothing is written to the folder any more.
    closed: AtomicBool,
    /// Held while segments are merged.
    pub(super) rewriting: Mutex<()>,
    /// Held while segments are put together to be scanned as one.
    pub(super) joining: Mutex<()>,
    /// Why the last sealing or merge failed, if it did.
    error: Mutex<Option<String>>,
    /// What failed in the background, until somebody is told.
    untold: Mutex<Option<CheckpointError>>,
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
    pub fn in_memory(collection: Collection, options: Options) -> Self {
        let store = Store::new(None, collection.sealed.clone(), Arc::clone(&collection.schema), 0);
        Self::new(collection, store, None, options, None)
    }

    /// Makes a collection in folder `dir`, which is made if missing.
    pub fn create(vfs: Arc<dyn Vfs>, dir: &Path, schema: Schema, options: Options) -> Result<Self, CreateError> {
        let collection = Collection::new(schema)?;
        let Home { folder, journal } = home::create(vfs, dir, collection.schema(), options)?;
        let store = Store::new(Some(folder), Vec::new(), Arc::clone(&collection.schema), 0);
        Ok(Self::new(collection, store, Some(journal), options, Some(Recovery::default())))
    }

    /// Opens the collection in folder `dir`: every change that counted as stored is there. A group that a crash left unfinished is
    /// cut off; anything else that is not what was written is an error, and nothing is repaired or left out.
    pub fn open(vfs: Arc<dyn Vfs>, dir: &Path, options: Options) -> Result<Self, OpenCollectionError> {
        let (Home { folder, journal }, Read { manifest, parts, schema, collection, recovery, .. }) =
            home::open(vfs, dir, options)?;
        let store = Store::new(Some(folder), parts, schema, manifest.operation);
        Ok(Self::new(collection, store, Some(journal), options, Some(recovery)))
    }

    fn new(
        collection: Collection,
        store: Store,
        journal: Option<Journal>,
        options: Options,
        recovery: Option<Recovery>,
    ) -> Self {
        let shared = Arc::new(Shared {
            options,
            view: RwLock::new(Arc::new(collection)),
            queue: Mutex::default(),
            turn: Condvar::new(),
            journal: Mutex::new(journal),
            sealed_dead: AtomicUsize::new(store.dead()),
            store: Mutex::new(store),
            closed: AtomicBool::new(false),
            rewriting: Mutex::default(),
            joining: Mutex::default(),
            error: Mutex::default(),
            untold: Mutex::default(),
        });
        let worker = (options.upkeep == Upkeep::Background).then(|| Worker::start(&shared));
        SharedCollection { shared, recovery, worker }
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The collection as it is now, for as long as the caller keeps it. No lock is held, and no change waits.
    pub fn read(&self) -> Arc<Collection> {
        self.shared.view()
    }

    /// Makes `change`, all of it or, on an error, nothing, and returns the number of the operation. When this returns it is seen by
    /// every reader and is as durable as [`Options::sync`] says.
    pub fn write(&self, change: Change) -> Result<u64, WriteError> {
        let outcome = self.shared.write(change);
        match self.shared.options.upkeep {
            Upkeep::Background => self.worker.iter().for_each(Worker::wake_if_due),
            // A failure is kept, and asked for by `checkpoint_error`.
            Upkeep::Along => drop(self.shared.keep_up()),
            Upkeep::Tended => {}
        }
        outcome
    }

    /// Does what is due besides changes: syncs the log at its interval, and with [`Upkeep::Tended`] seals and merges. Also says, once, what
    /// failed in the background. To be called now and then.
    pub fn tend(&self) -> Result<(), CheckpointError> {
        if let Some(journal) = self.shared.journal.lock().as_mut() {
            journal.sync_if_due()?;
        }
        match self.shared.untold.lock().take() {
            Some(error) => Err(error),
            None if self.shared.options.upkeep == Upkeep::Tended => self.shared.keep_up(),
            None => Ok(()),
        }
    }

    /// Seals all that is new: afterwards opening reads no log.
    pub fn checkpoint(&self) -> Result<(), CheckpointError> {
        let last = self.read().operation();
        while self.shared.store.lock().operation < last && self.shared.seal()? {}
        Ok(())
    }

    /// Puts all points into as few segments as [`Options::merge_bytes`] allows, with graphs where they are large enough, and gives back
    /// the room of those that were replaced or removed. Changes and searches go on meanwhile; what they leave is seen to by the next
    /// call. Each segment is a step by itself: cut short, the next call goes on from there. The builds are as parallel as `options` say.
    pub fn compact(&self, options: &BuildOptions<'_>) -> Result<(), CheckpointError> {
        self.checkpoint()?;
        // Each step leaves a segment less, or one without dead rows.
        for _ in 0..=2 * self.read().segments().count() {
            if !self.shared.rewrite(true, options)? {
                break;
            }
        }
        Ok(())
    }

    /// Returns once nothing is due to be sealed or merged, having done what is.
    pub fn settle(&self) -> Result<(), CheckpointError> {
        self.shared.keep_up()
    }

    /// Ends the background work, and writes nothing more to the folder once this returns: it may be moved or removed. Changes are refused
    /// from now on; reading goes on.
    pub fn close(&self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        self.worker.iter().for_each(Worker::stop);
        // Whoever was merging, sealing or writing to the log is done once these can be had.
        drop((self.shared.rewriting.lock(), self.shared.store.lock(), self.shared.journal.lock()));
    }

    /// What was found when the collection was opened; `None` of one in memory.
    pub fn recovery(&self) -> Option<Recovery> {
        self.recovery
    }

    /// Why the last sealing or merge failed, if it did. Nothing is lost by it; the log grows, and opening takes longer.
    pub fn checkpoint_error(&self) -> Option<String> {
        self.shared.error.lock().clone()
    }

    /// Why changes are refused until the collection is opened again, if they are.
    pub fn read_only(&self) -> Option<String> {
        self.shared.read_only()
    }
}

impl Shared {
    /// The collection as it is now.
    pub(super) fn view(&self) -> Arc<Collection> {
        Arc::clone(&self.view.read())
    }

    /// Makes `next` what readers see; the caller holds the journal.
    pub(super) fn publish(&self, next: Collection) {
        let next = Arc::new(next);
        let last = std::mem::replace(&mut *self.view.write(), next);
        // If nobody reads it any more it is taken apart here, with no lock held.
        drop(last);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Keeps in mind how sealing or merging went.
    pub(super) fn note<T>(&self, outcome: &Result<T, CheckpointError>) {
        *self.error.lock() = outcome.as_ref().err().map(ToString::to_string);
    }

    /// Keeps what failed in the background until somebody asks.
    pub(super) fn tell(&self, error: CheckpointError) {
        *self.untold.lock() = Some(error);
    }

    pub(super) fn read_only(&self) -> Option<String> {
        if self.is_closed() {
            return Some("it was closed".into());
        }
        self.journal.lock().as_ref().and_then(|journal| journal.broken().map(String::from))
    }

    fn write(&self, change: Change) -> Result<u64, WriteError> {
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
        let mut resolved = Vec::with_capacity(changes.len());
        let mut journal = self.journal.lock();
        if self.is_closed() {
            let refused = || Err(WriteError::ReadOnly { why: "it was closed".into() });
            return changes.into_iter().map(|(ticket, _)| (ticket, refused())).collect();
        }
        let view = self.view();
        for (ticket, change) in changes {
            match change.resolve(&view) {
                Ok(record) => resolved.push((ticket, record)),
                Err(error) => outcomes.push((ticket, Err(error))),
            }
        }
        if let Some(journal) = journal.as_mut() {
            log(journal, view.operation() + 1, view.sum(), &mut resolved, &mut outcomes);
        }
        if resolved.is_empty() {
            return outcomes;
        }
        let mut next = Collection::clone(&view);
        for (ticket, record) in resolved {
            let applied = next.apply(record);
            outcomes.push((ticket, Ok(applied.expect("the record was made for these points"))));
        }
        self.publish(next);
        outcomes
    }
}

/// What became of changes, by ticket.
type Outcomes = Vec<(u64, Result<u64, WriteError>)>;

/// Logs `resolved`; what could not be is moved to `outcomes`. On a full disk deletes are logged all the same.
fn log(journal: &mut Journal, first: u64, sum: u128, resolved: &mut Vec<(u64, Record)>, outcomes: &mut Outcomes) {
    let grows = Record::needs_room;
    if resolved.iter().any(|(_, record)| grows(record))
        && let Err(error) = journal.ensure_reserve()
    {
        refuse(resolved, outcomes, grows, &error);
    }
    for last_attempt in [false, true] {
        let records = encode(resolved, outcomes);
        if records.is_empty() {
            return;
        }
        let Err(error) = journal.commit(first, sum, &records) else { return };
        let full = matches!(&error, LogError::Refused { source, .. } if is_full(source));
        if last_attempt || !full || !journal.release_reserve() {
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
            let is_last = change.ends_group();
            group.extend(self.waiting.pop_front());
            if is_last {
                break;
            }
        }
        group
    }
}

/// Ends the writing if the caller at work panics: others must not wait for it for ever.
struct AtWork<'a>(&'a Shared);

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        let mut queue = self.0.queue.lock();
        queue.failed = true;
        queue.busy = false;
        self.0.turn.notify_all();
    }
}
