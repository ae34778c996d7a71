//! [`Unserved`]: a field that is known, not served yet, and therefore refused by name.

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Reads `null` and `false`, which ask for nothing; any other value is an error.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unserved;

impl<'de> Deserialize<'de> for Unserved {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Nothing)
    }
}

fn refused<E: Error>() -> Result<Unserved, E> {
    Err(E::custom("not supported yet"))
}

struct Nothing;

impl<'de> Visitor<'de> for Nothing {
    type Value = Unserved;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("nothing, since this is not supported yet")
    }

    fn visit_unit<E: Error>(self) -> Result<Unserved, E> {
        Ok(Unserved)
    }

    fn visit_bool<E: Error>(self, asked: bool) -> Result<Unserved, E> {
        if asked { refused() } else { Ok(Unserved) }
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Unserved, E> {
        refused()
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Unserved, E> {
        refused()
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Unserved, E> {
        refused()
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Unserved, E> {
        refused()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Unserved, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        refused()
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unserved, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        refused()
    }
}
