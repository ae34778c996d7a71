//! Filters: typed expressions over a point's id and payload, evaluated point by point.
//!
//! The grammar and its corners are Qdrant's: an array matches if one of its elements does; a value that is missing matches nothing but
//! `IsEmpty` and a count of zero; `Except` matches only what has a value. A filter is checked when it is made, so that evaluation
//! cannot fail.
//!
//! path: which part of a payload · time: moments · geo: places · text: words and phrases · answer: which rows match, known and left to ask ·
//! estimate: how many · index: payload indexes, which answer without reading payloads

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::ids::PointId;

mod answer;
mod estimate;
mod geo;
mod index;
mod path;
#[cfg(test)]
mod tests;
mod text;
mod time;

pub use answer::Answer;
pub use estimate::Estimate;
pub use geo::{GeoArea, GeoPoint};
pub use index::{FieldIndex, FieldType, IndexedField, PayloadIndex, RowSource, TextOptions};
pub use path::{PathError, PayloadPath};
pub use text::{TextMode, TextQuery, Tokenizer, TokenizerKind};
pub use time::Moment;

/// Which points match: all of `must`, none of `must_not`, and, unless it is empty, one of `should`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Filter {
    /// All of these hold.
    pub must: Vec<Condition>,
    /// One of these holds, if there are any.
    pub should: Vec<Condition>,
    /// None of these holds.
    pub must_not: Vec<Condition>,
    /// At least so many of these hold.
    pub min_should: Option<(usize, Vec<Condition>)>,
}

/// One condition of a filter.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// The value at the path, or one of its elements, passes the test.
    Field(PayloadPath, Test),
    /// So many values are at the path: the elements of an array, one for another value, none where it is missing or null.
    Count(PayloadPath, Range<f64>),
    /// Nothing is at the path, or null, or an empty array.
    IsEmpty(PayloadPath),
    /// Null is at the path, or in an array there.
    IsNull(PayloadPath),
    /// The point has one of these ids.
    HasId(HashSet<PointId>),
    /// The point has a vector of this name; the default one is named "".
    HasVector(String),
    /// One element of the array of objects at the path matches by itself.
    Nested(PayloadPath, Filter),
    /// All of another filter.
    Filter(Filter),
}

/// What one value is asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// It is this string, whole number or truth value.
    Equal(Scalar),
    /// It is one of these.
    Any(HashSet<Scalar>),
    /// It is none of these, and not null.
    Except(HashSet<Scalar>),
    /// It is a number within these bounds.
    Range(Range<f64>),
    /// It is a moment, written by RFC 3339, within these bounds.
    Time(Range<Moment>),
    /// It is a place, `{"lon": …, "lat": …}`, in this area.
    Geo(GeoArea),
    /// It is a text that has these words.
    Text(TextQuery),
    /// It is a string that begins with this.
    Prefix(String),
}

/// What values are compared with by equality.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scalar {
    /// A string, as it is.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A truth value.
    Bool(bool),
}

impl Scalar {
    /// The scalar that `value` is, if it is one.
    pub fn of(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Some(Scalar::Text(text.clone())),
            Value::Bool(truth) => Some(Scalar::Bool(*truth)),
            Value::Number(number) => number.as_i64().map(Scalar::Integer),
            _ => None,
        }
    }

    fn is(&self, value: &Value) -> bool {
        match self {
            Scalar::Text(text) => value.as_str() == Some(text),
            Scalar::Integer(number) => value.as_i64() == Some(*number),
            Scalar::Bool(truth) => value.as_bool() == Some(*truth),
        }
    }
}

/// Bounds, each of which may be absent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range<T> {
    /// Less than.
    pub lt: Option<T>,
    /// Greater than.
    pub gt: Option<T>,
    /// At least.
    pub gte: Option<T>,
    /// At most.
    pub lte: Option<T>,
}

impl<T> Default for Range<T> {
    fn default() -> Self {
        Range { lt: None, gt: None, gte: None, lte: None }
    }
}

impl<T: PartialOrd> Range<T> {
    fn holds(&self, value: &T) -> bool {
        self.lt.as_ref().is_none_or(|bound| value < bound)
            && self.gt.as_ref().is_none_or(|bound| value > bound)
            && self.gte.as_ref().is_none_or(|bound| value >= bound)
            && self.lte.as_ref().is_none_or(|bound| value <= bound)
    }
}

