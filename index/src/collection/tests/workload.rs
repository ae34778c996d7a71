//! A seeded sequence of changes, and what a collection holds after each by a map that knows nothing of files.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::{DIM, Random, schema};
use crate::collection::{Change, Options, Payload, PayloadEdit, Point, Schema, SharedCollection, SyncMode, Upkeep};
use crate::filter::{Condition, Filter, PayloadPath, Range, Test};
use crate::vfs::{SimFs, Vfs};
use crate::{ElementType, Metric, PointId, Uuid, VectorSpec};

/// What one point is: version, vector, payload.
pub(super) type Held = (u64, Vec<f32>, Payload);
/// What a collection holds.
pub(super) type State = BTreeMap<PointId, Held>;

/// The folder, in every simulated file system.
pub(super) fn dir() -> &'static Path {
    Path::new("data/c")
}

pub(super) fn options(sync: SyncMode) -> Options {
    // Segments are sealed and merged where the test says.
    Options {
        sync,
        upkeep: Upkeep::Tended,
        checkpoint_after: u64::MAX,
        seal_rows: 6,
        merge_bytes: usize::MAX,
        log_file_bytes: 400,
        reserve_bytes: 700,
    }
}

/// What the vectors of a workload are, and so which index their segments have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Whole numbers: a graph on codes that are the vectors.
    Whole,
    /// Fractions: a graph on codes, with the vectors beside it.
    Fractions,
    /// A graph over the vectors.
    Plain,
}

impl Kind {
    pub(super) const ALL: [Kind; 3] = [Kind::Whole, Kind::Fractions, Kind::Plain];

    pub(super) fn schema(self) -> Schema {
        let mut schema = small_schema();
        if self == Kind::Plain {
            schema.vectors = VectorSpec::new(DIM, Metric::L1, ElementType::F32).unwrap();
        }
        schema
    }
}

pub(super) fn small_schema() -> Schema {
    let mut schema = schema(Metric::L2, ElementType::F32, 40);
    schema.note.insert("kept".into(), serde_json::json!({"as": [1, 2.5, "it is"]}));
    schema
}

/// An empty file system with the folder above the collection's.
pub(super) fn file_system() -> SimFs {
    let fs = SimFs::new();
    fs.create_dir(Path::new("data")).unwrap();
    fs.sync_dir(Path::new("")).unwrap();
    fs
}

pub(super) fn create(fs: &SimFs, sync: SyncMode) -> Result<SharedCollection, String> {
    create_as(fs, sync, Kind::Whole)
}

pub(super) fn create_as(fs: &SimFs, sync: SyncMode, kind: Kind) -> Result<SharedCollection, String> {
    SharedCollection::create(Arc::new(fs.clone()), dir(), kind.schema(), options(sync))
        .map_err(|error| error.to_string())
}

pub(super) fn open(fs: &SimFs, sync: SyncMode) -> Result<SharedCollection, String> {
    SharedCollection::open(Arc::new(fs.clone()), dir(), options(sync)).map_err(|error| error.to_string())
}

/// Id `number` of a workload: every third is a UUID.
pub(super) fn id(number: u64) -> PointId {
    if number % 3 == 2 { Uuid::from_u128(u128::from(number) << 64).into() } else { number.into() }
}

/// A change that any state allows, given the ids there are.
pub(super) fn change(random: &mut Random, state: &State, ids: u64) -> Change {
    let payload = |random: &mut Random| {
        let mut payload = Payload::new();
        for key in ["a", "b", "c"] {
            if random.below(2) == 0 {
                payload.insert(key.into(), random.below(100).into());
            }
        }
        payload
    };
    let some_ids = |random: &mut Random, most: u64| -> Vec<PointId> {
        (0..=random.below(most)).map(|_| id(random.below(ids))).collect()
    };
    let some_points = |random: &mut Random| -> Vec<Point> {
        let points = some_ids(random, 3).into_iter();
        points.map(|id| Point { id, vector: random.vector(), payload: payload(random) }).collect()
    };
    match random.below(12) {
        0..6 => Change::Upsert(some_points(random)),
        6 => Change::Insert(some_points(random)),
        7 => {
            let points = some_points(random);
            match random.below(3) {
                0 => Change::Update(points, None),
                1 => Change::Update(points, Some(below(random.below(100)))),
                _ => Change::UpsertMatching(points, below(random.below(100))),
            }
        }
        8 => Change::Delete(some_ids(random, 4)),
        9 if random.below(2) == 0 => Change::DeleteMatching(below(random.below(20))),
        9 => Change::PayloadMatching(below(random.below(50)), PayloadEdit::Merge(payload(random))),
        _ => {
            let there: Vec<PointId> = some_ids(random, 3).into_iter().filter(|id| state.contains_key(id)).collect();
            let edit = match random.below(4) {
                0 => PayloadEdit::Merge(payload(random)),
                1 => PayloadEdit::Replace(payload(random)),
                2 => PayloadEdit::Remove(vec![vec!["a".into()], vec!["c".into()]]),
                _ => PayloadEdit::Clear,
            };
            Change::Payload(there, edit)
        }
    }
}

/// The filter for points whose `a` is below `bound`.
pub(super) fn below(bound: u64) -> Filter {
    let range = Range { lt: Some(bound as f64), ..Range::default() };
    let must = vec![Condition::Field(PayloadPath::parse("a").unwrap(), Test::Range(range))];
    Filter { must, ..Filter::default() }
}

