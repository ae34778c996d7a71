//! Payload indexes: which rows of one segment match a condition, without reading their payloads.
//!
//! An index is of one path and one type of value. It answers just as evaluation by payload would, and says which rows it cannot tell of:
//! those whose values are of other types, or conditions that are about another type. So a filter means the same with and without it.
//! Rows that died stay until they are removed; what is asked is limited to the living.
//!
//! rows: those under one value · ordered: values that have an order · geo: places · text: words · field: an index of one path · schema: which paths are indexed

mod field;
mod geo;
mod ordered;
mod rows;
mod schema;
#[cfg(test)]
mod tests;
mod text;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::answer::Answer;
use super::estimate::Estimate;
use super::path::PayloadPath;
use super::text::Tokenizer;
use super::{Condition, Filter, Test};
use crate::ids::{PointId, Slot};
use crate::mask::Mask;

pub use field::FieldIndex;
pub use schema::IndexedField;

/// What the values of an index are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldType {
    /// Strings, as they are; also asked by their beginnings.
    Keyword,
    /// Whole numbers.
    Integer,
    /// Numbers.
    Float,
    /// Truth values.
    Bool,
    /// Moments, as RFC 3339 writes them.
    Datetime,
    /// UUIDs, lower case, with hyphens.
    Uuid,
    /// Places, `{"lon": …, "lat": …}`.
    Geo,
    /// Texts, by their words.
    Text(TextOptions),
}

impl FieldType {
    /// How texts of an index of this type are divided.
    fn tokenizer(self) -> Option<Tokenizer> {
        match self {
            FieldType::Text(options) => Some(options.tokenizer),
            _ => None,
        }
    }

    /// The type's name, as callers write it.
    pub fn name(self) -> &'static str {
        match self {
            FieldType::Keyword => "keyword",
            FieldType::Integer => "integer",
            FieldType::Float => "float",
            FieldType::Bool => "bool",
            FieldType::Datetime => "datetime",
            FieldType::Uuid => "uuid",
            FieldType::Geo => "geo",
            FieldType::Text(_) => "text",
        }
    }
}

/// How texts are indexed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct TextOptions {
    /// How a text is divided. Queries at the field are divided so too, whether an index answers them or not.
    pub tokenizer: Tokenizer,
    /// Whether the order of words is kept, so that phrases need no look at payloads.
    pub phrases: bool,
}

/// The rows of one segment, as filters need to know them.
#[derive(Clone, Copy)]
pub struct RowSource<'a> {
    /// The living rows.
    pub live: &'a Mask,
    /// Where a point lies.
    pub slot: &'a dyn Fn(PointId) -> Option<Slot>,
    /// The rows that have a vector of this name.
    pub having: &'a dyn Fn(&str) -> Mask,
}

impl std::fmt::Debug for RowSource<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RowSource").field("rows", &self.live.rows()).finish_non_exhaustive()
    }
}

/// The payload indexes of one segment.
///
/// ```
/// use serde_json::json;
/// use vicino_index::filter::{Condition, FieldType, Filter, PayloadIndex, PayloadPath, RowSource, Scalar, Test};
/// use vicino_index::{Mask, Slot};
/// let path = PayloadPath::parse("city")?;
/// let mut index = PayloadIndex::default();
/// index.add(path.clone(), FieldType::Keyword, std::iter::empty());
/// for (row, city) in ["Rome", "Milan", "Rome"].into_iter().enumerate() {
///     index.insert(Slot(row as u32), json!({ "city": city }).as_object().unwrap());
/// }
/// let rome = Condition::Field(path, Test::Equal(Scalar::Text("Rome".into())));
/// let filter = Filter { must: vec![rome], ..Filter::default() };
/// let live = Mask::all(3);
/// let rows = RowSource { live: &live, slot: &|_| None, having: &|_| Mask::none(3) };
/// assert_eq!(index.estimate(&filter, rows).max, 2);
/// let answer = index.answer(&filter, rows);
/// assert!(answer.open().is_none() && answer.sure().iter().eq([Slot(0), Slot(2)]));
/// # Ok::<(), vicino_index::filter::PathError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct PayloadIndex {
    fields: Vec<(PayloadPath, Arc<FieldIndex>)>,
}

