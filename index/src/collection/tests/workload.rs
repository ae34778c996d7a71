//! A seeded sequence of changes, and what a collection holds after each by a map that knows nothing of files.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::sync::Arc;

use super::{DIM, Random, schema};
use crate::collection::{
    Change, Options, Payload, PayloadEdit, Point, PointVectors, Schema, SharedCollection, SyncMode, Upkeep, VectorSet,
};
use crate::filter::{Condition, Filter, PayloadPath, Range, Test};
use crate::vfs::{SimFs, Vfs};
use crate::{ElementType, LayoutPolicy, Metric, PointId, Uuid, VectorSpec};

/// What one point is: version, vectors, payload.
pub(super) type Held = (u64, PointVectors, Payload);

/// What a collection holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct State {
    points: BTreeMap<PointId, Held>,
    /// The names of vectors that points may have; none where the vector has no name.
    pub(super) names: Option<BTreeSet<String>>,
}

impl Deref for State {
    type Target = BTreeMap<PointId, Held>;

    fn deref(&self) -> &Self::Target {
        &self.points
    }
}

impl DerefMut for State {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.points
    }
}

impl State {
    /// That of a collection without points.
    pub(super) fn empty(schema: &Schema) -> Self {
        let names = || schema.vectors.iter().map(|vector| vector.name().to_owned()).collect();
        State { points: BTreeMap::new(), names: schema.vectors.is_named().then(names) }
    }

    /// The vectors of a point: the one there is, or any of those with names.
    fn vectors(&self, random: &mut Random) -> PointVectors {
        match &self.names {
            None => random.vector().into(),
            Some(names) => {
                let some: Vec<&String> = names.iter().filter(|_| random.below(3) > 0).collect();
                some.into_iter().map(|name| (name.as_str(), random.vector())).collect()
            }
        }
    }
}

/// The name of a vector that comes and goes.
const GUEST: &str = "c";

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
    /// As those, in a compact graph.
    Compact,
    /// A graph over the vectors.
    Plain,
    /// Named vectors, of which a point has any, compared in two ways; a third comes and goes.
    Named,
}

impl Kind {
    pub(super) const ALL: [Kind; 5] = [Kind::Whole, Kind::Fractions, Kind::Plain, Kind::Named, Kind::Compact];

    pub(super) fn schema(self) -> Schema {
        let mut schema = small_schema();
        let plain = VectorSpec::new(DIM, Metric::L1, ElementType::F32).unwrap();
        match self {
            Kind::Plain => schema.vectors = plain.into(),
            Kind::Compact => schema.layout = LayoutPolicy::Compact,
            Kind::Named => schema.vectors = named_vectors(),
            Kind::Whole | Kind::Fractions => {}
        }
        schema
    }
}

/// Two named vectors, of which graphs are made in two ways.
pub(super) fn named_vectors() -> VectorSet {
    let spec = |metric| VectorSpec::new(DIM, metric, ElementType::F32).unwrap();
    let note = serde_json::json!({"kept": "too"}).as_object().unwrap().clone();
    VectorSet::named([("a", spec(Metric::L2), note), ("b", spec(Metric::L1), Payload::new())]).unwrap()
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
        points.map(|id| Point { id, vectors: state.vectors(random), payload: payload(random) }).collect()
    };
    let there = |ids: Vec<PointId>| -> Vec<PointId> { ids.into_iter().filter(|id| state.contains_key(id)).collect() };
    match random.below(15) {
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
        10 | 11 => {
            let there = there(some_ids(random, 3));
            let edit = match random.below(4) {
                0 => PayloadEdit::Merge(payload(random)),
                1 => PayloadEdit::Replace(payload(random)),
                2 => PayloadEdit::Remove(vec![vec!["a".into()], vec!["c".into()]]),
                _ => PayloadEdit::Clear,
            };
            Change::Payload(there, edit)
        }
        12 | 13 => {
            let ids = there(some_ids(random, 3));
            vectors_change(random, state, ids)
        }
        _ => match &state.names {
            Some(names) if names.contains(GUEST) => Change::DropVector(GUEST.into()),
            Some(_) => {
                let spec = VectorSpec::new(DIM, Metric::L2, ElementType::F32).unwrap();
                Change::AddVector(GUEST.into(), spec, Payload::new())
            }
            None => {
                let ids = there(some_ids(random, 3));
                vectors_change(random, state, ids)
            }
        },
    }
}

