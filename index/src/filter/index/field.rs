//! [`FieldIndex`]: the index of one path.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::ops::Bound;

use roaring::RoaringBitmap;
use serde_json::{Map, Value};

use super::FieldType;
use super::geo::Places;
use super::ordered::Ordered;
use super::rows::{Rows, mask_of};
use super::text::Texts;
use crate::filter::geo::GeoPoint;
use crate::filter::path::PayloadPath;
use crate::filter::time::Moment;
use crate::filter::{Answer, Estimate, Range, Scalar, Test, TextQuery, count, has_null, has_value};
use crate::ids::Slot;
use crate::mask::Mask;

/// Hands out rows by value, and says whether they are all there are.
type Counts<'a> = dyn FnMut(&mut dyn FnMut(&Rows)) -> bool + 'a;

/// A number that has an order. There is no NaN in JSON.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Number(f64);

impl Eq for Number {}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        // Zero and minus zero are one number.
        self.0.partial_cmp(&other.0).unwrap_or_else(|| self.0.total_cmp(&other.0))
    }
}

#[derive(Debug, Clone)]
enum Values {
    Keyword(Ordered<String>),
    Integer(Ordered<i64>),
    Float(Ordered<Number>),
    Bool(Ordered<bool>),
    Datetime(Ordered<Moment>),
    Uuid(Ordered<u128>),
    Geo(Places),
    Text(Texts),
}

/// The index of one path over the rows of one segment.
#[derive(Debug, Clone)]
pub struct FieldIndex {
    of: FieldType,
    values: Values,
    /// Rows that have a value that is neither null nor of the type.
    other: RoaringBitmap,
    /// Rows that are not empty there.
    filled: RoaringBitmap,
    null: RoaringBitmap,
    /// Rows by how many values they have, but for those that have none.
    counts: Ordered<u32>,
}

/// The number behind a UUID written as Qdrant answers it: only such texts are equal exactly if their numbers are.
fn uuid(text: &str) -> Option<u128> {
    let hyphen = |at: usize| matches!(at, 8 | 13 | 18 | 23);
    let well_formed = |(at, letter): (usize, u8)| match letter {
        b'-' => hyphen(at),
        b'0'..=b'9' | b'a'..=b'f' => !hyphen(at),
        _ => false,
    };
    let is_uuid = text.len() == 36 && text.bytes().enumerate().all(well_formed);
    is_uuid.then(|| u128::from_str_radix(&text.replace('-', ""), 16).ok())?
}

/// The values at `path`, the elements of arrays one by one.
fn each<'a>(path: &PayloadPath, payload: &'a Map<String, Value>, mut take: impl FnMut(&'a Value)) {
    path.any(payload, &mut |value| {
        match value {
            Value::Array(values) => values.iter().for_each(&mut take),
            value => take(value),
        }
        false
    });
}

impl FieldIndex {
    /// Of no row yet.
    pub fn new(of: FieldType) -> Self {
        let values = match of {
            FieldType::Keyword => Values::Keyword(Ordered::default()),
            FieldType::Integer => Values::Integer(Ordered::default()),
            FieldType::Float => Values::Float(Ordered::default()),
            FieldType::Bool => Values::Bool(Ordered::default()),
            FieldType::Datetime => Values::Datetime(Ordered::default()),
            FieldType::Uuid => Values::Uuid(Ordered::default()),
            FieldType::Geo => Values::Geo(Places::default()),
            FieldType::Text(options) => Values::Text(Texts::new(options)),
        };
        let (other, filled, null) = (RoaringBitmap::new(), RoaringBitmap::new(), RoaringBitmap::new());
        FieldIndex { of, values, other, filled, null, counts: Ordered::default() }
    }

    /// The type of its values.
    pub fn of(&self) -> FieldType {
        self.of
    }

    /// Rows that have a value.
    pub fn len(&self) -> usize {
        self.filled.len() as usize
    }

    /// Whether no row has a value.
    pub fn is_empty(&self) -> bool {
        self.filled.is_empty()
    }

