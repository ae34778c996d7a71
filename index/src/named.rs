//! Vectors by name: which a collection's points may have ([`VectorSet`]), and which one point has ([`PointVectors`]).
//!
//! A collection has either one vector without a name, which every point has, or any number of named ones, of which a point has some. The
//! one without a name is named "" wherever a name is asked for. A name may go and come back; what was stored under it before must not, so
//! each vector of a set has a number too, which is never given again.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::metric::Metric;
use crate::spec::{VectorError, VectorSpec};

/// What a caller keeps beside a vector, as a JSON object.
type Note = Map<String, Value>;

/// The vector of a collection that has no name.
pub(crate) const UNNAMED: &str = "";

/// One vector that points of a collection may have.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedVector {
    name: String,
    number: u32,
    spec: VectorSpec,
    note: Note,
}

impl NamedVector {
    fn new(name: String, number: u32, spec: VectorSpec, note: Note) -> Self {
        NamedVector { name, number, spec, note }
    }

    /// Its name; "" if it has none.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its number, which no other vector of the collection has or had.
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// What it must be.
    pub fn spec(&self) -> VectorSpec {
        self.spec
    }

    /// What the caller keeps beside it, untouched.
    pub fn note(&self) -> &Note {
        &self.note
    }

    /// Bytes of one as stored.
    pub(crate) fn row_bytes(&self) -> usize {
        self.spec.row_bytes()
    }
}

/// A named vector as files have it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoredVector {
    pub(crate) name: String,
    pub(crate) number: u32,
    dim: usize,
    metric: String,
    element: String,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    note: Note,
}

impl From<&NamedVector> for StoredVector {
    fn from(vector: &NamedVector) -> Self {
        let NamedVector { name, number, spec, note } = vector;
        let (metric, element) = (spec.metric().name().into(), spec.element().name().into());
        StoredVector { name: name.clone(), number: *number, dim: spec.dim(), metric, element, note: note.clone() }
    }
}

impl TryFrom<StoredVector> for NamedVector {
    type Error = String;

    fn try_from(stored: StoredVector) -> Result<Self, String> {
        let StoredVector { name, number, dim, metric, element, note } = stored;
        let spec = stored_spec(dim, &metric, &element).map_err(|error| format!("vector `{name}`: {error}"))?;
        Ok(NamedVector { name, number, spec, note })
    }
}

/// What a vector must be, as files have it.
pub(crate) fn stored_spec(dim: usize, metric: &str, element: &str) -> Result<VectorSpec, String> {
    let metric = metric.parse().map_err(|error| format!("{error}"))?;
    let element = element.parse().map_err(|error| format!("{error}"))?;
    VectorSpec::new(dim, metric, element).map_err(|error| error.to_string())
}

/// The vectors that points of a collection may have: one without a name, or any number with names.
///
/// ```
/// use vicino_index::collection::{Payload, VectorSet};
/// use vicino_index::{ElementType, Metric, VectorSpec};
/// let text = VectorSpec::new(256, Metric::Cosine, ElementType::F32)?;
/// let image = VectorSpec::new(64, Metric::L2, ElementType::U8)?;
/// let set = VectorSet::named([("text", text, Payload::new()), ("image", image, Payload::new())])?;
/// assert_eq!(set.get("image").map(|vector| vector.spec().dim()), Some(64));
/// assert!(set.get("").is_none() && VectorSet::from(text).get("").is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct VectorSet {
    named: bool,
    /// In the order of names, each of which comes once.
    vectors: Vec<NamedVector>,
    /// The number of the next one to be added.
    next: u32,
}

/// A vector that a collection cannot have, or not get or lose.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VectorNameError {
    /// Empty, or longer than [`VectorSet::MAX_NAME_BYTES`].
    #[error("a vector's name of {found} bytes: expected 1..={max}", max = VectorSet::MAX_NAME_BYTES)]
    Length {
        /// Its bytes.
        found: usize,
    },
    /// There is one of this name, and it is another.
    #[error("vector `{name}` exists already, and is another")]
    Exists {
        /// The name.
        name: String,
    },
    /// There is none of this name.
    #[error("vector `{name}` does not exist")]
    Missing {
        /// The name.
        name: String,
    },
    /// The collection has one vector without a name, and that for ever.
    #[error("the collection's vector has no name: vectors are added to and taken from collections of named ones only")]
    Unnamed,
    /// More vectors than [`VectorSet::MAX_VECTORS`].
    #[error("{found} vectors: expected at most {max}", max = VectorSet::MAX_VECTORS)]
    TooMany {
        /// How many there would be.
        found: usize,
    },
}

