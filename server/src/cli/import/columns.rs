//! Which part of a row is its id, which its vectors, and which its payload.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Map, Value};

use super::source::Row;
use crate::dto::VectorsOut;

/// What the columns of a file, or the keys of its objects, are called.
#[derive(Debug, Clone, Args)]
pub(super) struct ColumnArgs {
    /// The column of ids; without it row N, from 0, becomes point N
    #[arg(long, value_name = "COLUMN", default_value = "id")]
    id: String,
    /// The column of vectors [default: `vector`, or else `embedding`; `train` of an HDF5 file]. An object in it has vectors by name.
    /// Several columns are vectors named like them, of which a point has those that are not null
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',')]
    vector: Option<Vec<String>>,
    /// Columns of the payload [default: the object in column `payload`, and every other column]
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',')]
    payload: Option<Vec<String>>,
}

/// Where the payload may lie as one object.
const PAYLOAD: &str = "payload";

/// What stands in a column of a row, in any format.
pub(super) trait Cell: Sized {
    fn is_null(&self) -> bool;
    /// The vector it is.
    fn vector(&self) -> anyhow::Result<Vec<f32>>;
    /// The parts it has by name, if it is an object; itself if not.
    fn parts(self) -> Result<Vec<(String, Self)>, Self>;
    /// What it is as an id or in a payload; `None` if nothing.
    fn value(self) -> anyhow::Result<Option<Value>>;

    /// The vector it is, or those it has by name.
    fn vectors(self) -> anyhow::Result<VectorsOut> {
        match self.parts() {
            Ok(parts) => named(parts),
            Err(cell) => cell.vector().map(VectorsOut::One),
        }
    }
}

/// The vectors that `cells` are, which are null where a point has none.
fn named<C: Cell>(cells: Vec<(String, C)>) -> anyhow::Result<VectorsOut> {
    let there = cells.into_iter().filter(|(_, cell)| !cell.is_null());
    let vectors = there.map(|(name, cell)| {
        let vector = cell.vector().with_context(|| format!("`{name}`"))?;
        Ok((name, vector))
    });
    vectors.collect::<anyhow::Result<BTreeMap<_, _>>>().map(VectorsOut::Named)
}

impl Cell for Value {
    fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    fn vector(&self) -> anyhow::Result<Vec<f32>> {
        let Value::Array(values) = self else { bail!("expected a list of numbers, found {}", short(self)) };
        let number = |(at, value): (usize, &Value)| {
            let found = value.as_f64().map(|number| number as f32);
            let found = found.with_context(|| format!("[{at}]: expected a number, found {}", short(value)))?;
            if !found.is_finite() {
                bail!("[{at}]: expected a number that fits 32-bit floats, found {}", short(value));
            }
            Ok(found)
        };
        values.iter().enumerate().map(number).collect()
    }

    fn parts(self) -> Result<Vec<(String, Self)>, Self> {
        match self {
            Value::Object(parts) => Ok(parts.into_iter().collect()),
            other => Err(other),
        }
    }

    fn value(self) -> anyhow::Result<Option<Value>> {
        Ok(Some(self))
    }
}

impl ColumnArgs {
    /// Whether column `name` of a file that has it matters.
    pub(super) fn read(&self, name: &str) -> bool {
        let Some(payload) = &self.payload else { return true };
        name == self.id
            || self.vectors().iter().any(|column| column == name)
            || payload.iter().any(|column| column == name)
    }

    /// The row whose columns are `fields`; `place` says where it is.
    pub(super) fn row<C: Cell>(
        &self,
        fields: impl IntoIterator<Item = (String, C)>,
        place: String,
    ) -> anyhow::Result<Row> {
        let mut fields: Vec<(String, C)> = fields.into_iter().collect();
        let read = || {
            let vectors = self.take_vectors(&mut fields)?;
            let mut values = Map::new();
            for (name, cell) in fields {
                let value = cell.value().with_context(|| format!("column `{name}`"))?;
                values.extend(value.map(|value| (name, value)));
            }
            anyhow::Ok((vectors, values))
        };
        let (vectors, values) = read().with_context(|| place.clone())?;
        self.beside(values, vectors, place)
    }

    /// The row with `vectors` whose other columns are `fields`.
    pub(super) fn beside(
        &self,
        mut fields: Map<String, Value>,
        vectors: VectorsOut,
        place: String,
    ) -> anyhow::Result<Row> {
        let id = fields.shift_remove(&self.id).filter(|id| !id.is_null());
        let payload = self.take_payload(&mut fields).with_context(|| place.clone())?;
        Ok(Row { id, vectors, payload, place })
    }

    /// The data set of vectors in an HDF5 file.
    pub(super) fn data_set(&self) -> anyhow::Result<&str> {
        match self.vector.as_deref() {
            None => Ok("train"),
            Some([name]) => Ok(name),
            Some(names) => bail!("--vector: expected the name of one data set, found {names:?}"),
        }
    }

    /// The columns of vectors, if they are chosen; the two that may be, if not.
    fn vectors(&self) -> Vec<String> {
        self.vector.clone().unwrap_or_else(|| vec!["vector".into(), "embedding".into()])
    }

