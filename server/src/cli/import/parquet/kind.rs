//! [`Kind`]: what the values of a column are, by its schema.
//!
//! A record has for a value what its bytes are; that they are nanoseconds or a UUID is in the schema alone. Its lists follow the rules of
//! `LogicalTypes.md` of parquet-format, those for files of older writers too.

use anyhow::{bail, ensure};
use parquet::basic::{ConvertedType, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::schema::types::{Type, TypePtr};

/// What a value is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// What its record says: a number, a text, a date, …
    Plain,
    /// Text that is JSON.
    Json,
    Uuid,
    /// Since midnight, this many a second.
    Time(i64),
    /// Since 1970-01-01, this many a second.
    Timestamp(i64),
    List(Box<Kind>),
    /// A list, which the record has within another one.
    Wrapped(Box<Kind>),
    /// Keys and values.
    Map(Box<[Kind; 2]>),
    Struct(Vec<Kind>),
}

impl Kind {
    /// That of a column or a part of one.
    pub(super) fn of(field: &Type) -> anyhow::Result<Self> {
        let info = field.get_basic_info();
        ensure!(info.has_repetition(), "`{}`: expected a repetition, found none", field.name());
        let kind = match (field, info.converted_type()) {
            (Type::PrimitiveType { physical_type, .. }, converted) => {
                Self::primitive(*physical_type, converted, info.logical_type_ref(), field.name())?
            }
            (Type::GroupType { fields, .. }, ConvertedType::LIST) => return Self::list(field.name(), fields),
            (Type::GroupType { fields, .. }, ConvertedType::MAP | ConvertedType::MAP_KEY_VALUE) => {
                return Self::map(field.name(), fields);
            }
            (Type::GroupType { fields, .. }, _) => {
                ensure!(!fields.is_empty(), "`{}`: expected a struct of some fields, found none", field.name());
                Kind::Struct(fields.iter().map(|field| Self::of(field)).collect::<anyhow::Result<_>>()?)
            }
        };
        Ok(if is_repeated(field) { Kind::List(Box::new(kind)) } else { kind })
    }

    fn primitive(
        physical: Physical,
        converted: ConvertedType,
        logical: Option<&LogicalType>,
        name: &str,
    ) -> anyhow::Result<Self> {
        let a_second = |unit: TimeUnit| match unit {
            TimeUnit::MILLIS => 1_000,
            TimeUnit::MICROS => 1_000_000,
            TimeUnit::NANOS => 1_000_000_000,
        };
        Ok(match (logical, converted) {
            (Some(LogicalType::Time(time)), _) => Kind::Time(a_second(time.unit)),
            (Some(LogicalType::Timestamp(time)), _) => Kind::Timestamp(a_second(time.unit)),
            (Some(LogicalType::Uuid), _) => Kind::Uuid,
            (_, ConvertedType::TIME_MILLIS) => Kind::Time(1_000),
            (_, ConvertedType::TIME_MICROS) => Kind::Time(1_000_000),
            (_, ConvertedType::TIMESTAMP_MILLIS) => Kind::Timestamp(1_000),
            (_, ConvertedType::TIMESTAMP_MICROS) => Kind::Timestamp(1_000_000),
            (_, ConvertedType::JSON) => Kind::Json,
            (_, ConvertedType::INTERVAL) => bail!("`{name}`: intervals are not read"),
            // What these are is milliseconds by the time a record has them.
            _ if physical == Physical::INT96 => Kind::Timestamp(1_000),
            _ => Kind::Plain,
        })
    }

    fn list(name: &str, fields: &[TypePtr]) -> anyhow::Result<Self> {
        let [repeated] = fields else { bail!("list `{name}`: expected one field, found {}", fields.len()) };
        ensure!(is_repeated(repeated), "list `{name}`: expected a repeated field, found `{}`", repeated.name());
        if is_element(repeated) {
            return Ok(Kind::Wrapped(Box::new(Self::of(repeated)?)));
        }
        let Some(element) = repeated.get_fields().first() else {
            bail!("list `{name}`: expected elements, found none")
        };
        Ok(Kind::List(Box::new(Self::of(element)?)))
    }