impl From<VectorSpec> for VectorSet {
    /// One vector without a name.
    fn from(spec: VectorSpec) -> Self {
        let note = Note::new();
        VectorSet { named: false, vectors: vec![NamedVector::new(UNNAMED.into(), 0, spec, note)], next: 1 }
    }
}

impl VectorSet {
    /// The longest name, in bytes.
    pub const MAX_NAME_BYTES: usize = 255;
    /// The most vectors of one collection.
    pub const MAX_VECTORS: usize = 256;

    /// Named vectors, each with what the caller keeps beside it. There may be none, until some are added.
    pub fn named(
        vectors: impl IntoIterator<Item = (impl Into<String>, VectorSpec, Note)>,
    ) -> Result<Self, VectorNameError> {
        let empty = VectorSet { named: true, vectors: Vec::new(), next: 0 };
        vectors.into_iter().try_fold(empty, |set, (name, spec, note)| set.with(name, spec, note))
    }

    /// Named vectors as they were stored; an error says what cannot be.
    pub(crate) fn stored(vectors: Vec<NamedVector>, next: u32) -> Result<Self, String> {
        if !vectors.is_sorted_by(|a, b| a.name < b.name) {
            return Err("the names of vectors are not in order".into());
        }
        if let Some(vector) = vectors.iter().find(|vector| !(1..=Self::MAX_NAME_BYTES).contains(&vector.name.len())) {
            return Err(VectorNameError::Length { found: vector.name.len() }.to_string());
        }
        let numbers: std::collections::BTreeSet<u32> = vectors.iter().map(|vector| vector.number).collect();
        if numbers.len() != vectors.len() || numbers.last().is_some_and(|&last| last >= next) {
            return Err(format!("numbers of vectors {numbers:?}: expected each once, below {next}"));
        }
        Ok(VectorSet { named: true, vectors, next })
    }

    /// This set and one more.
    pub fn with(mut self, name: impl Into<String>, spec: VectorSpec, note: Note) -> Result<Self, VectorNameError> {
        let name = name.into();
        if !self.named {
            return Err(VectorNameError::Unnamed);
        }
        if name.is_empty() || name.len() > Self::MAX_NAME_BYTES {
            return Err(VectorNameError::Length { found: name.len() });
        }
        if self.vectors.len() == Self::MAX_VECTORS {
            return Err(VectorNameError::TooMany { found: self.vectors.len() + 1 });
        }
        match self.vectors.binary_search_by(|vector| vector.name.as_str().cmp(&name)) {
            Ok(_) => Err(VectorNameError::Exists { name }),
            Err(at) => {
                self.vectors.insert(at, NamedVector { name, number: self.next, spec, note });
                self.next += 1;
                Ok(self)
            }
        }
    }

    /// This set without the vector of this name.
    pub fn without(mut self, name: &str) -> Result<Self, VectorNameError> {
        if !self.named {
            return Err(VectorNameError::Unnamed);
        }
        match self.vectors.binary_search_by(|vector| vector.name.as_str().cmp(name)) {
            Ok(at) => drop(self.vectors.remove(at)),
            Err(_) => return Err(VectorNameError::Missing { name: name.into() }),
        }
        Ok(self)
    }

    /// Whether its vectors have names.
    pub fn is_named(&self) -> bool {
        self.named
    }

    /// The vector of this name.
    pub fn get(&self, name: &str) -> Option<&NamedVector> {
        let at = self.vectors.binary_search_by(|vector| vector.name.as_str().cmp(name)).ok()?;
        Some(&self.vectors[at])
    }

    /// The vector that has no name, if there is one.
    pub fn unnamed(&self) -> Option<VectorSpec> {
        self.get(UNNAMED).map(NamedVector::spec)
    }

    /// How the vectors of this name are compared.
    pub fn metric(&self, name: &str) -> Option<Metric> {
        self.get(name).map(|vector| vector.spec.metric())
    }

