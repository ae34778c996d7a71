//! [`FilterIn`]: a filter as requests write it.
//!
//! `{"must": […], "should": […], "must_not": […], "min_should": {"conditions": […], "min_count": n}}`; a condition is
//! `{"key": …, "match" | "range" | "geo_…" | "values_count": …}`, `{"is_empty": {"key": …}}`, `{"is_null": …}`, `{"has_id": […]}`,
//! `{"has_vector": NAME}`, `{"nested": {"key": …, "filter": …}}` or again a filter. Read from JSON by hand, so that an error names its place.

use serde::Deserialize;
use serde::de::{Deserializer, Error};
use serde_json::{Map, Value};
use vicino_index::PointId;
use vicino_index::filter::{
    Condition, Filter, GeoArea, GeoPoint, Moment, PayloadPath, Range, Scalar, Test, TextMode, TextQuery,
};

/// The deepest nesting of filters.
pub const MAX_FILTER_DEPTH: usize = 16;
/// The most conditions in one list.
pub const MAX_CONDITIONS: usize = 1024;

/// A filter, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct FilterIn(pub Filter);

impl<'de> Deserialize<'de> for FilterIn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        filter(&value, MAX_FILTER_DEPTH).map(FilterIn).map_err(|Problem { place, what }| {
            let what = if place.is_empty() { what } else { format!("{}: {what}", place.trim_start_matches('.')) };
            D::Error::custom(what)
        })
    }
}

/// What is wrong, and where.
struct Problem {
    place: String,
    what: String,
}

type Parsed<T> = Result<T, Problem>;

fn problem<T>(what: impl Into<String>) -> Parsed<T> {
    Err(Problem { place: String::new(), what: what.into() })
}

/// Puts `place` before that of a problem.
trait At {
    fn at(self, place: impl std::fmt::Display) -> Self;
}

impl<T> At for Parsed<T> {
    fn at(self, place: impl std::fmt::Display) -> Self {
        self.map_err(|problem| Problem { place: format!("{place}{}", problem.place), ..problem })
    }
}

fn object(value: &Value) -> Parsed<&Map<String, Value>> {
    value.as_object().map_or_else(|| problem(format!("{}: expected an object", short(value))), Ok)
}

/// `value` in a few letters.
fn short(value: &Value) -> String {
    value.to_string().chars().take(40).collect()
}

fn text(value: &Value) -> Parsed<&str> {
    value.as_str().map_or_else(|| problem(format!("{}: expected a string", short(value))), Ok)
}

fn number(value: &Value) -> Parsed<f64> {
    value.as_f64().map_or_else(|| problem(format!("{}: expected a number", short(value))), Ok)
}

fn list(value: &Value) -> Parsed<&Vec<Value>> {
    value.as_array().map_or_else(|| problem(format!("{}: expected a list", short(value))), Ok)
}

/// The value of `key`, which must be there.
fn required<'a>(object: &'a Map<String, Value>, key: &str) -> Parsed<&'a Value> {
    object.get(key).map_or_else(|| problem(format!("expected `{key}`")), Ok)
}

/// Refuses keys other than `known`.
fn only(object: &Map<String, Value>, known: &[&str]) -> Parsed<()> {
    match object.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => problem(format!("unknown `{key}`: expected {}", known.join(", "))),
    }
}

fn path(value: &Value) -> Parsed<PayloadPath> {
    PayloadPath::parse(text(value)?).or_else(|error| problem(error.to_string()))
}

const CLAUSES: [&str; 4] = ["must", "should", "must_not", "min_should"];

fn filter(value: &Value, depth: usize) -> Parsed<Filter> {
    if depth == 0 {
        return problem(format!("filters nested more than {MAX_FILTER_DEPTH} deep"));
    }
    let given = object(value)?;
    only(given, &CLAUSES)?;
    let clause = |name: &str| match given.get(name) {
        None => Ok(Vec::new()),
        Some(value) => conditions(value, depth).at(format_args!(".{name}")),
    };
    let min_should = match given.get("min_should") {
        None | Some(Value::Null) => None,
        Some(value) => Some(min_should(value, depth).at(".min_should")?),
    };
    Ok(Filter { must: clause("must")?, should: clause("should")?, must_not: clause("must_not")?, min_should })
}