    fn take_vectors<C: Cell>(&self, fields: &mut Vec<(String, C)>) -> anyhow::Result<VectorsOut> {
        let mut take = |names: &[String]| {
            let there = names.iter().find_map(|name| fields.iter().position(|(column, _)| column == name));
            there.map(|at| fields.remove(at)).with_context(|| {
                let (names, found) = (names.join("` or `"), fields.iter().map(|(column, _)| column));
                let found: Vec<&String> = found.collect();
                format!("no column `{names}` with a vector; there are {found:?} (--vector names it)")
            })
        };
        if let Some(names @ [_, _, ..]) = self.vector.as_deref() {
            let cells = names.iter().map(|name| take(std::slice::from_ref(name)));
            let cells = cells.collect::<anyhow::Result<Vec<(String, C)>>>()?;
            return named(cells).context("columns of vectors");
        }
        let (name, cell) = take(&self.vectors())?;
        cell.vectors().with_context(|| format!("column `{name}`"))
    }

    fn take_payload(&self, fields: &mut Map<String, Value>) -> anyhow::Result<Map<String, Value>> {
        if let Some(names) = &self.payload {
            return Ok(names.iter().filter_map(|name| fields.shift_remove_entry(name)).collect());
        }
        let mut payload = match fields.shift_remove(PAYLOAD) {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(object)) => object,
            Some(_) => bail!("column `{PAYLOAD}`: expected an object (--payload {PAYLOAD} takes any value)"),
        };
        for (key, value) in std::mem::take(fields) {
            if payload.contains_key(&key) {
                bail!("`{key}` is both a column and a key in column `{PAYLOAD}` (--payload chooses columns)");
            }
            payload.insert(key, value);
        }
        Ok(payload)
    }
}

/// `value` in a few letters.
pub(super) fn short(value: &Value) -> String {
    value.to_string().chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(columns: &ColumnArgs, value: Value) -> Result<(Option<Value>, VectorsOut, Value), String> {
        let Value::Object(fields) = value else { panic!("an object") };
        let row = columns.row(fields, "row 7".into()).map_err(|error| format!("{error:#}"))?;
        Ok((row.id, row.vectors, row.payload.into()))
    }

    fn names(names: &[&str]) -> Option<Vec<String>> {
        Some(names.iter().map(|&name| name.into()).collect())
    }

    #[test]
    fn columns_become_id_vector_and_payload() {
        let one = VectorsOut::One;
        let default = ColumnArgs { id: "id".into(), vector: None, payload: None };
        let whole = json!({"payload": {"a": 1}, "id": 3, "vector": [1, 0.5], "b": "x"});
        assert_eq!(row(&default, whole), Ok((Some(json!(3)), one(vec![1.0, 0.5]), json!({"a": 1, "b": "x"}))));
        let bare = json!({"embedding": [1], "payload": null, "id": null});
        assert_eq!(row(&default, bare), Ok((None, one(vec![1.0]), json!({}))));
        let chosen = ColumnArgs { id: "key".into(), vector: names(&["v"]), payload: names(&["payload", "c"]) };
        let fields = json!({"key": "k", "v": [2], "payload": "text", "b": 1});
        assert_eq!(row(&chosen, fields), Ok((Some(json!("k")), one(vec![2.0]), json!({"payload": "text"}))));
    }

    #[test]
    fn vectors_have_the_names_of_their_columns_or_of_the_parts_of_an_object() {
        let named = |vectors: &[(&str, f32)]| {
            VectorsOut::Named(vectors.iter().map(|&(name, number)| (name.into(), vec![number])).collect())
        };
        let default = ColumnArgs { id: "id".into(), vector: None, payload: None };
        for (vectors, expected) in [
            (json!({"a": [1], "b": [2]}), named(&[("a", 1.0), ("b", 2.0)])),
            (json!({"a": null, "b": [2]}), named(&[("b", 2.0)])),
            (json!({}), named(&[])),
        ] {
            assert_eq!(row(&default, json!({ "vector": vectors })), Ok((None, expected, json!({}))));
        }
        let several = ColumnArgs { vector: names(&["a", "b"]), ..default };
        let fields = json!({"a": [1], "b": null, "vector": [2]});
        assert_eq!(row(&several, fields), Ok((None, named(&[("a", 1.0)]), json!({"vector": [2]}))));
        for (fields, words) in [
            (json!({"a": [1]}), "row 7: no column `b` with a vector; there are []"),
            (json!({"a": [1], "b": 2}), "row 7: columns of vectors: `b`: expected a list of numbers, found 2"),
            (json!({"a": [1], "b": {"c": [2]}}), "`b`: expected a list of numbers, found {\"c\":[2]}"),
        ] {
            let error = row(&several, fields).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
        assert!(several.data_set().unwrap_err().to_string().contains("found [\"a\", \"b\"]"));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_row() {
        let default = ColumnArgs { id: "id".into(), vector: None, payload: None };
        for (fields, words) in [
            (
                json!({"id": 1, "vec": [1]}),
                "row 7: no column `vector` or `embedding` with a vector; there are [\"id\", \"vec\"]",
            ),
            (json!({"vector": 1}), "row 7: column `vector`: expected a list of numbers, found 1"),
            (json!({"vector": {"a": 1}}), "row 7: column `vector`: `a`: expected a list of numbers, found 1"),
            (json!({"vector": [1, null]}), "row 7: column `vector`: [1]: expected a number, found null"),
            (json!({"vector": [1e39]}), "[0]: expected a number that fits 32-bit floats"),
            (json!({"vector": [1], "payload": "cat"}), "row 7: column `payload`: expected an object"),
            (json!({"vector": [1], "payload": 5}), "row 7: column `payload`: expected an object"),
            (json!({"vector": [1], "payload": {"a": 1}, "a": 2}), "`a` is both a column and a key"),
        ] {
            let error = row(&default, fields).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
