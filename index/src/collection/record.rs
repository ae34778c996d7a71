//! [`Record`]: one change of a collection as the log keeps it.
//!
//! A record says what became of each point, never what was asked for: applied to the same points it gives the same points again,
//! whatever later versions make of a request.
//!
//! ```text
//! kind u8   0 u8 × 3   count u32   per point:  id u8 × 17
//!           store:                                 vector f32 × dim   payload length u32   payload, a JSON object
//!           store named:                           vectors            payload length u32   payload
//!           payload:                                                  payload length u32   payload
//!           vectors:                               vectors
//!           fields, of none:       length u32   list of the indexed fields, JSON
//!           add vector, of none:   length u32   the vector, JSON
//!           drop vector, of none:  length u32   its name, JSON
//! vectors:  count u16   per vector:  name length u8   name   there u8: 1, or 0 of one that is taken away   vector f32 × dim, if there
//! ```

use super::{Payload, Point, Schema};
use crate::filter::IndexedField;
use crate::ids::{IdBytes, PointId};
use crate::named::{PointVectors, StoredVector, UNNAMED, VectorEdit};

/// What became of points.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Record {
    /// They are these now. No id comes twice, every vector fits the schema.
    Store(Vec<Point>),
    /// They are gone, those that were there.
    Delete(Vec<PointId>),
    /// They are there, and their payloads are these now.
    Payload(Vec<(PointId, Payload)>),
    /// They are there, and those of their vectors are these now, or gone.
    Vectors(Vec<(PointId, Vec<VectorEdit>)>),
    /// Points may have this vector now.
    AddVector(StoredVector),
    /// The vector of this name is gone, from all points.
    DropVector(String),
    /// These parts of payloads are indexed now, and no others.
    Fields(Vec<IndexedField>),
}

const STORE: u8 = 1;
const DELETE: u8 = 2;
const PAYLOAD: u8 = 3;
const FIELDS: u8 = 4;
const STORE_NAMED: u8 = 5;
const VECTORS: u8 = 6;
const ADD_VECTOR: u8 = 7;
const DROP_VECTOR: u8 = 8;

impl Record {
    /// Whether it may be refused on a full disk: all but what makes room.
    pub(super) fn needs_room(&self) -> bool {
        !matches!(self, Record::Delete(_) | Record::DropVector(_))
    }