fn min_should(value: &Value, depth: usize) -> Parsed<(usize, Vec<Condition>)> {
    let given = object(value)?;
    only(given, &["conditions", "min_count"])?;
    let least = required(given, "min_count")?;
    let Some(least) = least.as_u64() else { return problem(format!("min_count {}: expected a count", short(least))) };
    let conditions = conditions(required(given, "conditions")?, depth).at(".conditions")?;
    Ok((usize::try_from(least).unwrap_or(usize::MAX), conditions))
}

/// One condition, or a list of them.
fn conditions(value: &Value, depth: usize) -> Parsed<Vec<Condition>> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(values) if values.len() > MAX_CONDITIONS => {
            problem(format!("{} conditions: expected at most {MAX_CONDITIONS}", values.len()))
        }
        Value::Array(values) => {
            let numbered = values.iter().enumerate();
            numbered.map(|(at, value)| condition(value, depth).at(format_args!("[{at}]"))).collect()
        }
        value => Ok(vec![condition(value, depth)?]),
    }
}

fn condition(value: &Value, depth: usize) -> Parsed<Condition> {
    let given = object(value)?;
    if given.contains_key("key") {
        return field(given);
    }
    let Some((kind, value)) = given.iter().next() else { return problem("an empty condition") };
    if CLAUSES.contains(&kind.as_str()) {
        return filter(&Value::Object(given.clone()), depth - 1).map(Condition::Filter);
    }
    let known = ["is_empty", "is_null", "has_id", "has_vector", "nested"];
    if !known.contains(&kind.as_str()) {
        let what = if kind == "slice" { "not supported yet" } else { "no condition" };
        return problem(format!("`{kind}`: {what}; expected a `key`, a filter, or {}", known.join(", ")));
    }
    only(given, &[kind])?;
    let key = |value: &Value| path(required(object(value)?, "key")?);
    let read = || match kind.as_str() {
        "is_empty" => key(value).map(Condition::IsEmpty),
        "is_null" => key(value).map(Condition::IsNull),
        "has_vector" => text(value).map(|name| Condition::HasVector(name.into())),
        "nested" => {
            let inner = object(value)?;
            only(inner, &["key", "filter"])?;
            let filter = filter(required(inner, "filter")?, depth - 1).at(".filter")?;
            Ok(Condition::Nested(key(value)?, filter))
        }
        _ => {
            let id = |value: &Value| match PointId::deserialize(value) {
                Ok(id) => Ok(id),
                Err(_) => problem(format!("{}: expected {}", short(value), PointId::EXPECTED)),
            };
            Ok(Condition::HasId(list(value)?.iter().map(id).collect::<Parsed<_>>()?))
        }
    };
    read().at(format_args!(".{kind}"))
}

const TESTS: [&str; 8] =
    ["match", "range", "geo_bounding_box", "geo_radius", "geo_polygon", "values_count", "is_empty", "is_null"];

/// `{"key": …, TEST: …}`.
fn field(given: &Map<String, Value>) -> Parsed<Condition> {
    let path = path(&given["key"]).at(".key")?;
    let mut tests = given.iter().filter(|(name, value)| *name != "key" && !value.is_null());
    let (Some((name, value)), None) = (tests.next(), tests.next()) else {
        return problem(format!("expected one of {} beside `key`", TESTS.join(", ")));
    };
    let flag = |condition: Condition| match value.as_bool() {
        Some(true) => Ok(condition),
        Some(false) => Ok(Condition::Filter(Filter { must_not: vec![condition], ..Filter::default() })),
        None => problem("expected a boolean"),
    };
    match name.as_str() {
        "match" => equality(value).map(|test| Condition::Field(path, test)),
        "range" => range(value).map(|test| Condition::Field(path, test)),
        "values_count" => bounds(value, number).map(|range| Condition::Count(path, range)),
        "geo_bounding_box" | "geo_radius" | "geo_polygon" => {
            area(name, value).map(|area| Condition::Field(path, Test::Geo(area)))
        }
        "is_empty" => flag(Condition::IsEmpty(path)),
        "is_null" => flag(Condition::IsNull(path)),
        other => problem(format!("unknown `{other}`: expected one of {}", TESTS.join(", "))),
    }
    .at(format_args!(".{name}"))
}

