//! How much of a point goes into an answer.

use serde_json::Value;
use vicino_index::collection::{Payload, PointView};

use super::error::ApiError;
use crate::dto::{ExcludeKeys, IncludeKeys, Record, WithPayload, WithVector};

/// What is wanted of each point, checked.
#[derive(Debug, Clone)]
pub(super) struct Selection {
    payload: PayloadPart,
    vector: bool,
}

#[derive(Debug, Clone)]
enum PayloadPart {
    All,
    Nothing,
    Only(Vec<Path>),
    Without(Vec<Path>),
}

/// The keys that lead to a value through nested objects.
type Path = Vec<String>;

impl Selection {
    /// Reads what a request wants; `all_by_default` is for those that return payloads unless told otherwise.
    pub(super) fn new(
        payload: Option<WithPayload>,
        vector: Option<WithVector>,
        all_by_default: bool,
    ) -> Result<Self, ApiError> {
        let payload = match payload.unwrap_or(WithPayload::All(all_by_default)) {
            WithPayload::All(true) => PayloadPart::All,
            WithPayload::All(false) => PayloadPart::Nothing,
            WithPayload::Keys(keys) | WithPayload::Include(IncludeKeys { include: keys }) => {
                PayloadPart::Only(paths(&keys)?)
            }
            WithPayload::Exclude(ExcludeKeys { exclude }) => PayloadPart::Without(paths(&exclude)?),
        };
        let vector = match vector {
            None => false,
            Some(WithVector::All(wanted)) => wanted,
            Some(WithVector::Named(names)) => {
                names.iter().try_for_each(|name| only_default(name))?;
                !names.is_empty()
            }
        };
        Ok(Selection { payload, vector })
    }

    /// Payload and vector.
    pub(super) fn everything() -> Self {
        Selection { payload: PayloadPart::All, vector: true }
    }

    pub(super) fn payload(&self, point: PointView<'_>) -> Option<Payload> {
        match &self.payload {
            PayloadPart::All => Some(point.payload()),
            PayloadPart::Nothing => None,
            PayloadPart::Only(paths) => Some(only(&point.payload(), &tails(paths))),
            PayloadPart::Without(paths) => Some(without(&point.payload(), &tails(paths))),
        }
    }

    pub(super) fn vector(&self, point: PointView<'_>) -> Option<Vec<f32>> {
        self.vector.then(|| point.vector())
    }

    pub(super) fn record(&self, point: PointView<'_>) -> Record {
        Record { id: point.id(), payload: self.payload(point), vector: self.vector(point) }
    }
}

/// Checks the name of a vector: the default one, "", is the only one there is.
pub(super) fn only_default(name: &str) -> Result<(), ApiError> {
    if name.is_empty() { Ok(()) } else { Err(ApiError::WrongInput(format!("Not existing vector name error: {name}"))) }
}

pub(super) fn paths(keys: &[String]) -> Result<Vec<Path>, ApiError> {
    let path = |key: &String| {
        if key.contains(['[', ']', '"']) {
            return Err(ApiError::unserved(&format!("payload key `{key}`: an array or quoted part")));
        }
        Ok(key.split('.').map(String::from).collect())
    };
    keys.iter().map(path).collect()
}

fn tails(paths: &[Path]) -> Vec<&[String]> {
    paths.iter().map(Vec::as_slice).collect()
}

/// What is left of those `paths` that begin with `key`.
fn below<'a>(paths: &[&'a [String]], key: &str) -> Vec<&'a [String]> {
    paths.iter().filter_map(|path| path.split_first()).filter(|(head, _)| *head == key).map(|(_, tail)| tail).collect()
}

fn only(object: &Payload, paths: &[&[String]]) -> Payload {
    let mut kept = Payload::new();
    for (key, value) in object {
        let tails = below(paths, key);
        if tails.iter().any(|tail| tail.is_empty()) {
            kept.insert(key.clone(), value.clone());
        } else if let (Value::Object(inner), false) = (value, tails.is_empty()) {
            kept.insert(key.clone(), only(inner, &tails).into());
        }
    }
    kept
}

fn without(object: &Payload, paths: &[&[String]]) -> Payload {
    let mut kept = Payload::new();
    for (key, value) in object {
        let tails = below(paths, key);
        if tails.iter().any(|tail| tail.is_empty()) {
            continue;
        }
        let value = match value {
            Value::Object(inner) if !tails.is_empty() => without(inner, &tails).into(),
            other => other.clone(),
        };
        kept.insert(key.clone(), value);
    }
    kept
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_keep_and_drop_nested_keys() {
        let payload = json!({"a": 1, "b": {"c": 2, "d": {"e": 3, "f": 4}}, "g": [5]});
        let payload = payload.as_object().unwrap();
        let cut = |cut: fn(&Payload, &[&[String]]) -> Payload, keys: &[&str]| {
            let keys: Vec<String> = keys.iter().map(|&key| key.into()).collect();
            Value::from(cut(payload, &tails(&paths(&keys).unwrap())))
        };
        assert_eq!(cut(only, &["a", "b.d.e", "x"]), json!({"a": 1, "b": {"d": {"e": 3}}}));
        assert_eq!(cut(without, &["a", "b.d.e", "x"]), json!({"b": {"c": 2, "d": {"f": 4}}, "g": [5]}));
        assert_eq!(cut(only, &["a.b"]), json!({}));
        assert!(paths(&["g[]".into()]).is_err());
    }
}
