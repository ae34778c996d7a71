//! [`IndexedField`]: which part of a payload is indexed, and as what.

use serde::{Deserialize, Serialize};

use super::FieldType;
use crate::filter::path::{PathError, PayloadPath};

/// A path that is indexed, as it was written, and the type of its values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct IndexedField {
    text: String,
    path: PayloadPath,
    of: FieldType,
}

/// What is kept of it in files.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    path: String,
    of: FieldType,
}

impl IndexedField {
    /// An index of `path` for values of a type.
    pub fn new(path: &str, of: FieldType) -> Result<Self, PathError> {
        Ok(IndexedField { text: path.into(), path: PayloadPath::parse(path)?, of })
    }

    /// The path as it was written.
    pub fn name(&self) -> &str {
        &self.text
    }

    /// The path.
    pub fn path(&self) -> &PayloadPath {
        &self.path
    }

    /// The type of its values.
    pub fn of(&self) -> FieldType {
        self.of
    }
}

impl TryFrom<Written> for IndexedField {
    type Error = PathError;

    fn try_from(Written { path, of }: Written) -> Result<Self, PathError> {
        Self::new(&path, of)
    }
}

impl From<IndexedField> for Written {
    fn from(field: IndexedField) -> Self {
        Written { path: field.text, of: field.of }
    }
}