/// Whether `payload` matches such a filter, by other means.
pub(super) fn is_below(filter: &Filter, payload: &Payload) -> bool {
    let [Condition::Field(_, Test::Range(Range { lt: Some(bound), .. }))] = &filter.must[..] else {
        panic!("{filter:?}");
    };
    payload.get("a").and_then(serde_json::Value::as_u64).is_some_and(|a| (a as f64) < *bound)
}

/// What `state` becomes by `change`, which is operation `version`.
pub(super) fn apply(state: &mut State, change: &Change, version: u64) {
    let before = state.clone();
    let mut store = |points: &[Point], wanted: &dyn Fn(Option<&Held>) -> bool| {
        // Of points with one id the last counts, and whether it is wanted depends on what was there before.
        let last: State = points.iter().map(|p| (p.id, (version, p.vector.clone(), p.payload.clone()))).collect();
        state.extend(last.into_iter().filter(|(id, _)| wanted(before.get(id))));
    };
    let edit_payload = |state: &mut State, id: PointId, edit: &PayloadEdit| {
        let (was, _, payload) = state.get_mut(&id).expect("only points that exist");
        *was = version;
        match edit {
            PayloadEdit::Merge(values) => payload.extend(values.clone()),
            PayloadEdit::Replace(values) => payload.clone_from(values),
            PayloadEdit::Remove(keys) => payload.retain(|key, _| !keys.contains(&vec![key.clone()])),
            PayloadEdit::Clear => payload.clear(),
        }
    };
    match change {
        Change::Upsert(points) => store(points, &|_| true),
        Change::UpsertMatching(points, filter) => {
            store(points, &|held| held.is_none_or(|(_, _, payload)| is_below(filter, payload)));
        }
        Change::Insert(points) => store(points, &|held| held.is_none()),
        Change::Update(points, None) => store(points, &|held| held.is_some()),
        Change::Update(points, Some(filter)) => {
            store(points, &|held| held.is_some_and(|(_, _, payload)| is_below(filter, payload)));
        }
        Change::AddField(_) | Change::DropField(_) => {}
        Change::Delete(ids) => ids.iter().for_each(|id| drop(state.remove(id))),
        Change::DeleteMatching(filter) => state.retain(|_, (_, _, payload)| !is_below(filter, payload)),
        Change::Payload(ids, edit) => {
            let ids: std::collections::BTreeSet<PointId> = ids.iter().copied().collect();
            ids.into_iter().for_each(|id| edit_payload(state, id, edit));
        }
        Change::PayloadMatching(filter, edit) => {
            let matching = before.iter().filter(|(_, (_, _, payload))| is_below(filter, payload));
            matching.for_each(|(id, _)| edit_payload(state, *id, edit));
        }
    }
}

/// Changes, and the states before the first and after each.
pub(super) struct Workload {
    pub(super) changes: Vec<Change>,
    pub(super) states: Vec<State>,
}

impl Workload {
    pub(super) fn new(seed: u64, changes: usize) -> Self {
        Self::of(Kind::Whole, seed, changes)
    }

    pub(super) fn of(kind: Kind, seed: u64, changes: usize) -> Self {
        let mut random = Random(seed);
        let mut workload = Workload { changes: Vec::new(), states: vec![State::new()] };
        for version in 1..=changes as u64 {
            let mut state = workload.states.last().unwrap().clone();
            let mut change = change(&mut random, &state, 16);
            if let (Kind::Fractions, Change::Upsert(points) | Change::Insert(points) | Change::Update(points, _)) =
                (kind, &mut change)
            {
                points.iter_mut().for_each(|point| point.vector.iter_mut().for_each(|x| *x *= 0.37));
            }
            apply(&mut state, &change, version);
            workload.changes.push(change);
            workload.states.push(state);
        }
        workload
    }

    /// After how many changes a collection holds what `found` does, if it is sound in itself; versions make every state another.
    pub(super) fn position(&self, found: &SharedCollection) -> Result<usize, String> {
        let (operation, state) = (found.read().operation() as usize, held(found));
        found.read().check().map_err(|fault| fault.to_string())?;
        match self.states.get(operation) {
            Some(expected) if *expected == state => Ok(operation),
            Some(expected) => Err(format!("after {operation} changes: {state:?}, expected {expected:?}")),
            None => Err(format!("{operation} changes, of {}", self.changes.len())),
        }
    }
}

/// All that a collection holds.
pub(super) fn held(collection: &SharedCollection) -> State {
    let collection = collection.read();
    assert_eq!(collection.schema().note, small_schema().note);
    let state: State = collection
        .scroll(PointId::FIRST)
        .map(|point| (point.id(), (point.version(), point.vector(), point.payload())))
        .collect();
    assert_eq!(state.len(), collection.len());
    // A point that cannot be found by its own vector is as good as lost.
    for (id, (_, vector, _)) in &state {
        assert_eq!(vector.len(), DIM);
        let same = collection.search(vector, super::Search { exact: true, ..super::Search::new(state.len()) }).unwrap();
        assert!(same.iter().take_while(|found| found.score == 0.0).any(|found| found.point.id() == *id));
    }
    state
}
