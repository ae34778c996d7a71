//! What the id of a row is.

use std::collections::HashMap;

use anyhow::{bail, ensure};
use serde_json::Value;
use uuid::Uuid;
use vicino_index::PointId;
use vicino_index::collection::Payload;

use crate::cli::place::{Place, PointRow};

/// Reads ids the way the first row has them.
pub(super) struct Ids {
    /// Ids are texts, kept in the payload under this key.
    text_key: Option<String>,
    /// Whether rows have ids, once the first is known.
    given: Option<bool>,
}

impl Ids {
    pub(super) fn new(text_key: Option<String>) -> Self {
        Ids { text_key, given: None }
    }

    /// The id of row `number`, which has `given` in its column. A text is put into `payload`.
    pub(super) fn id(&mut self, given: Option<Value>, number: u64, payload: &mut Payload) -> anyhow::Result<PointId> {
        let expected = *self.given.get_or_insert(given.is_some());
        let Some(value) = given else {
            ensure!(!expected, "no id, which rows before have");
            ensure!(self.text_key.is_none(), "no id, which --string-ids asks for");
            return Ok(number.into());
        };
        ensure!(expected, "an id, {value}, which rows before do not have");
        match (value, &self.text_key) {
            (Value::String(text), Some(key)) => {
                let id = Uuid::new_v5(&Uuid::NAMESPACE_URL, text.as_bytes()).into();
                let other = payload.insert(key.clone(), text.into());
                ensure!(other.is_none(), "the payload has a key `{key}`, which --string-ids is to keep the id in");
                Ok(id)
            }
            (value, Some(_)) => bail!("id {value}: expected a text, as --string-ids says"),
            (Value::String(text), None) => match text.parse() {
                Ok(id) => Ok(id),
                Err(error) => bail!("{error} (--string-ids KEY takes any text)"),
            },
            (value, None) => match value.as_u64() {
                Some(number) => Ok(number.into()),
                None => bail!("id {value}: expected {}", PointId::EXPECTED),
            },
        }
    }

    /// Makes sure that no two texts share a UUID: none in `batch`, and none with a point that `place` has.
    pub(super) fn check(&self, place: &Place, batch: &[PointRow]) -> anyhow::Result<()> {
        let Some(key) = &self.text_key else { return Ok(()) };
        let mut texts: HashMap<PointId, &Value> = HashMap::new();
        let ids: Vec<PointId> = batch.iter().map(|point| point.id).collect();
        let stored = place.payloads(&ids)?;
        for PointRow { id, payload, .. } in batch.iter().chain(&stored) {
            let text = payload.get(key).unwrap_or(&Value::Null);
            let other = *texts.entry(*id).or_insert(text);
            ensure!(
                text == other,
                "ids {other} and {text} (in `{key}`) are both UUID {id}: nothing of this batch was stored"
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn all(text_key: Option<&str>, given: Vec<Option<Value>>) -> Result<Vec<String>, String> {
        let mut ids = Ids::new(text_key.map(String::from));
        let one = |(number, given)| ids.id(given, number, &mut Payload::new()).map(|id| id.to_string());
        (0..).zip(given).map(one).collect::<anyhow::Result<_>>().map_err(|error| error.to_string())
    }

    #[test]
    fn ids_are_numbers_uuids_texts_or_the_numbers_of_rows() {
        assert_eq!(all(None, vec![None, None]), Ok(vec!["0".into(), "1".into()]));
        let uuid = "f9168c5e-ceb2-4faa-b6bf-329bf39fa1e4";
        let mixed = vec![Some(json!(7)), Some(json!("8")), Some(json!(uuid.to_uppercase()))];
        assert_eq!(all(None, mixed), Ok(vec!["7".into(), "8".into(), uuid.into()]));
        // As Python's `uuid.uuid5(uuid.NAMESPACE_URL, "cat")`.
        let cat = "e242681a-dcaf-5f46-9914-f75a73e33d1a";
        assert_eq!(all(Some("name"), vec![Some(json!("cat"))]), Ok(vec![cat.into()]));
        for (given, words) in [
            (vec![Some(json!(1)), None], "no id, which rows before have"),
            (vec![None, Some(json!(1))], "an id, 1, which rows before do not have"),
            (vec![Some(json!("cat"))], "--string-ids"),
            (vec![Some(json!(-1))], "id -1: expected an unsigned 64-bit integer or a UUID"),
            (vec![Some(json!(1.5))], "id 1.5: expected"),
        ] {
            let error = all(None, given).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
