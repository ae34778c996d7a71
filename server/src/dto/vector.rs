//! Vectors in the shapes that a request may give them.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use vicino_index::PointId;

use super::Unserved;

/// A text that the server turns into a vector: `{"text": …, "model": …}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The text.
    pub text: String,
    /// Which encoder.
    pub model: String,
}

/// The fields of a [`Document`] as they come.
#[derive(Default)]
struct DocumentParts {
    text: Option<String>,
    model: Option<String>,
}

impl DocumentParts {
    /// Reads the value of `key`, if it is one of a document's; else false.
    fn take<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "text" => self.text = Some(map.next_value()?),
            "model" => self.model = Some(map.next_value()?),
            "options" => _ = map.next_value::<Unserved>()?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The document, or none if there was nothing of one.
    fn finish<E: Error>(self) -> Result<Option<Document>, E> {
        match (self.text, self.model) {
            (None, None) => Ok(None),
            (Some(text), Some(model)) => Ok(Some(Document { text, model })),
            _ => Err(E::custom("a text to embed: expected both `text` and `model`")),
        }
    }
}

/// One vector: a list of numbers, or a text.
#[derive(Debug, Clone, PartialEq)]
pub enum VectorIn {
    /// As it is.
    Numbers(Vec<f32>),
    /// That of this text.
    Document(Document),
}

impl<'de> Deserialize<'de> for VectorIn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_any(Given)? {
            Found::Numbers(numbers) => Ok(VectorIn::Numbers(numbers)),
            Found::Document(document) => Ok(VectorIn::Document(document)),
            _ => Err(D::Error::custom(VECTOR)),
        }
    }
}

/// A point's vectors by name: a list of numbers or a text is the one without a name, and a map has one under each name.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorsIn(pub Vec<(String, VectorIn)>);

impl<'de> Deserialize<'de> for VectorsIn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let unnamed = |vector| Ok(VectorsIn(vec![(String::new(), vector)]));
        match deserializer.deserialize_any(Given)? {
            Found::Numbers(numbers) => unnamed(VectorIn::Numbers(numbers)),
            Found::Document(document) => unnamed(VectorIn::Document(document)),
            Found::Named(vectors) => Ok(VectorsIn(vectors)),
            Found::Text(_) | Found::Nothing => Err(D::Error::custom(VECTOR)),
        }
    }
}

const VECTOR: &str = "expected a vector: a list of numbers, or {\"text\": …, \"model\": …}; or a map of such by name";

/// What stands where a vector may.
enum Found {
    Numbers(Vec<f32>),
    Document(Document),
    Named(Vec<(String, VectorIn)>),
    /// Inside a document.
    Text(String),
    Nothing,
}

impl<'de> Deserialize<'de> for Found {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Given)
    }
}

struct Given;

impl<'de> Visitor<'de> for Given {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a vector: a list of numbers, or {\"text\": …, \"model\": …}")
    }

    fn visit_unit<E: Error>(self) -> Result<Found, E> {
        Ok(Found::Nothing)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Found, E> {
        Ok(Found::Text(text.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Found, A::Error> {
        coordinates(seq).map(Found::Numbers)
    }

    /// A vector may be named `text`, so what a map is shows in its values: a document's are strings.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found, A::Error> {
        let (mut named, mut document) = (Vec::new(), DocumentParts::default());
        let mut options = false;
        while let Some(name) = map.next_key::<String>()? {
            if matches!(name.as_str(), "indices" | "values") {
                let message = format!("`{name}`: sparse vectors are not supported yet");
                return Err(A::Error::custom(message));
            }
            match map.next_value()? {
                Found::Text(text) if name == "text" => document.text = Some(text),
                Found::Text(text) if name == "model" => document.model = Some(text),
                Found::Numbers(numbers) => named.push((name, VectorIn::Numbers(numbers))),
                Found::Document(inner) => named.push((name, VectorIn::Document(inner))),
                Found::Nothing => {}
                Found::Named(inner) if name == "options" => options = options || !inner.is_empty(),
                Found::Text(_) | Found::Named(_) => return Err(A::Error::custom(format!("`{name}`: {VECTOR}"))),
            }
        }
        match document.finish()? {
            None => Ok(Found::Named(named)),
            Some(_) if options => Err(A::Error::custom("options: not supported yet")),
            Some(document) if named.is_empty() => Ok(Found::Document(document)),
            Some(_) => Err(A::Error::custom(format!("vectors beside a text: {VECTOR}"))),
        }
    }
}

fn coordinates<'de, A: SeqAccess<'de>>(mut seq: A) -> Result<Vec<f32>, A::Error> {
    let mut vector = Vec::new();
    while let Some(Coordinate(value)) = seq.next_element()? {
        vector.push(value);
    }
    Ok(vector)
}

/// A number, where a list would be a multivector.
struct Coordinate(f32);

impl<'de> Deserialize<'de> for Coordinate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Number).map(Coordinate)
    }
}

struct Number;

impl<'de> Visitor<'de> for Number {
    type Value = f32;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<f32, E> {
        Ok(number as f32)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<f32, E> {
        Ok(number as f32)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<f32, E> {
        Ok(number as f32)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<f32, A::Error> {
        Err(A::Error::custom("a list of vectors: multivectors are not supported yet"))
    }
}

/// What is searched for: a vector, or that of a stored point or of a text.
#[derive(Debug, Clone, PartialEq)]
pub enum QueryIn {
    /// This vector.
    Vector(Vec<f32>),
    /// The vector of this point, which is not itself an answer.
    Point(PointId),
    /// The vector of this text.
    Document(Document),
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
        write!(
            f,
            "a vector (a list of numbers), {}{}",
            PointId::EXPECTED,
            if self.nested { "" } else { " or {\"nearest\": …}" }
        )
    }

    fn visit_u64<E: Error>(self, id: u64) -> Result<QueryIn, E> {
        Ok(QueryIn::Point(id.into()))
    }

    fn visit_str<E: Error>(self, id: &str) -> Result<QueryIn, E> {
        PointId::deserialize(id.into_deserializer()).map(QueryIn::Point)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<QueryIn, A::Error> {
        coordinates(seq).map(QueryIn::Vector)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<QueryIn, A::Error> {
        let (mut query, mut document) = (None, DocumentParts::default());
        while let Some(kind) = map.next_key::<String>()? {
            if document.take(&kind, &mut map)? {
                continue;
            }
            if kind == "nearest" && !self.nested {
                query = Some(map.next_value_seed(Queries { nested: true })?);
            } else if map.next_value::<serde_json::Value>()? != serde_json::Value::Null {
                return Err(A::Error::custom(format!(
                    "`{kind}` is not supported yet: expected a vector, a point's id or a text"
                )));
            }
        }
        let query = document.finish()?.map(QueryIn::Document).or(query);
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