    fn map(name: &str, fields: &[TypePtr]) -> anyhow::Result<Self> {
        let [entry] = fields else { bail!("map `{name}`: expected one field, found {}", fields.len()) };
        ensure!(
            entry.is_group() && is_repeated(entry),
            "map `{name}`: expected a repeated group, found `{}`",
            entry.name()
        );
        match entry.get_fields() {
            // A set.
            [key] => Ok(Kind::List(Box::new(Self::of(key)?))),
            [key, value] => Ok(Kind::Map(Box::new([Self::of(key)?, Self::of(value)?]))),
            fields => bail!("map `{name}`: expected keys and values, found {} fields", fields.len()),
        }
    }
}

fn is_repeated(field: &Type) -> bool {
    let info = field.get_basic_info();
    info.has_repetition() && info.repetition() == Repetition::REPEATED
}

/// Whether the repeated field of a list is itself what the list holds, as it was with older writers.
fn is_element(repeated: &Type) -> bool {
    let Type::GroupType { fields, .. } = repeated else { return true };
    let holds_one = fields.len() == 1;
    let is_list = repeated.get_basic_info().converted_type() == ConvertedType::LIST;
    let of_lists = is_list || holds_one && is_repeated(&fields[0]);
    !of_lists && (!holds_one || repeated.name() == "array" || repeated.name().ends_with("_tuple"))
}

#[cfg(test)]
mod tests {
    use parquet::schema::parser::parse_message_type;

    use super::*;

    fn kind(column: &str) -> anyhow::Result<Kind> {
        let schema = parse_message_type(&format!("message m {{ {column} }}")).unwrap();
        Kind::of(&schema.get_fields()[0])
    }

    fn list(kind: Kind) -> Kind {
        Kind::List(Box::new(kind))
    }

    #[test]
    fn columns_are_of_kinds() {
        for (column, expected) in [
            ("required float x;", Kind::Plain),
            ("optional binary x (UTF8);", Kind::Plain),
            ("optional binary x (JSON);", Kind::Json),
            ("required fixed_len_byte_array(16) x (UUID);", Kind::Uuid),
            ("required int32 x (TIME(MILLIS,true));", Kind::Time(1_000)),
            ("required int64 x (TIMESTAMP(NANOS,false));", Kind::Timestamp(1_000_000_000)),
            ("required int64 x (TIMESTAMP_MICROS);", Kind::Timestamp(1_000_000)),
            ("required int96 x;", Kind::Timestamp(1_000)),
            ("repeated float x;", list(Kind::Plain)),
            ("repeated group x { required int32 a; }", list(Kind::Struct(vec![Kind::Plain]))),
            (
                "optional group x { optional int32 a; required binary b (JSON); }",
                Kind::Struct(vec![Kind::Plain, Kind::Json]),
            ),
            ("optional group x (LIST) { repeated group list { optional float element; } }", list(Kind::Plain)),
            ("optional group x (LIST) { repeated float array; }", Kind::Wrapped(Box::new(list(Kind::Plain)))),
            (
                "optional group x (LIST) { repeated group array { required float a; } }",
                Kind::Wrapped(Box::new(list(Kind::Struct(vec![Kind::Plain])))),
            ),
            (
                "optional group x (LIST) { repeated group array (LIST) { repeated int32 array; } }",
                list(list(Kind::Plain)),
            ),
            (
                "optional group x (MAP) { repeated group key_value { required binary k (UTF8); optional binary v (JSON); } }",
                Kind::Map(Box::new([Kind::Plain, Kind::Json])),
            ),
            ("optional group x (MAP) { repeated group key_value { required binary k (UTF8); } }", list(Kind::Plain)),
        ] {
            assert_eq!(kind(column).unwrap(), expected, "{column}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (column, words) in [
            ("required fixed_len_byte_array(12) x (INTERVAL);", "`x`: intervals are not read"),
            (
                "optional group x (LIST) { optional float element; }",
                "list `x`: expected a repeated field, found `element`",
            ),
            (
                "optional group x (LIST) { repeated float a; repeated float b; }",
                "list `x`: expected one field, found 2",
            ),
            ("optional group x (MAP) { repeated float a; }", "map `x`: expected a repeated group, found `a`"),
        ] {
            let error = kind(column).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