/// A change of vectors alone, of these points or those that match a filter.
fn vectors_change(random: &mut Random, state: &State, ids: Vec<PointId>) -> Change {
    let names = match &state.names {
        Some(names) if random.below(2) == 0 => {
            names.iter().filter(|_| random.below(2) == 0).cloned().collect::<Vec<String>>()
        }
        _ => {
            let filter = (random.below(3) == 0).then(|| below(random.below(100)));
            return Change::UpdateVectors(ids.into_iter().map(|id| (id, state.vectors(random))).collect(), filter);
        }
    };
    match random.below(2) {
        0 => Change::DeleteVectors(ids, names),
        _ => Change::DeleteVectorsMatching(below(random.below(50)), names),
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
        let last: BTreeMap<PointId, Held> =
            points.iter().map(|p| (p.id, (version, p.vectors.clone(), p.payload.clone()))).collect();
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
    let take = |state: &mut State, id: PointId, names: &[String]| {
        let (was, vectors, _) = state.get_mut(&id).expect("only points that exist");
        *was = version;
        names.iter().for_each(|name| drop(vectors.remove(name)));
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
        Change::UpdateVectors(points, filter) => {
            for (id, given) in points {
                let matches = |payload: &Payload| filter.as_ref().is_none_or(|filter| is_below(filter, payload));
                if !matches(&before[id].2) {
                    continue;
                }
                let (was, vectors, _) = state.get_mut(id).expect("only points that exist");
                *was = version;
                given.iter().for_each(|(name, vector)| vectors.insert(name.into(), vector.into()));
            }
        }
        Change::DeleteVectors(ids, names) => ids.iter().for_each(|id| take(state, *id, names)),
        Change::DeleteVectorsMatching(filter, names) => {
            let matching = before.iter().filter(|(_, (_, _, payload))| is_below(filter, payload));
            matching.for_each(|(id, _)| take(state, *id, names));
        }
        Change::AddVector(name, ..) => {
            state.names.as_mut().expect("named vectors").insert(name.clone());
        }
        Change::DropVector(name) => {
            state.names.as_mut().expect("named vectors").remove(name);
            // Nothing of the points is written anew.
            state.values_mut().for_each(|(_, vectors, _)| drop(vectors.remove(name)));
        }
        Change::Delete(ids) => ids.iter().for_each(|id| drop(state.remove(id))),
        Change::DeleteMatching(filter) => state.retain(|_, (_, _, payload)| !is_below(filter, payload)),
        Change::Payload(ids, edit) => {
            let ids: BTreeSet<PointId> = ids.iter().copied().collect();
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
        let mut workload = Workload { changes: Vec::new(), states: vec![State::empty(&kind.schema())] };
        for version in 1..=changes as u64 {
            let mut state = workload.states.last().unwrap().clone();
            let mut change = change(&mut random, &state, 16);
            let fraction = |vectors: &mut PointVectors| {
                let smaller = |(name, vector): (String, Vec<f32>)| (name, vector.iter().map(|x| x * 0.37).collect());
                *vectors = std::mem::take(vectors).into_iter().map(smaller).collect();
            };
            match &mut change {
                _ if !matches!(kind, Kind::Fractions | Kind::Compact) => {}
                Change::Upsert(points) | Change::Insert(points) | Change::Update(points, _) => {
                    points.iter_mut().for_each(|point| fraction(&mut point.vectors));
                }
                Change::UpdateVectors(points, _) => points.iter_mut().for_each(|(_, vectors)| fraction(vectors)),
                _ => {}
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
    let mut state = State::empty(collection.schema());
    let points = collection.scroll(PointId::FIRST);
    state.extend(points.map(|point| (point.id(), (point.version(), point.vectors(), point.payload()))));
    assert_eq!(state.len(), collection.len());
    // A point that cannot be found by its own vector is as good as lost.
    for (id, (_, vectors, _)) in state.iter() {
        assert!(state.names.is_some() || vectors.get("").is_some());
        for (using, vector) in vectors.iter() {
            assert_eq!(vector.len(), DIM);
            let search = super::Search { exact: true, using, ..super::Search::new(state.len()) };
            let same = collection.search(vector, search).unwrap();
            assert!(same.iter().take_while(|found| found.score == 0.0).any(|found| found.point.id() == *id));
            let having = state.values().filter(|(_, vectors, _)| vectors.get(using).is_some());
            assert_eq!(same.len(), having.count(), "points that have vector `{using}`");
        }
    }
    state
}
