//! Ids and vectors in the shapes that a request may give them.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use vicino_index::PointId;

/// A point's id: an unsigned integer. Qdrant's other form, a UUID, is refused by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Id(pub PointId);

const ID: &str = "an unsigned integer id (UUIDs are not supported yet)";

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Ids;
        impl Visitor<'_> for Ids {
            type Value = Id;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(ID)
            }

            fn visit_u64<E: Error>(self, id: u64) -> Result<Id, E> {
                Ok(Id(PointId(id)))
            }
        }
        deserializer.deserialize_any(Ids)
    }
}

/// A point's vector: a list of numbers, or `{"": […]}`, which names the default vector.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorIn(pub Vec<f32>);

impl<'de> Deserialize<'de> for VectorIn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Vectors)
    }
}

struct Vectors;

impl<'de> Visitor<'de> for Vectors {
    type Value = VectorIn;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a vector: a list of numbers")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<VectorIn, A::Error> {
        coordinates(seq).map(VectorIn)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<VectorIn, A::Error> {
        let mut vector = None;
        while let Some(name) = map.next_key::<String>()? {
            if !name.is_empty() {
                let message = format!(
                    "named vector `{name}`: only the default vector is supported yet, given as a list of numbers"
                );
                return Err(A::Error::custom(message));
            }
            vector = Some(VectorIn(map.next_value()?));
        }
        vector.ok_or_else(|| A::Error::custom("no vector given: points without one are not supported yet"))
    }
}

fn coordinates<'de, A: SeqAccess<'de>>(mut seq: A) -> Result<Vec<f32>, A::Error> {
    let mut vector = Vec::new();
    while let Some(value) = seq.next_element()? {
        vector.push(value);
    }
    Ok(vector)
}

/// What is searched for: a vector, or the vector of a stored point.
#[derive(Debug, Clone, PartialEq)]
pub enum QueryIn {
    /// This vector.
    Vector(Vec<f32>),
    /// The vector of this point, which is not itself an answer.
    Point(PointId),
}

impl<'de> Deserialize<'de> for QueryIn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Queries { nested: false })
    }
}

/// Reads a query, or (`nested`) what stands inside `{"nearest": …}`.
#[derive(Clone, Copy)]
struct Queries {
    nested: bool,
}

impl<'de> DeserializeSeed<'de> for Queries {
    type Value = QueryIn;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<QueryIn, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Queries {
    type Value = QueryIn;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a vector (a list of numbers), {ID}{}", if self.nested { "" } else { " or {\"nearest\": …}" })
    }

    fn visit_u64<E: Error>(self, id: u64) -> Result<QueryIn, E> {
        Ok(QueryIn::Point(PointId(id)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<QueryIn, A::Error> {
        coordinates(seq).map(QueryIn::Vector)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<QueryIn, A::Error> {
        let mut query = None;
        while let Some(kind) = map.next_key::<String>()? {
            if kind == "nearest" && !self.nested {
                query = Some(map.next_value_seed(Queries { nested: true })?);
            } else if map.next_value::<serde_json::Value>()? != serde_json::Value::Null {
                return Err(A::Error::custom(format!(
                    "`{kind}` is not supported yet: expected a vector or a point's id"
                )));
            }
        }
        query.ok_or_else(|| A::Error::custom("an empty query: expected `nearest`"))
    }
}

/// The vector of an older search request: a list of numbers, or `{"name": "", "vector": […]}`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged, expecting = "a vector: a list of numbers, or {\"name\": \"\", \"vector\": […]}")]
pub enum SearchVector {
    /// For the default vector.
    Default(Vec<f32>),
    /// For the vector of this name.
    Named(NamedVector),
}

/// A vector and whose neighbours it asks for.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedVector {
    /// The vector's name.
    pub name: String,
    /// What is searched for.
    pub vector: Vec<f32>,
}