    /// All of them, in the order of names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &NamedVector> {
        self.vectors.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.vectors.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.vectors.is_empty()
    }

    /// The number that the next one to be added will have.
    pub(crate) fn next(&self) -> u32 {
        self.next
    }

    /// Whether there is one of this number.
    pub(crate) fn has_number(&self, number: u32) -> bool {
        self.vectors.iter().any(|vector| vector.number == number)
    }

    /// Bytes of all vectors of a point that has each.
    pub(crate) fn row_bytes(&self) -> usize {
        self.vectors.iter().map(NamedVector::row_bytes).sum()
    }

    /// Checks that a point may have these vectors.
    pub(crate) fn check(&self, vectors: &PointVectors) -> Result<(), PointVectorsError> {
        for (name, vector) in vectors.iter() {
            let of = self.get(name).ok_or_else(|| PointVectorsError::Unknown { name: name.into() })?;
            let bad = |error| PointVectorsError::Vector { name: name.into(), error };
            of.spec.check(vector.into()).map_err(bad)?;
        }
        if !self.named && vectors.is_empty() { Err(PointVectorsError::Absent) } else { Ok(()) }
    }
}

/// Vectors that a point of a collection cannot have.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PointVectorsError {
    /// One is not as the collection wants it.
    #[error("{}{error}", of_name(name))]
    Vector {
        /// Its name.
        name: String,
        /// What is wrong with it.
        error: VectorError,
    },
    /// The collection has no vector of this name.
    #[error("the collection has no vector {}", quoted(name))]
    Unknown {
        /// The name.
        name: String,
    },
    /// A point has no vector, and the collection's has no name: every point has it.
    #[error("no vector given: every point has one where it has no name")]
    Absent,
}

fn of_name(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!("vector `{name}`: ") }
}

pub(crate) fn quoted(name: &str) -> String {
    if name.is_empty() { "without a name".into() } else { format!("`{name}`") }
}

/// The vectors of one point, by name; one without a name has the name "".
///
/// ```
/// use vicino_index::collection::PointVectors;
/// assert_eq!(PointVectors::from(vec![1.0, 2.0]).get(""), Some(&[1.0, 2.0][..]));
/// let named: PointVectors = [("text", vec![1.0]), ("image", vec![2.0])].into_iter().collect();
/// assert!(named.iter().map(|(name, _)| name).eq(["image", "text"]));
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PointVectors {
    /// In the order of names, each of which comes once.
    vectors: Vec<(String, Vec<f32>)>,
}

impl From<Vec<f32>> for PointVectors {
    /// One without a name.
    fn from(vector: Vec<f32>) -> Self {
        PointVectors { vectors: vec![(UNNAMED.into(), vector)] }
    }
}

impl<S: Into<String>> FromIterator<(S, Vec<f32>)> for PointVectors {
    /// Of vectors with one name the last counts.
    fn from_iter<T: IntoIterator<Item = (S, Vec<f32>)>>(vectors: T) -> Self {
        let mut all = PointVectors::default();
        vectors.into_iter().for_each(|(name, vector)| all.insert(name.into(), vector));
        all
    }
}

impl PointVectors {
    /// The vector of this name.
    pub fn get(&self, name: &str) -> Option<&[f32]> {
        let at = self.vectors.binary_search_by(|(other, _)| other.as_str().cmp(name)).ok()?;
        Some(&self.vectors[at].1)
    }

    /// Gives the point this vector, in place of one of this name.
    pub fn insert(&mut self, name: String, vector: Vec<f32>) {
        match self.vectors.binary_search_by(|(other, _)| other.cmp(&name)) {
            Ok(at) => self.vectors[at].1 = vector,
            Err(at) => self.vectors.insert(at, (name, vector)),
        }
    }

    /// Takes the vector of this name away, and returns it.
    pub fn remove(&mut self, name: &str) -> Option<Vec<f32>> {
        let at = self.vectors.binary_search_by(|(other, _)| other.as_str().cmp(name)).ok()?;
        Some(self.vectors.remove(at).1)
    }

    /// All of them, in the order of names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &[f32])> {
        self.vectors.iter().map(|(name, vector)| (name.as_str(), vector.as_slice()))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.vectors.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.vectors.len()
    }
}

/// What becomes of the vector of a name: this one, or none.
pub(crate) type VectorEdit = (String, Option<Vec<f32>>);

impl IntoIterator for PointVectors {
    type Item = (String, Vec<f32>);
    type IntoIter = std::vec::IntoIter<(String, Vec<f32>)>;

    fn into_iter(self) -> Self::IntoIter {
        self.vectors.into_iter()
    }
}
