//! [`Typed`]: a value of a column, as a vector, an id or JSON.

use anyhow::{Context, bail, ensure};
use parquet::record::{Field, Row};
use serde_json::{Map, Number, Value};
use uuid::Uuid;

use super::kind::Kind;
use crate::calendar;
use crate::cli::import::columns::{Cell, short};

/// A value and its kind.
pub(super) struct Typed<'a> {
    pub(super) field: Field,
    pub(super) kind: &'a Kind,
}

impl Cell for Typed<'_> {
    fn is_null(&self) -> bool {
        matches!(self.field, Field::Null)
    }

    fn vector(&self) -> anyhow::Result<Vec<f32>> {
        let Some((list, kind)) = elements(&self.field, self.kind) else {
            bail!("expected a list of numbers, found {}", found(&self.field, self.kind));
        };
        let number = |(at, element): (usize, &Field)| {
            let Some(number) = number(element) else {
                bail!("[{at}]: expected a number, found {}", found(element, kind));
            };
            ensure!((number as f32).is_finite(), "[{at}]: expected a number that fits 32-bit floats, found {number}");
            Ok(number as f32)
        };
        list.iter().enumerate().map(number).collect()
    }

    fn parts(self) -> Result<Vec<(String, Self)>, Self> {
        match (self.field, self.kind) {
            (Field::Group(row), Kind::Struct(kinds)) => {
                let parts = row.into_columns().into_iter().zip(kinds);
                Ok(parts.map(|((name, field), kind)| (name, Typed { field, kind })).collect())
            }
            (field, kind) => Err(Typed { field, kind }),
        }
    }

    fn value(self) -> anyhow::Result<Option<Value>> {
        Ok(Some(value(&self.field, self.kind)?).filter(|value| !value.is_null()))
    }
}

/// What the list `field` holds and of which kind, unless it is none.
fn elements<'a>(field: &'a Field, kind: &'a Kind) -> Option<(&'a [Field], &'a Kind)> {
    let Field::ListInternal(list) = field else { return None };
    match (kind, list.elements()) {
        (Kind::Wrapped(inner), [list]) => elements(list, inner),
        (Kind::Wrapped(inner) | Kind::List(inner), elements) => Some((elements, inner)),
        _ => unreachable!("the schema says what is a list"),
    }
}

/// `field` in a few letters.
fn found(field: &Field, kind: &Kind) -> String {
    value(field, kind).map_or_else(|error| format!("{error:#}"), |value| short(&value))
}

/// The number that `field` is, unless it is none.
fn number(field: &Field) -> Option<f64> {
    Some(match *field {
        Field::Float16(number) => number.to_f64(),
        Field::Float(number) => number.into(),
        Field::Double(number) => number,
        Field::Byte(number) => number.into(),
        Field::Short(number) => number.into(),
        Field::Int(number) => number.into(),
        Field::Long(number) => number as f64,
        Field::UByte(number) => number.into(),
        Field::UShort(number) => number.into(),
        Field::UInt(number) => number.into(),
        Field::ULong(number) => number as f64,
        _ => return None,
    })
}

/// `field` as JSON; null if it is NaN.
fn value(field: &Field, kind: &Kind) -> anyhow::Result<Value> {
    Ok(match field {
        Field::Null => Value::Null,
        Field::Bool(value) => (*value).into(),
        Field::Byte(number) => (*number).into(),
        Field::Short(number) => (*number).into(),
        Field::UByte(number) => (*number).into(),
        Field::UShort(number) => (*number).into(),
        Field::UInt(number) => (*number).into(),
        Field::ULong(number) => (*number).into(),
        Field::Int(number) | Field::TimeMillis(number) => whole((*number).into(), kind)?,
        Field::Long(number)
        | Field::TimeMicros(number)
        | Field::TimestampMillis(number)
        | Field::TimestampMicros(number) => whole(*number, kind)?,
        // The shortest text that means this float, not the nearest double: 0.1 stays 0.1.
        Field::Float16(number) => float(number.to_f32().to_string().parse()?)?,
        Field::Float(number) => float(number.to_string().parse()?)?,
        Field::Double(number) => float(*number)?,
        Field::Decimal(_) => float(field.to_string().parse()?)?,
        Field::Date(days) => date((*days).into())?.into(),
        Field::Str(text) => self::text(text, kind)?,
        Field::Bytes(bytes) => match kind {
            Kind::Uuid => Uuid::from_slice(bytes.data())?.to_string().into(),
            _ => match std::str::from_utf8(bytes.data()) {
                Ok(text) => self::text(text, kind)?,
                Err(_) => bail!("expected text, found {} other bytes (--payload chooses columns)", bytes.len()),
            },
        },
        Field::Group(row) => match kind {
            Kind::Struct(kinds) => object(row, kinds)?,
            _ => unreachable!("the schema says what is a struct"),
        },
        Field::ListInternal(_) => {
            let (elements, kind) = elements(field, kind).expect("it is a list");
            let values = elements.iter().map(|element| value(element, kind));
            Value::Array(values.collect::<anyhow::Result<_>>()?)
        }
        Field::MapInternal(map) => {
            let Kind::Map(kinds) = kind else { unreachable!("the schema says what is a map") };
            let entries = map.entries().iter().map(|(key, field)| {
                let key = match value(key, &kinds[0])? {
                    Value::String(text) => text,
                    key => key.to_string(),
                };
                Ok((key, value(field, &kinds[1])?))
            });
            Value::Object(entries.collect::<anyhow::Result<_>>()?)
        }
    })
}

