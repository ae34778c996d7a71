//! [`Encoders`]: the models that turn texts into vectors, by the names that requests call them.
//!
//! The encoder that comes with the program is always among them; it is made ready when it is first needed. A model also answers to
//! its id, which says what it was made of.

use std::fmt;
use std::iter;

use vicino_embed::{DenseEncoder, StaticEncoder};

use super::error::ApiError;

/// What requests call the encoder that comes with the program.
pub const MODEL: &str = "static";

/// The models that are served; by default the one that comes with the program.
#[derive(Default)]
pub struct Encoders {
    added: Vec<(String, Box<dyn DenseEncoder>)>,
}

/// A name that is no model's, or another's already.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelNameError {
    /// Nothing.
    #[error("a model's name: expected at least one character")]
    Empty,
    /// A model of this name or id is served.
    #[error("model `{0}` is served already: expected another name")]
    Taken(String),
}

impl Encoders {
    /// Serves `encoder` as `name`, which must not be a name or id of one that is served.
    pub fn add(&mut self, name: String, encoder: Box<dyn DenseEncoder>) -> Result<(), ModelNameError> {
        if name.is_empty() {
            return Err(ModelNameError::Empty);
        }
        if self.find(&name).is_some() {
            return Err(ModelNameError::Taken(name));
        }
        self.added.push((name, encoder));
        Ok(())
    }

    /// All of them by name, the one that comes with the program first, then as they were added.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &dyn DenseEncoder)> {
        let builtin = iter::once_with(|| (MODEL, StaticEncoder::builtin() as &dyn DenseEncoder));
        builtin.chain(self.added.iter().map(|(name, encoder)| (name.as_str(), &**encoder)))
    }

    /// The model of this name, or else of this id.
    pub(super) fn get(&self, name: &str) -> Result<&dyn DenseEncoder, ApiError> {
        self.find(name).ok_or_else(|| {
            let names: Vec<String> = self.iter().map(|(name, _)| format!("`{name}`")).collect();
            ApiError::WrongInput(format!(
                "model `{name}`: expected {} or the id of one (`GET /v1/models` lists them); \
                 `vicino serve --encoder NAME=MODEL` serves another",
                names.join(", ")
            ))
        })
    }

    fn find(&self, name: &str) -> Option<&dyn DenseEncoder> {
        let named = self.iter().find(|(other, _)| *other == name);
        named.or_else(|| self.iter().find(|(_, encoder)| encoder.model_id() == name)).map(|(_, encoder)| encoder)
    }
}

impl fmt::Debug for Encoders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|(name, _)| name)).finish()
    }
}