impl PayloadIndex {
    /// Of indexes that are there.
    pub(crate) fn of(fields: Vec<(PayloadPath, Arc<FieldIndex>)>) -> Self {
        PayloadIndex { fields }
    }

    /// Adds an index of `path` over `rows`, in place of one there is.
    pub fn add<'a>(
        &mut self,
        path: PayloadPath,
        of: FieldType,
        rows: impl Iterator<Item = (Slot, &'a Map<String, Value>)>,
    ) {
        let mut field = FieldIndex::new(of);
        rows.for_each(|(slot, payload)| field.insert(slot, &path, payload));
        self.drop(&path);
        self.fields.push((path, Arc::new(field)));
    }

    /// Takes the index of `path` away; whether there was one.
    pub fn drop(&mut self, path: &PayloadPath) -> bool {
        let before = self.fields.len();
        self.fields.retain(|(kept, _)| kept != path);
        self.fields.len() < before
    }

    /// The indexed paths.
    pub fn fields(&self) -> impl Iterator<Item = (&PayloadPath, &FieldIndex)> {
        self.fields.iter().map(|(path, field)| (path, &**field))
    }

    /// Adds row `slot`.
    pub fn insert(&mut self, slot: Slot, payload: &Map<String, Value>) {
        self.fields.iter_mut().for_each(|(path, field)| Arc::make_mut(field).insert(slot, path, payload));
    }

    /// Takes row `slot`, which was added with this `payload`, out.
    pub fn remove(&mut self, slot: Slot, payload: &Map<String, Value>) {
        self.fields.iter_mut().for_each(|(path, field)| Arc::make_mut(field).remove(slot, path, payload));
    }

    /// Makes frequent values and ranges quick until the next change; for segments that are done growing.
    pub fn seal(&mut self) {
        self.fields.iter_mut().for_each(|(_, field)| Arc::make_mut(field).seal());
    }

    fn at(&self, path: &PayloadPath) -> Option<&FieldIndex> {
        self.fields.iter().find(|(indexed, _)| indexed == path).map(|(_, field)| &**field)
    }

    /// `filter` with its texts divided as the indexes of their fields say. Evaluation by payload and by index agree on it.
    pub fn bind(&self, filter: &Filter) -> Filter {
        bind(filter, &|path| self.at(path).and_then(|field| field.of().tokenizer()))
    }

    /// Which living rows match.
    pub fn answer(&self, filter: &Filter, rows: RowSource<'_>) -> Answer {
        self.filter(filter, rows).and(&Answer::exact(rows.live.clone()))
    }

    fn filter(&self, filter: &Filter, rows: RowSource<'_>) -> Answer {
        let count = rows.live.rows();
        let mut answer = Answer::exact(Mask::all(count));
        for condition in &filter.must {
            answer = answer.and(&self.condition(condition, rows));
        }
        for condition in &filter.must_not {
            answer = answer.and(&self.condition(condition, rows).inverted());
        }
        if let Some((first, rest)) = filter.should.split_first() {
            let first = self.condition(first, rows);
            answer = answer.and(&rest.iter().fold(first, |any, condition| any.or(&self.condition(condition, rows))));
        }
        if let Some((least, conditions)) = &filter.min_should {
            let answers: Vec<Answer> = conditions.iter().map(|condition| self.condition(condition, rows)).collect();
            answer = answer.and(&Answer::at_least(*least, &answers, count));
        }
        answer
    }