    pub(crate) fn insert(&mut self, slot: Slot, path: &PayloadPath, payload: &Map<String, Value>) {
        let row = slot.0;
        let (mut filled, mut null) = (false, false);
        path.any(payload, &mut |value| {
            filled |= has_value(value);
            null |= has_null(value);
            false
        });
        if null {
            self.null.insert(row);
        }
        let count = count(path, payload) as u32;
        if count > 0 {
            self.counts.insert(count, row);
        }
        if !filled {
            return;
        }
        self.filled.insert(row);
        let mut texts = Vec::new();
        each(path, payload, |value| {
            let known = match &mut self.values {
                Values::Keyword(rows) => value.as_str().map(|text| rows.insert(text.to_owned(), row)),
                Values::Integer(rows) => value.as_i64().map(|number| rows.insert(number, row)),
                Values::Float(rows) => value.as_f64().map(|number| rows.insert(Number(number), row)),
                Values::Bool(rows) => value.as_bool().map(|truth| rows.insert(truth, row)),
                Values::Datetime(rows) => value.as_str().and_then(Moment::parse).map(|moment| rows.insert(moment, row)),
                Values::Uuid(rows) => value.as_str().and_then(uuid).map(|number| rows.insert(number, row)),
                Values::Geo(places) => GeoPoint::of(value).map(|place| places.insert(place, row)),
                Values::Text(_) => value.as_str().map(|text| texts.push(text)),
            };
            if known.is_none() && !value.is_null() {
                self.other.insert(row);
            }
        });
        if let Values::Text(index) = &mut self.values {
            index.insert(row, &texts);
        }
    }

    pub(super) fn remove(&mut self, slot: Slot, path: &PayloadPath, payload: &Map<String, Value>) {
        let row = slot.0;
        self.counts.remove(&(count(path, payload) as u32), row);
        for rows in [&mut self.null, &mut self.filled, &mut self.other] {
            rows.remove(row);
        }
        let mut texts = Vec::new();
        each(path, payload, |value| match &mut self.values {
            Values::Keyword(rows) => value.as_str().into_iter().for_each(|text| rows.remove(&text.to_owned(), row)),
            Values::Integer(rows) => value.as_i64().into_iter().for_each(|number| rows.remove(&number, row)),
            Values::Float(rows) => value.as_f64().into_iter().for_each(|number| rows.remove(&Number(number), row)),
            Values::Bool(rows) => value.as_bool().into_iter().for_each(|truth| rows.remove(&truth, row)),
            Values::Datetime(rows) => {
                value.as_str().and_then(Moment::parse).into_iter().for_each(|moment| rows.remove(&moment, row));
            }
            Values::Uuid(rows) => value.as_str().and_then(uuid).into_iter().for_each(|id| rows.remove(&id, row)),
            Values::Geo(places) => GeoPoint::of(value).into_iter().for_each(|place| places.remove(place, row)),
            Values::Text(_) => texts.extend(value.as_str()),
        });
        if let Values::Text(index) = &mut self.values {
            index.remove(row, &texts);
        }
    }

    pub(crate) fn seal(&mut self) {
        self.counts.seal();
        match &mut self.values {
            Values::Keyword(rows) => rows.seal(),
            Values::Bool(rows) => rows.seal(),
            Values::Integer(rows) => rows.seal_ranges(),
            Values::Float(rows) => rows.seal_ranges(),
            Values::Datetime(rows) => rows.seal_ranges(),
            Values::Text(texts) => texts.seal(),
            Values::Uuid(_) | Values::Geo(_) => {}
        }
    }

    pub(crate) fn filled(&self, rows: usize) -> Mask {
        mask_of(&self.filled, rows)
    }

    pub(super) fn filled_len(&self) -> usize {
        self.filled.len() as usize
    }

    pub(super) fn null(&self, rows: usize) -> Mask {
        mask_of(&self.null, rows)
    }

    pub(super) fn null_len(&self) -> usize {
        self.null.len() as usize
    }

    /// The rows that have so many values.
    pub(super) fn counting(&self, range: &Range<f64>, rows: usize) -> Mask {
        let (mut counted, mut within) = (Mask::none(rows), Mask::none(rows));
        for (&count, found) in self.counts.iter() {
            found.add_to(&mut counted);
            if range.holds(&f64::from(count)) {
                found.add_to(&mut within);
            }
        }
        if range.holds(&0.0) {
            within.or(&counted.inverted());
        }
        within
    }

    /// Rows that have one of `scalars`, which are of its type; whether all of them are.
    fn having(&self, scalars: &mut dyn Iterator<Item = &Scalar>, take: &mut dyn FnMut(&Rows)) -> bool {
        let mut all = true;
        for scalar in scalars {
            let found = match (&self.values, scalar) {
                (Values::Keyword(rows), Scalar::Text(text)) => rows.get(text.as_str()),
                (Values::Integer(rows), Scalar::Integer(number)) => rows.get(number),
                (Values::Bool(rows), Scalar::Bool(truth)) => rows.get(truth),
                (Values::Uuid(rows), Scalar::Text(text)) => match uuid(text) {
                    Some(number) => rows.get(&number),
                    None => {
                        all = false;
                        None
                    }
                },
                _ => {
                    all = false;
                    None
                }
            };
            found.into_iter().for_each(&mut *take);
        }
        all
    }

