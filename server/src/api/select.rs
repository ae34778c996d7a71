//! How much of a point goes into an answer.

use serde_json::Value;
use vicino_index::collection::{Collection, Payload, PointView};

use super::error::ApiError;
use crate::dto::{ExcludeKeys, IncludeKeys, Record, VectorsOut, WithPayload, WithVector};

/// What is wanted of each point, checked.
#[derive(Debug, Clone)]
pub(super) struct Selection {
    payload: PayloadPart,
    vectors: VectorsPart,
}

#[derive(Debug, Clone)]
enum VectorsPart {
    All,
    Nothing,
    Named(Vec<String>),
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
        let vectors = match vector {
            None | Some(WithVector::All(false)) => VectorsPart::Nothing,
            Some(WithVector::All(true)) => VectorsPart::All,
            Some(WithVector::Named(names)) if names.is_empty() => VectorsPart::Nothing,
            Some(WithVector::Named(names)) => VectorsPart::Named(names),
        };
        Ok(Selection { payload, vectors })
    }

    /// Payload and vectors.
    pub(super) fn everything() -> Self {
        Selection { payload: PayloadPart::All, vectors: VectorsPart::All }
    }

    /// Checks that `collection` has the vectors that are named.
    pub(super) fn check(&self, collection: &Collection) -> Result<(), ApiError> {
        let VectorsPart::Named(names) = &self.vectors else { return Ok(()) };
        match names.iter().find(|name| collection.schema().vectors.get(name).is_none()) {
            Some(name) => Err(ApiError::NoVector(name.clone())),
            None => Ok(()),
        }
    }

    pub(super) fn payload(&self, point: PointView<'_>) -> Option<Payload> {
        match &self.payload {
            PayloadPart::All => Some(point.payload()),
            PayloadPart::Nothing => None,
            PayloadPart::Only(paths) => Some(only(&point.payload(), &tails(paths))),
            PayloadPart::Without(paths) => Some(without(&point.payload(), &tails(paths))),
        }
    }

    pub(super) fn vectors(&self, point: PointView<'_>) -> Option<VectorsOut> {
        match &self.vectors {
            VectorsPart::All => VectorsOut::of(point, |_| true),
            VectorsPart::Nothing => None,
            VectorsPart::Named(names) => VectorsOut::of(point, |name| names.iter().any(|wanted| wanted == name)),
        }
    }

    pub(super) fn record(&self, point: PointView<'_>) -> Record {
        Record { id: point.id(), payload: self.payload(point), vector: self.vectors(point) }
    }
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
