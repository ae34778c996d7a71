//! [`Change`]: what callers ask a collection to do, and how that becomes a [`Record`] of what becomes of each point.

use std::collections::BTreeMap;

use serde_json::Value;

use super::record::Record;
use super::{Collection, Payload, Point, PointView, UpsertError, fields_with};
use crate::filter::{Filter, IndexedField, PayloadPath};
use crate::ids::{IdBytes, PointId};
use crate::named::{PointVectors, StoredVector, UNNAMED, VectorEdit, VectorNameError};
use crate::spec::VectorSpec;

/// A change of a collection: all of it happens, or nothing.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Change {
    /// Store these points, in place of those that have their ids. Of points with the same id the last one wins.
    Upsert(Vec<Point>),
    /// Store these points; those that exist only if they match the filter as they are.
    UpsertMatching(Vec<Point>, Filter),
    /// Remove the points of these ids, where they exist.
    Delete(Vec<PointId>),
    /// Remove the points that match.
    DeleteMatching(Filter),
    /// Change the payloads of these points, all of which must exist.
    Payload(Vec<PointId>, PayloadEdit),
    /// Change the payloads of the points that match.
    PayloadMatching(Filter, PayloadEdit),
    /// Store those of these points that do not exist.
    Insert(Vec<Point>),
    /// Store those of these points that exist and, if there is a filter, match it as they are.
    Update(Vec<Point>, Option<Filter>),
    /// Give these points, all of which must exist, these vectors, in place of those of the same names; others stay. With a filter, those
    /// points alone that match it as they are.
    UpdateVectors(Vec<(PointId, PointVectors)>, Option<Filter>),
    /// Take the vectors of these names from these points, all of which must exist.
    DeleteVectors(Vec<PointId>, Vec<String>),
    /// Take the vectors of these names from the points that match.
    DeleteVectorsMatching(Filter, Vec<String>),
    /// Let points have one more vector, of this name, of which the caller keeps this beside it; unless there is one that is the same.
    AddVector(String, VectorSpec, Payload),
    /// Take the vector of this name from all points, if there is one: they can have it no more.
    DropVector(String),
    /// Index this part of payloads, in place of an index of it that there is.
    AddField(IndexedField),
    /// Index this part of payloads no more, if it is.
    DropField(PayloadPath),
}

/// What becomes of a payload.
#[derive(Debug, Clone, PartialEq)]
pub enum PayloadEdit {
    /// These keys get these values; others stay.
    Merge(Payload),
    /// This is all of it now.
    Replace(Payload),
    /// The values at these paths go: `[a, b]` is key `b` of the object at key `a`.
    Remove(Vec<Vec<String>>),
    /// All keys go.
    Clear,
}

impl PayloadEdit {
    /// Changes `payload`.
    pub fn apply(&self, payload: &mut Payload) {
        match self {
            PayloadEdit::Merge(values) => {
                payload.extend(values.iter().map(|(key, value)| (key.clone(), value.clone())));
            }
            PayloadEdit::Replace(values) => payload.clone_from(values),
            PayloadEdit::Remove(paths) => paths.iter().for_each(|path| remove(payload, path)),
            PayloadEdit::Clear => payload.clear(),
        }
    }
}

/// At most how many bytes `object` takes as JSON: every byte of a string may need an escape of six.
fn size_of_object(object: &Payload) -> usize {
    object.iter().map(|(key, value)| key.len() * 6 + 4 + size_of_value(value)).sum::<usize>() + 2
}

/// At most how many bytes `vectors` take in the log.
fn size_of_vectors(vectors: &PointVectors) -> usize {
    vectors.iter().map(|(name, vector)| name.len() + 2 + vector.len() * 4).sum()
}

fn size_of_value(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 5,
        Value::Number(_) => 32,
        Value::String(text) => text.len() * 6 + 2,
        Value::Array(values) => values.iter().map(|value| size_of_value(value) + 1).sum::<usize>() + 2,
        Value::Object(object) => size_of_object(object),
    }
}

/// Removes what lies at `path`, if anything does.
fn remove(object: &mut Payload, path: &[String]) {
    match path {
        [] => {}
        [key] => drop(object.shift_remove(key)),
        [key, rest @ ..] => {
            if let Some(Value::Object(inner)) = object.get_mut(key) {
                remove(inner, rest);
            }
        }
    }
}