    /// The record's bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let (kind, count) = match self {
            // Either all have the vector without a name, or none has.
            Record::Store(points) if points.iter().all(|point| point.vectors.get(UNNAMED).is_some()) => {
                (STORE, points.len())
            }
            Record::Store(points) => (STORE_NAMED, points.len()),
            Record::Vectors(points) => (VECTORS, points.len()),
            Record::AddVector(_) => (ADD_VECTOR, 0),
            Record::DropVector(_) => (DROP_VECTOR, 0),
            Record::Delete(ids) => (DELETE, ids.len()),
            Record::Payload(points) => (PAYLOAD, points.len()),
            Record::Fields(_) => (FIELDS, 0),
        };
        let mut bytes = vec![kind, 0, 0, 0];
        bytes.extend_from_slice(&(count as u32).to_le_bytes());
        match self {
            Record::Store(points) => {
                // What payloads and names take besides is not known yet.
                let numbers: usize = points.iter().flat_map(|point| point.vectors.iter()).map(|(_, v)| v.len()).sum();
                bytes.reserve(numbers * size_of::<f32>() + points.len() * (size_of::<IdBytes>() + size_of::<u64>()));
                for point in points {
                    bytes.extend_from_slice(&point.id.to_bytes());
                    if kind == STORE {
                        let vector = point.vectors.get(UNNAMED).expect("so its kind says");
                        bytes.extend_from_slice(bytemuck::cast_slice(vector));
                    } else {
                        put_vectors(&mut bytes, point.vectors.iter().map(|(name, vector)| (name, Some(vector))));
                    }
                    put_json(&mut bytes, &point.payload);
                }
            }
            Record::Delete(ids) => ids.iter().for_each(|id| bytes.extend_from_slice(&id.to_bytes())),
            Record::Payload(points) => {
                for (id, payload) in points {
                    bytes.extend_from_slice(&id.to_bytes());
                    put_json(&mut bytes, payload);
                }
            }
            Record::Vectors(points) => {
                for (id, edits) in points {
                    bytes.extend_from_slice(&id.to_bytes());
                    put_vectors(&mut bytes, edits.iter().map(|(name, vector)| (name.as_str(), vector.as_deref())));
                }
            }
            Record::AddVector(vector) => put_json(&mut bytes, vector),
            Record::DropVector(name) => put_json(&mut bytes, name),
            Record::Fields(fields) => put_json(&mut bytes, fields),
        }
        bytes
    }

    /// The record that `bytes` are, for points of `schema`; or what is wrong with them.
    pub(crate) fn decode(bytes: &[u8], schema: &Schema) -> Result<Self, String> {
        let mut reader = Reader { bytes };
        let [kind, 0, 0, 0] = reader.take()? else { return Err("an unknown kind of record".into()) };
        let count = u32::from_le_bytes(reader.take()?);
        let record = match kind {
            STORE | STORE_NAMED => {
                let mut seen = std::collections::HashSet::new();
                let mut point = || -> Result<Point, String> {
                    let id = reader.id()?;
                    let vectors = match kind {
                        STORE => PointVectors::from(reader.vector(schema, UNNAMED)?),
                        _ => reader.stored_vectors(schema)?,
                    };
                    schema.vectors.check(&vectors).map_err(|error| format!("point {id}: {error}"))?;
                    if !seen.insert(id) {
                        return Err(format!("point {id} comes twice in one record"));
                    }
                    Ok(Point { id, vectors, payload: reader.payload()? })
                };
                Record::Store((0..count).map(|_| point()).collect::<Result<_, _>>()?)
            }
            DELETE => Record::Delete((0..count).map(|_| reader.id()).collect::<Result<_, _>>()?),
            PAYLOAD => {
                let mut point = || Ok::<_, String>((reader.id()?, reader.payload()?));
                Record::Payload((0..count).map(|_| point()).collect::<Result<_, _>>()?)
            }
            VECTORS => {
                let mut point = || -> Result<(PointId, Vec<VectorEdit>), String> {
                    let id = reader.id()?;
                    let edits = reader.edits(schema)?;
                    for (name, vector) in &edits {
                        let vector =
                            vector.iter().map(|vector| (name.as_str(), vector.clone())).collect::<PointVectors>();
                        if !vector.is_empty() {
                            schema.vectors.check(&vector).map_err(|error| format!("point {id}: {error}"))?;
                        }
                    }
                    Ok((id, edits))
                };
                Record::Vectors((0..count).map(|_| point()).collect::<Result<_, _>>()?)
            }
            ADD_VECTOR if count == 0 => Record::AddVector(reader.json("a vector")?),
            DROP_VECTOR if count == 0 => Record::DropVector(reader.json("a name")?),
            FIELDS if count == 0 => Record::Fields(reader.json("indexed fields")?),
            other => return Err(format!("records of kind {other} are unknown to this build")),
        };
        if reader.bytes.is_empty() { Ok(record) } else { Err(format!("{} bytes behind a record", reader.bytes.len())) }
    }
}

fn put_vectors<'a>(bytes: &mut Vec<u8>, vectors: impl ExactSizeIterator<Item = (&'a str, Option<&'a [f32]>)>) {
    let count = u16::try_from(vectors.len()).expect("a collection has fewer vectors");
    bytes.extend_from_slice(&count.to_le_bytes());
    for (name, vector) in vectors {
        bytes.push(u8::try_from(name.len()).expect("names are short"));
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(u8::from(vector.is_some()));
        bytes.extend_from_slice(bytemuck::cast_slice(vector.unwrap_or_default()));
    }
}