    fn condition(&self, condition: &Condition, rows: RowSource<'_>) -> Answer {
        let count = rows.live.rows();
        let known = match condition {
            Condition::Field(path, test) => self.at(path).map(|field| field.answer(test, count)),
            Condition::Count(path, range) => self.at(path).map(|field| Answer::exact(field.counting(range, count))),
            Condition::IsEmpty(path) => self.at(path).map(|field| Answer::exact(field.filled(count).inverted())),
            Condition::IsNull(path) => self.at(path).map(|field| Answer::exact(field.null(count))),
            Condition::HasId(ids) => {
                let mut mask = Mask::none(count);
                ids.iter().filter_map(|&id| (rows.slot)(id)).for_each(|slot| mask.insert(slot));
                Some(Answer::exact(mask))
            }
            Condition::HasVector(name) => Some(Answer::exact((rows.having)(name))),
            // An index does not know which values stand in one element.
            Condition::Nested(path, _) => self.at(path).map(|field| Answer::unknown(field.filled(count))),
            Condition::Filter(filter) => Some(self.filter(filter, rows)),
        };
        known.unwrap_or_else(|| Answer::unknown(Mask::all(count)))
    }

    /// How many living rows match: from counts alone, in microseconds.
    pub fn estimate(&self, filter: &Filter, rows: RowSource<'_>) -> Estimate {
        let (live, count) = (rows.live.len(), rows.live.rows());
        self.estimate_filter(filter, rows, count).living(live, count - live)
    }

    fn estimate_filter(&self, filter: &Filter, rows: RowSource<'_>, count: usize) -> Estimate {
        let of = |condition: &Condition| self.estimate_condition(condition, rows, count);
        let mut clauses: Vec<Estimate> = filter.must.iter().map(of).collect();
        clauses.extend(filter.must_not.iter().map(|condition| of(condition).not(count)));
        if !filter.should.is_empty() {
            clauses.push(Estimate::at_least(1, &filter.should.iter().map(of).collect::<Vec<_>>(), count));
        }
        if let Some((least, conditions)) = &filter.min_should {
            clauses.push(Estimate::at_least(*least, &conditions.iter().map(of).collect::<Vec<_>>(), count));
        }
        Estimate::all(&clauses, count)
    }

    fn estimate_condition(&self, condition: &Condition, rows: RowSource<'_>, count: usize) -> Estimate {
        let known = match condition {
            Condition::Field(path, test) => self.at(path).map(|field| field.estimate(test, count)),
            Condition::Count(path, range) => {
                self.at(path).map(|field| Estimate::exact(field.counting(range, count).len()))
            }
            Condition::IsEmpty(path) => self.at(path).map(|field| Estimate::exact(count - field.filled_len())),
            Condition::IsNull(path) => self.at(path).map(|field| Estimate::exact(field.null_len())),
            Condition::HasId(ids) => Some(Estimate::exact(ids.iter().filter(|&&id| (rows.slot)(id).is_some()).count())),
            Condition::HasVector(name) => Some(Estimate::exact((rows.having)(name).len())),
            Condition::Nested(path, _) => self.at(path).map(|field| Estimate::between(0, field.filled_len())),
            Condition::Filter(filter) => Some(self.estimate_filter(filter, rows, count)),
        };
        known.unwrap_or(Estimate::between(0, count))
    }
}

impl Filter {
    /// This filter with its texts divided as `fields` say, whether there are indexes of them or not.
    pub fn bound_to(&self, fields: &[IndexedField]) -> Filter {
        let field = |path: &PayloadPath| fields.iter().find(|field| field.path() == path);
        bind(self, &|path| field(path).and_then(|field| field.of().tokenizer()))
    }
}

/// `filter` with its texts divided as `tokenizer` says of their paths. What is nested keeps the default: its paths begin elsewhere.
fn bind(filter: &Filter, tokenizer: &dyn Fn(&PayloadPath) -> Option<Tokenizer>) -> Filter {
    let condition = |condition: &Condition| match condition {
        Condition::Field(path, Test::Text(query)) => {
            let query = tokenizer(path).map_or_else(|| query.clone(), |tokenizer| query.by(tokenizer));
            Condition::Field(path.clone(), Test::Text(query))
        }
        Condition::Filter(inner) => Condition::Filter(bind(inner, tokenizer)),
        other => other.clone(),
    };
    let all = |conditions: &[Condition]| conditions.iter().map(condition).collect();
    Filter {
        must: all(&filter.must),
        should: all(&filter.should),
        must_not: all(&filter.must_not),
        min_should: filter.min_should.as_ref().map(|(least, conditions)| (*least, all(conditions))),
    }
}
