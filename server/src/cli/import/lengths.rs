//! [`Lengths`]: how long the vectors of a file are.

use std::collections::BTreeMap;

use anyhow::ensure;
use serde_json::{Value, json};

use super::source::Row;
use crate::dto::{Distance, VectorsOut};

/// How long vectors are, by name; the one without a name is called "".
#[derive(Debug, Default)]
pub(super) struct Lengths(BTreeMap<String, usize>);

impl Lengths {
    /// Takes note of the vectors of one more row, which must be as long as those before.
    pub(super) fn add(&mut self, Row { vectors, place, .. }: &Row) -> anyhow::Result<()> {
        let mut add = |name: &str, vector: &[f32]| {
            let found = vector.len();
            let expected = *self.0.entry(name.into()).or_insert(found);
            let called = if name.is_empty() { String::new() } else { format!(" `{name}`") };
            ensure!(found == expected, "{place}: a vector{called} of {found} numbers, expected {expected}");
            Ok(())
        };
        match vectors {
            VectorsOut::One(vector) => add("", vector),
            VectorsOut::Named(vectors) => vectors.iter().try_for_each(|(name, vector)| add(name, vector)),
        }
    }

    /// The vectors of a collection for those seen, as requests have them.
    pub(super) fn schema(&self, distance: Distance) -> anyhow::Result<Value> {
        ensure!(!self.0.is_empty(), "no row has a vector");
        let of = |size| json!({"size": size, "distance": distance});
        let named = || self.0.iter().map(|(name, size)| (name.clone(), of(size))).collect();
        Ok(self.0.get("").map_or_else(|| Value::Object(named()), of))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(vectors: VectorsOut) -> Row {
        Row { id: None, vectors, payload: Default::default(), place: "row 7".into() }
    }

    #[test]
    fn a_vector_is_as_long_as_those_of_its_name_before() {
        let named = |vectors: &[(&str, usize)]| {
            row(VectorsOut::Named(vectors.iter().map(|&(name, len)| (name.into(), vec![0.5; len])).collect()))
        };
        let mut lengths = Lengths::default();
        assert_eq!(lengths.schema(Distance::Dot).unwrap_err().to_string(), "no row has a vector");
        for vectors in [named(&[]), named(&[("a", 2)]), named(&[("b", 3)]), named(&[("a", 2), ("b", 3)])] {
            lengths.add(&vectors).unwrap();
        }
        let error = lengths.add(&named(&[("a", 2), ("b", 2)])).unwrap_err().to_string();
        assert_eq!(error, "row 7: a vector `b` of 2 numbers, expected 3");
        let of = |size: usize| json!({"size": size, "distance": "Dot"});
        assert_eq!(lengths.schema(Distance::Dot).unwrap(), json!({"a": of(2), "b": of(3)}));

        let mut one = Lengths::default();
        one.add(&row(VectorsOut::One(vec![1.0]))).unwrap();
        let error = one.add(&row(VectorsOut::One(vec![1.0, 2.0]))).unwrap_err().to_string();
        assert_eq!(error, "row 7: a vector of 2 numbers, expected 1");
        assert_eq!(one.schema(Distance::Dot).unwrap(), of(1));
    }
}