fn put_json(bytes: &mut Vec<u8>, value: &impl serde::Serialize) {
    let at = bytes.len();
    bytes.extend_from_slice(&[0; 4]);
    serde_json::to_writer(&mut *bytes, value).expect("JSON in memory can be written");
    let len = (bytes.len() - at - 4) as u32;
    bytes[at..at + 4].copy_from_slice(&len.to_le_bytes());
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn slice(&mut self, len: usize) -> Result<&'a [u8], String> {
        let short = || format!("a record ends {} bytes early", len - self.bytes.len());
        let (head, rest) = self.bytes.split_at_checked(len).ok_or_else(short)?;
        self.bytes = rest;
        Ok(head)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], String> {
        self.slice(N).map(|bytes| bytes.try_into().expect("as many as asked for"))
    }

    fn id(&mut self) -> Result<PointId, String> {
        PointId::from_bytes(self.take()?).ok_or_else(|| "an id that is no number and no UUID".into())
    }

    /// The vector of this name, of a length that it alone says.
    fn vector(&mut self, schema: &Schema, name: &str) -> Result<Vec<f32>, String> {
        let unknown = || format!("a vector {}, which the collection does not have", crate::named::quoted(name));
        let dim = schema.vectors.get(name).ok_or_else(unknown)?.spec().dim();
        Ok(self.slice(dim * 4)?.chunks_exact(4).map(bytemuck::pod_read_unaligned).collect())
    }

    /// Vectors with their names, or names of those that are taken away; no name comes twice.
    fn edits(&mut self, schema: &Schema) -> Result<Vec<VectorEdit>, String> {
        let count = u16::from_le_bytes(self.take()?);
        let mut edits: Vec<VectorEdit> = Vec::with_capacity(usize::from(count).min(schema.vectors.len()));
        for _ in 0..count {
            let [len] = self.take()?;
            let name = self.slice(usize::from(len))?;
            let name = std::str::from_utf8(name).map_err(|error| format!("a vector's name: {error}"))?;
            if edits.iter().any(|(other, _)| other == name) {
                return Err(format!("vector `{name}` comes twice for one point"));
            }
            let vector = match self.take()? {
                [0] => None,
                [1] => Some(self.vector(schema, name)?),
                [other] => return Err(format!("vector `{name}` is there {other} times")),
            };
            edits.push((name.into(), vector));
        }
        Ok(edits)
    }

    /// The vectors of a point.
    fn stored_vectors(&mut self, schema: &Schema) -> Result<PointVectors, String> {
        let there = |(name, vector): VectorEdit| match vector {
            Some(vector) => Ok((name, vector)),
            None => Err(format!("vector `{name}` of a new point is taken away")),
        };
        self.edits(schema)?.into_iter().map(there).collect()
    }

    fn payload(&mut self) -> Result<Payload, String> {
        self.json("a payload")
    }

    fn json<T: serde::de::DeserializeOwned>(&mut self, what: &str) -> Result<T, String> {
        let len = u32::from_le_bytes(self.take()?);
        serde_json::from_slice(self.slice(len as usize)?).map_err(|error| format!("{what}: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::filter::{FieldType, TextOptions};
    use crate::named::VectorSet;
    use crate::{ElementType, Metric, VectorSpec};

    #[test]
    fn records_come_back_whole_or_not_at_all() {
        let vectors = VectorSpec::new(3, Metric::L2, ElementType::F32).unwrap();
        let unnamed = Schema::new(vectors);
        let set = [("a", vectors, Payload::new()), ("ü", vectors, json!({"b": 1}).as_object().unwrap().clone())];
        let named = Schema::new(VectorSet::named(set).unwrap());
        let payload = json!({"b": [1, -0.0, 1e-300, u64::MAX, "ü\u{0}"], "a": null}).as_object().unwrap().clone();
        let point = |id, payload| Point { id: PointId::Integer(id), vectors: vec![0.1, -0.0, 1e-40].into(), payload };
        let vector = || vec![0.1, -0.0, 1e-40];
        let some = |vectors: &[&str]| Point {
            vectors: vectors.iter().map(|&name| (name, vector())).collect(),
            ..point(vectors.len() as u64, payload.clone())
        };
        let edits = |there: bool| ["a", "ü"].map(|name| (name.into(), there.then(vector))).to_vec();
        let alike = [
            Record::Store(vec![]),
            Record::Delete(vec![PointId::Integer(7), Uuid::from_u128(1 << 100).into(), PointId::Integer(1 << 60)]),
            Record::Fields(vec![]),
            Record::Fields(vec![
                IndexedField::new("a.b[]", FieldType::Integer).unwrap(),
                IndexedField::new("text", FieldType::Text(TextOptions::default())).unwrap(),
            ]),
            Record::Payload(vec![(PointId::Integer(3), payload.clone()), (Uuid::from_u128(3).into(), payload.clone())]),
            Record::AddVector(named.vectors.get("ü").unwrap().into()),
            Record::DropVector("ü".into()),
        ];
        let of_unnamed = [
            Record::Store(vec![point(u64::MAX, payload.clone()), point(0, Payload::new())]),
            Record::Vectors(vec![(PointId::Integer(3), vec![(UNNAMED.into(), Some(vector()))])]),
        ];
        let of_named = [
            Record::Store(vec![some(&[]), some(&["ü"]), some(&["a", "ü"])]),
            Record::Vectors(vec![(PointId::Integer(3), edits(true)), (PointId::Integer(4), edits(false))]),
        ];
        let all = alike.into_iter().chain(of_unnamed).map(|record| (record, &unnamed));
        for (record, schema) in all.chain(of_named.into_iter().map(|record| (record, &named))) {
            let bytes = record.encode();
            assert_eq!(Record::decode(&bytes, schema).as_ref(), Ok(&record));
            for len in 0..bytes.len() {
                assert!(Record::decode(&bytes[..len], schema).is_err(), "{record:?} cut at {len}");
            }
            assert!(Record::decode(&[&bytes[..], &[0]].concat(), schema).is_err(), "{record:?} and a byte");
        }
        let twice = Record::Store(vec![point(1, Payload::new()), point(1, Payload::new())]).encode();
        assert_eq!(Record::decode(&twice, &unnamed).unwrap_err(), "point 1 comes twice in one record");
        let huge = [&[DELETE, 0, 0, 0][..], &u32::MAX.to_le_bytes()].concat();
        assert_eq!(Record::decode(&huge, &unnamed).unwrap_err(), "a record ends 17 bytes early");
    }
}