/// A struct, without its nulls.
fn object(row: &Row, kinds: &[Kind]) -> anyhow::Result<Value> {
    let mut object = Map::new();
    for ((name, field), kind) in row.get_column_iter().zip(kinds) {
        let value = value(field, kind).with_context(|| format!("`{name}`"))?;
        if !value.is_null() {
            object.insert(name.clone(), value);
        }
    }
    Ok(Value::Object(object))
}

fn text(text: &str, kind: &Kind) -> anyhow::Result<Value> {
    match kind {
        Kind::Json => serde_json::from_str(text).context("expected JSON"),
        _ => Ok(text.into()),
    }
}

/// NaN is how pandas writes that there is no number.
fn float(number: f64) -> anyhow::Result<Value> {
    ensure!(!number.is_infinite(), "expected a finite number, found {number}");
    Ok(Number::from_f64(number).map_or(Value::Null, Value::Number))
}

/// A whole number, or the time it is.
fn whole(number: i64, kind: &Kind) -> anyhow::Result<Value> {
    Ok(match *kind {
        Kind::Time(a_second) => clock(number, a_second).into(),
        Kind::Timestamp(a_second) => {
            let a_day = 86_400 * a_second;
            format!("{}T{}Z", date(number.div_euclid(a_day))?, clock(number.rem_euclid(a_day), a_second)).into()
        }
        _ => number.into(),
    })
}

/// `days` after 1970-01-01, as RFC 3339 writes it.
fn date(days: i64) -> anyhow::Result<String> {
    let (year, month, day) = calendar::date(days);
    ensure!((0..10_000).contains(&year), "expected a year of 0 to 9999, found {year}");
    Ok(format!("{year:04}-{month:02}-{day:02}"))
}

/// A time of day, with a fraction of the second if there is one.
fn clock(since_midnight: i64, a_second: i64) -> String {
    let (second, fraction) = (since_midnight / a_second, since_midnight % a_second);
    let clock = format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60);
    match fraction {
        0 => clock,
        _ => format!("{clock}.{fraction:0width$}", width = a_second.ilog10() as usize),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn typed(field: Field, kind: &Kind) -> Result<Option<Value>, String> {
        Typed { field, kind }.value().map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn values_become_json() {
        let micros = 1_709_210_096_789_000;
        for (field, kind, expected) in [
            (Field::ULong(u64::MAX), Kind::Plain, json!(u64::MAX)),
            (Field::Byte(-1), Kind::Plain, json!(-1)),
            (Field::Float(0.1), Kind::Plain, json!(0.1)),
            (Field::Double(0.1), Kind::Plain, json!(0.1)),
            (Field::Date(-719_528), Kind::Plain, json!("0000-01-01")),
            (Field::Int(3_723_004), Kind::Time(1_000), json!("01:02:03.004")),
            (Field::TimestampMicros(micros), Kind::Timestamp(1_000_000), json!("2024-02-29T12:34:56.789000Z")),
            (Field::Long(-1), Kind::Timestamp(1_000_000_000), json!("1969-12-31T23:59:59.999999999Z")),
            (Field::TimestampMillis(86_400_000), Kind::Timestamp(1_000), json!("1970-01-02T00:00:00Z")),
            (Field::Str("{\"a\": 1}".into()), Kind::Json, json!({"a": 1})),
            (Field::Str("{\"a\": 1}".into()), Kind::Plain, json!("{\"a\": 1}")),
            (Field::Bytes(b"old text".to_vec().into()), Kind::Plain, json!("old text")),
            (Field::Bytes(vec![0x0f; 16].into()), Kind::Uuid, json!("0f0f0f0f-0f0f-0f0f-0f0f-0f0f0f0f0f0f")),
        ] {
            assert_eq!(typed(field, &kind), Ok(Some(expected)));
        }
        assert_eq!(typed(Field::Null, &Kind::Uuid), Ok(None));
        assert_eq!(typed(Field::Double(f64::NAN), &Kind::Plain), Ok(None));
        for (field, kind, words) in [
            (Field::Double(f64::INFINITY), Kind::Plain, "expected a finite number, found inf"),
            (Field::Date(i32::MAX), Kind::Plain, "expected a year of 0 to 9999, found 5881580"),
            (Field::Long(i64::MIN), Kind::Timestamp(1_000), "expected a year of 0 to 9999"),
            (Field::Bytes(vec![255; 3].into()), Kind::Plain, "expected text, found 3 other bytes (--payload"),
            (Field::Str("{".into()), Kind::Json, "expected JSON"),
        ] {
            let error = typed(field, &kind).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
