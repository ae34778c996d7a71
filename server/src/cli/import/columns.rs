//! Which part of a row is its id, which its vector, and which its payload.

use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Map, Value};

use super::source::Row;

/// What the columns of a file, or the keys of its objects, are called.
#[derive(Debug, Clone, Args)]
pub(super) struct ColumnArgs {
    /// The column of ids; without it row N, from 0, becomes point N
    #[arg(long, value_name = "COLUMN", default_value = "id")]
    id: String,
    /// The column of vectors [default: `vector`, or else `embedding`; `train` of an HDF5 file]
    #[arg(long, value_name = "COLUMN")]
    pub(super) vector: Option<String>,
    /// Columns of the payload [default: the object in column `payload`, and every other column]
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',')]
    payload: Option<Vec<String>>,
}

/// Where the payload may lie as one object.
const PAYLOAD: &str = "payload";

impl ColumnArgs {
    /// The row that `fields` are; `place` says where it is. Unless `vector`, it has none.
    pub(super) fn row(&self, mut fields: Map<String, Value>, vector: bool, place: String) -> anyhow::Result<Row> {
        let mut read = || {
            let id = fields.shift_remove(&self.id).filter(|id| !id.is_null());
            let vector = if vector { self.take_vector(&mut fields)? } else { Vec::new() };
            anyhow::Ok((id, vector, self.take_payload(&mut fields)?))
        };
        let (id, vector, payload) = read().with_context(|| place.clone())?;
        Ok(Row { id, vector, payload, place })
    }

    fn take_vector(&self, fields: &mut Map<String, Value>) -> anyhow::Result<Vec<f32>> {
        let names: &[&str] = match &self.vector {
            Some(name) => &[name],
            None => &["vector", "embedding"],
        };
        let there = names.iter().find_map(|name| Some((*name, fields.shift_remove(*name)?)));
        let Some((name, value)) = there else {
            let found: Vec<&String> = fields.keys().collect();
            bail!("no column `{}` with a vector; there are {found:?} (--vector names it)", names.join("` or `"));
        };
        vector(&value).with_context(|| format!("column `{name}`"))
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

/// The vector that `value` is.
pub(super) fn vector(value: &Value) -> anyhow::Result<Vec<f32>> {
    let Value::Array(values) = value else { bail!("expected a list of numbers, found {}", short(value)) };
    let number = |(at, value): (usize, &Value)| {
        let number = value.as_f64().with_context(|| format!("[{at}]: expected a number, found {}", short(value)))?;
        let number = number as f32;
        if !number.is_finite() {
            bail!("[{at}]: expected a number that fits 32-bit floats, found {}", short(value));
        }
        Ok(number)
    };
    values.iter().enumerate().map(number).collect()
}

/// `value` in a few letters.
fn short(value: &Value) -> String {
    value.to_string().chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(columns: &ColumnArgs, value: Value) -> Result<(Option<Value>, Vec<f32>, Value), String> {
        let Value::Object(fields) = value else { panic!("an object") };
        let row = columns.row(fields, true, "row 7".into()).map_err(|error| format!("{error:#}"))?;
        Ok((row.id, row.vector, row.payload.into()))
    }

    #[test]
    fn columns_become_id_vector_and_payload() {
        let default = ColumnArgs { id: "id".into(), vector: None, payload: None };
        let whole = json!({"payload": {"a": 1}, "id": 3, "vector": [1, 0.5], "b": "x"});
        assert_eq!(row(&default, whole), Ok((Some(json!(3)), vec![1.0, 0.5], json!({"a": 1, "b": "x"}))));
        let bare = json!({"embedding": [1], "payload": null, "id": null});
        assert_eq!(row(&default, bare), Ok((None, vec![1.0], json!({}))));
        let chosen = ColumnArgs {
            id: "key".into(),
            vector: Some("v".into()),
            payload: Some(vec!["payload".into(), "c".into()]),
        };
        let fields = json!({"key": "k", "v": [2], "payload": "text", "b": 1});
        assert_eq!(row(&chosen, fields), Ok((Some(json!("k")), vec![2.0], json!({"payload": "text"}))));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_row() {
        let default = ColumnArgs { id: "id".into(), vector: None, payload: None };
        for (fields, words) in [
            (
                json!({"id": 1, "vec": [1]}),
                "row 7: no column `vector` or `embedding` with a vector; there are [\"vec\"]",
            ),
            (json!({"vector": 1}), "row 7: column `vector`: expected a list of numbers, found 1"),
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
