//! [`Record`]: one change of a collection as the log keeps it.
//!
//! A record says what became of each point, never what was asked for: applied to the same points it gives the same points again,
//! whatever later versions make of a request.
//!
//! ```text
//! kind u8   0 u8 × 3   count u32   per point:  id u8 × 17
//!           store:                                 vector f32 × dim   payload length u32   payload, a JSON object
//!           payload:                                                  payload length u32   payload
//!           fields, of none:  length u32   list of the indexed fields, JSON
//! ```

use super::{Payload, Point, Schema};
use crate::filter::IndexedField;
use crate::ids::PointId;
use crate::rows::VectorRef;

/// What became of points.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Record {
    /// They are these now. No id comes twice, every vector fits the schema.
    Store(Vec<Point>),
    /// They are gone, those that were there.
    Delete(Vec<PointId>),
    /// They are there, and their payloads are these now.
    Payload(Vec<(PointId, Payload)>),
    /// These parts of payloads are indexed now, and no others.
    Fields(Vec<IndexedField>),
}

const STORE: u8 = 1;
const DELETE: u8 = 2;
const PAYLOAD: u8 = 3;
const FIELDS: u8 = 4;

impl Record {
    /// The record's bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let (kind, count) = match self {
            Record::Store(points) => (STORE, points.len()),
            Record::Delete(ids) => (DELETE, ids.len()),
            Record::Payload(points) => (PAYLOAD, points.len()),
            Record::Fields(_) => (FIELDS, 0),
        };
        let mut bytes = vec![kind, 0, 0, 0];
        bytes.extend_from_slice(&(count as u32).to_le_bytes());
        match self {
            Record::Store(points) => {
                for point in points {
                    bytes.extend_from_slice(&point.id.to_bytes());
                    bytes.extend_from_slice(bytemuck::cast_slice(&point.vector));
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
            STORE => {
                let mut seen = std::collections::HashSet::new();
                let mut point = || -> Result<Point, String> {
                    let id = reader.id()?;
                    let vector = reader.vector(schema.vectors.dim())?;
                    schema.vectors.check(VectorRef::from(&vector)).map_err(|error| format!("point {id}: {error}"))?;
                    if !seen.insert(id) {
                        return Err(format!("point {id} comes twice in one record"));
                    }
                    Ok(Point { id, vector, payload: reader.payload()? })
                };
                Record::Store((0..count).map(|_| point()).collect::<Result<_, _>>()?)
            }
            DELETE => Record::Delete((0..count).map(|_| reader.id()).collect::<Result<_, _>>()?),
            PAYLOAD => {
                let mut point = || Ok::<_, String>((reader.id()?, reader.payload()?));
                Record::Payload((0..count).map(|_| point()).collect::<Result<_, _>>()?)
            }
            FIELDS if count == 0 => Record::Fields(reader.json("indexed fields")?),
            other => return Err(format!("records of kind {other} are unknown to this build")),
        };
        if reader.bytes.is_empty() { Ok(record) } else { Err(format!("{} bytes behind a record", reader.bytes.len())) }
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

    fn vector(&mut self, dim: usize) -> Result<Vec<f32>, String> {
        Ok(self.slice(dim * 4)?.chunks_exact(4).map(bytemuck::pod_read_unaligned).collect())
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
    use crate::{ElementType, HnswParams, Metric, VectorSpec};

    #[test]
    fn records_come_back_whole_or_not_at_all() {
        let vectors = VectorSpec::new(3, Metric::L2, ElementType::F32).unwrap();
        let schema = Schema { vectors, hnsw: HnswParams::default(), full_scan_bytes: 0, note: Payload::new() };
        let payload = json!({"b": [1, -0.0, 1e-300, u64::MAX, "ü\u{0}"], "a": null}).as_object().unwrap().clone();
        let point = |id, payload| Point { id: PointId::Integer(id), vector: vec![0.1, -0.0, 1e-40], payload };
        for record in [
            Record::Store(vec![point(u64::MAX, payload.clone()), point(0, Payload::new())]),
            Record::Store(vec![]),
            Record::Delete(vec![PointId::Integer(7), Uuid::from_u128(1 << 100).into(), PointId::Integer(1 << 60)]),
            Record::Fields(vec![]),
            Record::Fields(vec![
                IndexedField::new("a.b[]", FieldType::Integer).unwrap(),
                IndexedField::new("text", FieldType::Text(TextOptions::default())).unwrap(),
            ]),
            Record::Payload(vec![(PointId::Integer(3), payload.clone()), (Uuid::from_u128(3).into(), payload)]),
        ] {
            let bytes = record.encode();
            assert_eq!(Record::decode(&bytes, &schema).as_ref(), Ok(&record));
            for len in 0..bytes.len() {
                assert!(Record::decode(&bytes[..len], &schema).is_err(), "{record:?} cut at {len}");
            }
            assert!(Record::decode(&[&bytes[..], &[0]].concat(), &schema).is_err(), "{record:?} and a byte");
        }
        let twice = Record::Store(vec![point(1, Payload::new()), point(1, Payload::new())]).encode();
        assert_eq!(Record::decode(&twice, &schema).unwrap_err(), "point 1 comes twice in one record");
        let huge = [&[DELETE, 0, 0, 0][..], &u32::MAX.to_le_bytes()].concat();
        assert_eq!(Record::decode(&huge, &schema).unwrap_err(), "a record ends 17 bytes early");
    }
}