    /// Whether equality is decided by this index for values of its type.
    fn knows_equality(&self) -> bool {
        matches!(self.values, Values::Keyword(_) | Values::Integer(_) | Values::Bool(_) | Values::Uuid(_))
    }

    fn other(&self, rows: usize) -> Mask {
        mask_of(&self.other, rows)
    }

    /// Which of `rows` rows pass `test`.
    pub(super) fn answer(&self, test: &Test, rows: usize) -> Answer {
        let mut sure = Mask::none(rows);
        match (&self.values, test) {
            (_, Test::Equal(scalar)) if self.knows_equality() => {
                let all = self.having(&mut std::iter::once(scalar), &mut |found| found.add_to(&mut sure));
                if all { Answer::exact(sure) } else { Answer::of(sure, self.other(rows)) }
            }
            (_, Test::Any(scalars)) if self.knows_equality() => {
                let all = self.having(&mut scalars.iter(), &mut |found| found.add_to(&mut sure));
                if all { Answer::exact(sure) } else { Answer::of(sure, self.other(rows)) }
            }
            (_, Test::Except(scalars)) if self.knows_equality() => {
                self.values_outside(scalars, &mut |found| found.add_to(&mut sure));
                let others = self.other(rows);
                // A value of another type is none of these, unless one of these is of another type.
                if self.having(&mut scalars.iter(), &mut |_| ()) {
                    sure.or(&others);
                    return Answer::exact(sure);
                }
                Answer::of(sure, others)
            }
            (Values::Keyword(index), Test::Prefix(prefix)) => {
                let beginning = index.from(prefix.as_str()).take_while(|(key, _)| key.starts_with(prefix.as_str()));
                beginning.for_each(|(_, found)| found.add_to(&mut sure));
                Answer::exact(sure)
            }
            (Values::Integer(index), Test::Range(range)) => {
                if let Some((from, to)) = whole(range) {
                    index.range((Bound::Included(&from), Bound::Included(&to)), &mut sure);
                }
                Answer::of(sure, self.other(rows))
            }
            (Values::Float(index), Test::Range(range)) => {
                let range = range.map(Number);
                index.range(bounds(&range), &mut sure);
                Answer::exact(sure)
            }
            (Values::Datetime(index), Test::Time(range)) => {
                index.range(bounds(range), &mut sure);
                Answer::exact(sure)
            }
            (Values::Geo(places), Test::Geo(area)) => {
                places.within(area, &mut sure);
                Answer::exact(sure)
            }
            (Values::Text(texts), Test::Text(query)) if divided_alike(self.of, query) => texts.answer(query, rows),
            _ => Answer::unknown(self.filled(rows)),
        }
    }

    /// Rows that have a value of the type that is none of `scalars`.
    fn values_outside(&self, scalars: &HashSet<Scalar>, take: &mut dyn FnMut(&Rows)) {
        match &self.values {
            Values::Keyword(index) => index
                .iter()
                .filter(|(key, _)| !scalars.contains(&Scalar::Text((*key).clone())))
                .for_each(|(_, rows)| take(rows)),
            Values::Integer(index) => index
                .iter()
                .filter(|(key, _)| !scalars.contains(&Scalar::Integer(**key)))
                .for_each(|(_, rows)| take(rows)),
            Values::Bool(index) => {
                index
                    .iter()
                    .filter(|(key, _)| !scalars.contains(&Scalar::Bool(**key)))
                    .for_each(|(_, rows)| take(rows));
            }
            Values::Uuid(index) => {
                let excluded: HashSet<u128> = scalars
                    .iter()
                    .filter_map(|scalar| if let Scalar::Text(text) = scalar { uuid(text) } else { None })
                    .collect();
                index.iter().filter(|(key, _)| !excluded.contains(key)).for_each(|(_, rows)| take(rows));
            }
            Values::Float(_) | Values::Datetime(_) | Values::Geo(_) | Values::Text(_) => {}
        }
    }

