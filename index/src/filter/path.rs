//! [`PayloadPath`]: which part of a payload is meant.
//!
//! `a.b` is key `b` of the object at `a`; `a[]` is every element of the array at `a`, `a[2]` the third; `"a.b"` is the key that has a dot.

use serde_json::{Map, Value};

/// A way to values in a payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayloadPath {
    first: String,
    rest: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Every,
    At(usize),
}

/// A text that is no path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("payload path {path:?}: {what} at byte {at}")]
pub struct PathError {
    path: String,
    what: &'static str,
    at: usize,
}

impl PayloadPath {
    /// Reads a path.
    pub fn parse(path: &str) -> Result<Self, PathError> {
        let error = |what, rest: &str| PathError { path: path.into(), what, at: path.len() - rest.len() };
        let (first, mut text) = key(path).ok_or_else(|| error("expected a key", path))?;
        let mut rest = Vec::new();
        while !text.is_empty() {
            if let Some(after) = text.strip_prefix('.') {
                let (name, after) = key(after).ok_or_else(|| error("expected a key", after))?;
                rest.push(Step::Key(name));
                text = after;
            } else if let Some(after) = text.strip_prefix('[') {
                let (index, after) = after.split_once(']').ok_or_else(|| error("expected `]` after `[`", text))?;
                rest.push(match (index, index.parse()) {
                    ("", _) => Step::Every,
                    (_, Ok(index)) => Step::At(index),
                    _ => return Err(error("expected a number or nothing in brackets", text)),
                });
                text = after;
            } else {
                return Err(error("expected `.` or `[`", text));
            }
        }
        Ok(PayloadPath { first, rest })
    }

    /// Whether `found` holds for a value that the path leads to; asks no further once it does.
    pub(super) fn any<'a>(&self, payload: &'a Map<String, Value>, found: &mut dyn FnMut(&'a Value) -> bool) -> bool {
        payload.get(&self.first).is_some_and(|value| follow(value, &self.rest, found))
    }
}

/// The key that `text` begins with, and what is behind it.
fn key(text: &str) -> Option<(String, &str)> {
    if let Some(quoted) = text.strip_prefix('"') {
        let (name, rest) = quoted.split_once('"')?;
        return Some((name.into(), rest));
    }
    let end = text.find(['.', '[', ']', '"']).unwrap_or(text.len());
    (end > 0).then(|| (text[..end].into(), &text[end..]))
}

fn follow<'a>(value: &'a Value, steps: &[Step], found: &mut dyn FnMut(&'a Value) -> bool) -> bool {
    let Some((step, rest)) = steps.split_first() else { return found(value) };
    match (step, value) {
        (Step::Key(name), Value::Object(object)) => object.get(name).is_some_and(|value| follow(value, rest, found)),
        (Step::Every, Value::Array(values)) => values.iter().any(|value| follow(value, rest, found)),
        (Step::At(index), Value::Array(values)) => values.get(*index).is_some_and(|value| follow(value, rest, found)),
        _ => false,
    }
}