impl Filter {
    /// Whether point `id` with `payload`, and the default vector alone, matches. Cost: about the conditions times the values at their
    /// paths.
    pub fn matches(&self, id: PointId, payload: &Map<String, Value>) -> bool {
        self.matches_point(&Subject { id, payload, has_vector: &str::is_empty })
    }

    /// As [`matches`](Filter::matches), for a point that has the vectors `has_vector` says.
    pub fn matches_with(&self, id: PointId, payload: &Map<String, Value>, has_vector: &dyn Fn(&str) -> bool) -> bool {
        self.matches_point(&Subject { id, payload, has_vector })
    }

    fn matches_point(&self, point: &Subject<'_>) -> bool {
        let holds = |condition: &Condition| condition.holds(point);
        self.must.iter().all(holds)
            && !self.must_not.iter().any(holds)
            && (self.should.is_empty() || self.should.iter().any(holds))
            && self.min_should.as_ref().is_none_or(|(least, conditions)| {
                conditions.iter().filter(|condition| holds(condition)).take(*least).count() == *least
            })
    }
}

/// What conditions are asked about.
#[derive(Clone, Copy)]
struct Subject<'a> {
    id: PointId,
    payload: &'a Map<String, Value>,
    has_vector: &'a dyn Fn(&str) -> bool,
}

impl Condition {
    fn holds(&self, point: &Subject<'_>) -> bool {
        let payload = point.payload;
        match self {
            Condition::Field(path, test) => path.any(payload, &mut |value| test.any(value)),
            Condition::Count(path, range) => range.holds(&(count(path, payload) as f64)),
            Condition::IsEmpty(path) => !path.any(payload, &mut has_value),
            Condition::IsNull(path) => path.any(payload, &mut has_null),
            Condition::HasId(ids) => ids.contains(&point.id),
            Condition::HasVector(name) => (point.has_vector)(name),
            Condition::Nested(path, filter) => path.any(payload, &mut |value| {
                let one = |value: &Value| {
                    let element = |payload| filter.matches_point(&Subject { payload, ..*point });
                    value.as_object().is_some_and(element)
                };
                match value {
                    Value::Array(values) => values.iter().any(one),
                    value => one(value),
                }
            }),
            Condition::Filter(filter) => filter.matches_point(point),
        }
    }
}

/// How many values are at `path`: the elements of an array, one for another value, none for null.
fn count(path: &PayloadPath, payload: &Map<String, Value>) -> usize {
    let mut count = 0;
    path.any(payload, &mut |value| {
        count += match value {
            Value::Null => 0,
            Value::Array(values) => values.len(),
            _ => 1,
        };
        false
    });
    count
}

/// Whether `value` is more than null or an empty array.
fn has_value(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(values) => !values.is_empty(),
        _ => true,
    }
}

/// Whether `value` is null or an array that has null.
fn has_null(value: &Value) -> bool {
    match value {
        Value::Array(values) => values.iter().any(Value::is_null),
        value => value.is_null(),
    }
}

impl Test {
    /// Whether `value`, or an element of it, passes.
    fn any(&self, value: &Value) -> bool {
        match value {
            Value::Array(values) => values.iter().any(|value| self.passes(value)),
            value => self.passes(value),
        }
    }

    fn passes(&self, value: &Value) -> bool {
        match self {
            Test::Equal(scalar) => scalar.is(value),
            Test::Any(scalars) => Scalar::of(value).is_some_and(|scalar| scalars.contains(&scalar)),
            Test::Except(scalars) => {
                !value.is_null() && !Scalar::of(value).is_some_and(|scalar| scalars.contains(&scalar))
            }
            Test::Range(range) => value.as_f64().is_some_and(|number| range.holds(&number)),
            Test::Time(range) => value.as_str().and_then(Moment::parse).is_some_and(|moment| range.holds(&moment)),
            Test::Geo(area) => GeoPoint::of(value).is_some_and(|point| area.contains(point)),
            Test::Text(query) => value.as_str().is_some_and(|text| query.matches(text)),
            Test::Prefix(prefix) => value.as_str().is_some_and(|text| text.starts_with(prefix.as_str())),
        }
    }
}