    /// How many of `rows` rows pass `test`.
    pub(super) fn estimate(&self, test: &Test, rows: usize) -> Estimate {
        let other = self.other.len() as usize;
        // Of several values a row may have more than one.
        let sum = |counts: &mut Counts<'_>| {
            let (mut least, mut most) = (0, 0);
            let all = counts(&mut |found| {
                least = found.len().max(least);
                most += found.len();
            });
            let most = most.min(rows);
            let found = Estimate { min: least, expected: most as f64, max: most };
            if all { found } else { found.and_maybe(other, rows) }
        };
        match (&self.values, test) {
            (_, Test::Equal(scalar)) if self.knows_equality() => {
                sum(&mut |take| self.having(&mut std::iter::once(scalar), take))
            }
            (_, Test::Any(scalars)) if self.knows_equality() => sum(&mut |take| self.having(&mut scalars.iter(), take)),
            (_, Test::Except(scalars)) if self.knows_equality() => sum(&mut |take| {
                self.values_outside(scalars, take);
                false
            }),
            (Values::Keyword(index), Test::Prefix(prefix)) => sum(&mut |take| {
                let beginning = index.from(prefix.as_str()).take_while(|(key, _)| key.starts_with(prefix.as_str()));
                beginning.for_each(|(_, found)| take(found));
                true
            }),
            (Values::Integer(index), Test::Range(range)) => {
                let found = match whole(range) {
                    Some((from, to)) => index.count((Bound::Included(&from), Bound::Included(&to))),
                    None => (0, 0),
                };
                counted(found, rows).and_maybe(other, rows)
            }
            (Values::Float(index), Test::Range(range)) => counted(index.count(bounds(&range.map(Number))), rows),
            (Values::Datetime(index), Test::Time(range)) => counted(index.count(bounds(range)), rows),
            (Values::Geo(places), Test::Geo(area)) => Estimate::between(0, places.at_most(area).min(rows)),
            (Values::Text(texts), Test::Text(query)) if divided_alike(self.of, query) => texts.estimate(query, rows),
            _ => Estimate::between(0, self.filled_len()),
        }
    }
}

/// Whether texts under `of` are divided as `query` is.
fn divided_alike(of: FieldType, query: &TextQuery) -> bool {
    matches!(of, FieldType::Text(options) if options.tokenizer == query.tokenizer())
}

fn counted((least, most): (usize, usize), rows: usize) -> Estimate {
    let most = most.min(rows);
    Estimate { min: least.min(most), expected: most as f64, max: most }
}

impl<T: Copy + PartialOrd> Range<T> {
    fn map<U>(&self, of: impl Fn(T) -> U) -> Range<U> {
        Range { lt: self.lt.map(&of), gt: self.gt.map(&of), gte: self.gte.map(&of), lte: self.lte.map(&of) }
    }
}

/// The narrower of two bounds on each side, as a tree takes them.
fn bounds<K: Ord>(range: &Range<K>) -> (Bound<&K>, Bound<&K>) {
    let from = match (&range.gte, &range.gt) {
        (Some(closed), None) => Bound::Included(closed),
        (Some(closed), Some(open)) if open < closed => Bound::Included(closed),
        (_, Some(open)) => Bound::Excluded(open),
        (None, None) => Bound::Unbounded,
    };
    let to = match (&range.lte, &range.lt) {
        (Some(closed), None) => Bound::Included(closed),
        (Some(closed), Some(open)) if open > closed => Bound::Included(closed),
        (_, Some(open)) => Bound::Excluded(open),
        (None, None) => Bound::Unbounded,
    };
    (from, to)
}

/// The first and the last whole number whose float lies within `range`, if there is one. Floats of whole numbers rise with them.
fn whole(range: &Range<f64>) -> Option<(i64, i64)> {
    let below = |number: i64| {
        let number = number as f64;
        range.gt.is_some_and(|bound| number <= bound) || range.gte.is_some_and(|bound| number < bound)
    };
    let above = |number: i64| {
        let number = number as f64;
        range.lt.is_some_and(|bound| number >= bound) || range.lte.is_some_and(|bound| number > bound)
    };
    let from = first(&|number| !below(number))?;
    let to = match first(&above) {
        None => i64::MAX,
        Some(i64::MIN) => return None,
        Some(after) => after - 1,
    };
    (from <= to).then_some((from, to))
}

/// The first whole number for which `holds`, which holds for all beyond it.
fn first(holds: &dyn Fn(i64) -> bool) -> Option<i64> {
    let (mut low, mut high) = (i128::from(i64::MIN), i128::from(i64::MAX) + 1);
    while low < high {
        let middle = (low + high).div_euclid(2);
        if holds(middle as i64) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    i64::try_from(low).ok()
}