/// A change that was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The points cannot be stored.
    #[error(transparent)]
    Upsert(#[from] UpsertError),
    /// A vector that does not exist, or cannot be added or taken away.
    #[error(transparent)]
    Vector(#[from] VectorNameError),
    /// A point that does not exist.
    #[error("point {id} does not exist")]
    NoPoint {
        /// Its id.
        id: PointId,
    },
    /// More than one record of the log can hold.
    #[error("a change of {found} bytes: expected at most {max}; divide it", max = Change::MAX_BYTES)]
    TooLarge {
        /// Its bytes.
        found: usize,
    },
    /// The disk is full. Deletes are still taken, from room set aside for them; all else once there is room.
    #[error("no space left on the disk: nothing was changed ({what})")]
    Full {
        /// Which file could not grow, and what the system said.
        what: String,
    },
    /// The system refused. Nothing was changed.
    #[error("nothing was changed: {what}")]
    Io {
        /// Which file, and what the system said.
        what: String,
    },
    /// What is on disk is not known. The change may be found, whole, or not, when the collection is opened again; until then it can
    /// be read and not changed.
    #[error("read-only until it is opened again: {why}")]
    ReadOnly {
        /// What happened.
        why: String,
    },
}

impl Change {
    /// The most bytes of one change in the log.
    pub const MAX_BYTES: usize = 1 << 30;

    /// Whether what becomes of the points depends on what they are: such a change begins a group of its own.
    pub(super) fn depends_on_points(&self) -> bool {
        !matches!(self, Change::Upsert(_) | Change::Delete(_))
    }

    /// Whether those after it must be checked by what it leaves, and so cannot share its group.
    pub(super) fn ends_group(&self) -> bool {
        matches!(self, Change::AddVector(..) | Change::DropVector(_))
    }

    /// At most how many bytes it takes in the log, if they do not depend on the points there are.
    pub(super) fn size(&self) -> usize {
        const ID: usize = size_of::<IdBytes>();
        match self {
            Change::Upsert(points)
            | Change::UpsertMatching(points, _)
            | Change::Insert(points)
            | Change::Update(points, _) => {
                let size = |point: &Point| ID + 6 + size_of_vectors(&point.vectors) + size_of_object(&point.payload);
                points.iter().map(size).sum()
            }
            Change::Delete(ids) => ids.len() * ID,
            Change::Payload(ids, _) => ids.len() * (ID + 4),
            Change::DeleteMatching(_) | Change::PayloadMatching(..) => 0,
            Change::UpdateVectors(points, _) => {
                points.iter().map(|(_, vectors)| ID + 2 + size_of_vectors(vectors)).sum()
            }
            Change::DeleteVectors(ids, names) => {
                ids.len() * (ID + 2 + names.iter().map(|name| name.len() + 2).sum::<usize>())
            }
            Change::DeleteVectorsMatching(..) => 0,
            Change::AddVector(..) | Change::DropVector(_) | Change::AddField(_) | Change::DropField(_) => 0,
        }
    }

    /// What becomes of each point of `collection`, or why nothing does.
    pub(super) fn resolve(self, collection: &Collection) -> Result<Record, WriteError> {
        match self {
            Change::Upsert(points) => Ok(Record::Store(collection.schema.checked(points)?)),
            Change::UpsertMatching(points, filter) => {
                let filter = filter.bound_to(&collection.fields);
                store(collection, points, |held| held.is_none_or(|point| point.passes(&filter)))
            }
            Change::Insert(points) => store(collection, points, |held| held.is_none()),
            Change::Update(points, filter) => {
                let filter = filter.map(|filter| filter.bound_to(&collection.fields));
                store(collection, points, |held| {
                    held.is_some_and(|point| filter.as_ref().is_none_or(|filter| point.passes(filter)))
                })
            }
            Change::Delete(ids) => Ok(Record::Delete(ids)),
            Change::DeleteMatching(filter) => Ok(Record::Delete(matching(collection, &filter))),
            Change::AddField(field) => Ok(Record::Fields(fields_with(&collection.fields, field))),
            Change::DropField(path) => {
                let kept = collection.fields.iter().filter(|field| *field.path() != path);
                Ok(Record::Fields(kept.cloned().collect()))
            }
            Change::UpdateVectors(points, filter) => update_vectors(collection, points, filter.as_ref()),
            Change::DeleteVectors(ids, names) => delete_vectors(collection, ids, &names),
            Change::DeleteVectorsMatching(filter, names) => {
                delete_vectors(collection, matching(collection, &filter), &names)
            }
            Change::AddVector(name, spec, note) => {
                let vectors = &collection.schema.vectors;
                if vectors.get(&name).is_some_and(|there| there.spec() == spec) {
                    return Ok(NOTHING);
                }
                let vectors = vectors.clone().with(name.as_str(), spec, note)?;
                Ok(Record::AddVector(StoredVector::from(vectors.get(&name).expect("just added"))))
            }
            Change::DropVector(name) => match collection.schema.vectors.clone().without(&name) {
                Ok(_) => Ok(Record::DropVector(name)),
                Err(VectorNameError::Missing { .. }) => Ok(NOTHING),
                Err(error) => Err(error.into()),
            },
            Change::Payload(ids, edit) => payloads(collection, ids, &edit),
            Change::PayloadMatching(filter, edit) => payloads(collection, matching(collection, &filter), &edit),
        }
    }
}

/// What becomes of points where there is nothing to do.
const NOTHING: Record = Record::Delete(Vec::new());

fn matching(collection: &Collection, filter: &Filter) -> Vec<PointId> {
    collection.matching(PointId::FIRST, filter).map(|point| point.id()).collect()
}

/// Stores those of `points` that are `wanted`, given what is stored under their ids.
fn store(
    collection: &Collection,
    points: Vec<Point>,
    wanted: impl Fn(Option<PointView<'_>>) -> bool,
) -> Result<Record, WriteError> {
    let mut points = collection.schema.checked(points)?;
    points.retain(|point| wanted(collection.get(point.id)));
    Ok(Record::Store(points))
}

fn update_vectors(
    collection: &Collection,
    points: Vec<(PointId, PointVectors)>,
    filter: Option<&Filter>,
) -> Result<Record, WriteError> {
    let filter = filter.map(|filter| filter.bound_to(&collection.fields));
    // Of vectors of one name for one point the last counts.
    let mut edits: BTreeMap<PointId, PointVectors> = BTreeMap::new();
    for (id, vectors) in points {
        let point = collection.get(id).ok_or(WriteError::NoPoint { id })?;
        collection.schema.vectors.check(&vectors).map_err(|error| UpsertError::Vectors { id, error })?;
        if filter.as_ref().is_none_or(|filter| point.passes(filter)) {
            let edit = edits.entry(id).or_default();
            vectors.into_iter().for_each(|(name, vector)| edit.insert(name, vector));
        }
    }
    let edit = |(name, vector)| (name, Some(vector));
    Ok(Record::Vectors(edits.into_iter().map(|(id, vectors)| (id, vectors.into_iter().map(edit).collect())).collect()))
}

fn delete_vectors(collection: &Collection, mut ids: Vec<PointId>, names: &[String]) -> Result<Record, WriteError> {
    let vectors = &collection.schema.vectors;
    if !vectors.is_named() && names.iter().any(|name| name == UNNAMED) {
        return Err(VectorNameError::Unnamed.into());
    }
    if let Some(name) = names.iter().find(|name| vectors.get(name).is_none()) {
        return Err(VectorNameError::Missing { name: name.clone() }.into());
    }
    if let Some(&id) = ids.iter().find(|id| collection.get(**id).is_none()) {
        return Err(WriteError::NoPoint { id });
    }
    ids.sort_unstable();
    ids.dedup();
    let mut names = names.to_vec();
    names.sort_unstable();
    names.dedup();
    let edits: Vec<VectorEdit> = names.into_iter().map(|name| (name, None)).collect();
    Ok(Record::Vectors(ids.into_iter().map(|id| (id, edits.clone())).collect()))
}

fn payloads(collection: &Collection, ids: Vec<PointId>, edit: &PayloadEdit) -> Result<Record, WriteError> {
    if let PayloadEdit::Merge(payload) | PayloadEdit::Replace(payload) = edit {
        super::check_depth(ids.first().copied().unwrap_or(PointId::FIRST), payload)?;
    }
    let edited = |id| {
        let mut payload = collection.get(id).ok_or(WriteError::NoPoint { id })?.payload();
        edit.apply(&mut payload);
        Ok((id, payload))
    };
    Ok(Record::Payload(ids.into_iter().map(edited).collect::<Result<_, WriteError>>()?))
}