const MATCHES: [&str; 7] = ["value", "any", "except", "text", "text_any", "phrase", "prefix"];

fn equality(value: &Value) -> Parsed<Test> {
    let given = object(value)?;
    let (Some((kind, value)), 1) = (given.iter().next(), given.len()) else {
        return problem(format!("expected one of {}", MATCHES.join(", ")));
    };
    let scalar = |value: &Value| match Scalar::of(value) {
        Some(scalar) => Ok(scalar),
        None => problem(format!("{}: expected a string, an integer or a boolean", short(value))),
    };
    let scalars = |value: &Value| list(value)?.iter().map(scalar).collect::<Parsed<_>>();
    let words = |mode| text(value).map(|words| Test::Text(TextQuery::new(words, mode)));
    match kind.as_str() {
        "value" => scalar(value).map(Test::Equal),
        "any" => scalars(value).map(Test::Any),
        "except" => scalars(value).map(Test::Except),
        "text" => words(TextMode::All),
        "text_any" => words(TextMode::Any),
        "phrase" => words(TextMode::Phrase),
        "prefix" => text(value).map(|prefix| Test::Prefix(prefix.into())),
        _ => problem(format!("unknown: expected one of {}", MATCHES.join(", "))),
    }
    .at(format_args!(".{kind}"))
}

/// A range of numbers, or of moments where a bound is a string.
fn range(value: &Value) -> Parsed<Test> {
    if object(value)?.values().any(Value::is_string) {
        let moment = |value: &Value| match Moment::parse(text(value)?) {
            Some(moment) => Ok(moment),
            None => problem(format!("{}: expected a moment as RFC 3339 writes it", short(value))),
        };
        return bounds(value, moment).map(Test::Time);
    }
    bounds(value, number).map(Test::Range)
}

fn bounds<T>(value: &Value, read: impl Fn(&Value) -> Parsed<T>) -> Parsed<Range<T>> {
    let given = object(value)?;
    only(given, &["lt", "gt", "gte", "lte"])?;
    let bound = |name: &str| match given.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => read(value).at(format_args!(".{name}")).map(Some),
    };
    Ok(Range { lt: bound("lt")?, gt: bound("gt")?, gte: bound("gte")?, lte: bound("lte")? })
}

fn area(kind: &str, value: &Value) -> Parsed<GeoArea> {
    let given = object(value)?;
    let point = |value: &Value| match GeoPoint::of(value) {
        Some(point) => Ok(point),
        None => problem(format!("{}: expected {{\"lon\": -180..=180, \"lat\": -90..=90}}", short(value))),
    };
    let at = |name: &str| point(required(given, name)?).at(format_args!(".{name}"));
    match kind {
        "geo_bounding_box" => {
            only(given, &["top_left", "bottom_right"])?;
            Ok(GeoArea::Box { top_left: at("top_left")?, bottom_right: at("bottom_right")? })
        }
        "geo_radius" => {
            only(given, &["center", "radius"])?;
            let metres = number(required(given, "radius")?).at(".radius")?;
            Ok(GeoArea::Radius { center: at("center")?, metres })
        }
        _ => {
            only(given, &["exterior", "interiors"])?;
            let ring = |value: &Value| {
                let given = object(value)?;
                only(given, &["points"])?;
                let points: Vec<GeoPoint> =
                    list(required(given, "points")?)?.iter().map(point).collect::<Parsed<_>>()?;
                let closed = points.len() >= 4 && points.first() == points.last();
                if closed { Ok(points) } else { problem("expected 4 points or more, the last of which is the first") }
            };
            let interiors = match given.get("interiors") {
                None | Some(Value::Null) => Vec::new(),
                Some(value) => list(value)?.iter().map(ring).collect::<Parsed<_>>().at(".interiors")?,
            };
            Ok(GeoArea::Polygon { exterior: ring(required(given, "exterior")?).at(".exterior")?, interiors })
        }
    }
}
