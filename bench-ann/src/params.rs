//! An engine's parameters: names and plain values, as a sweep lists them and as a result records them.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Named values in a fixed order.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Params(pub Map<String, Value>);

impl Params {
    /// As the type an engine expects. Errors on a name that is missing, unknown or of the wrong type, and says which.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_value(Value::Object(self.0.clone()))
    }
}

impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (name, value)) in self.0.iter().enumerate() {
            let gap = if i == 0 { "" } else { " " };
            match value {
                Value::String(text) => write!(f, "{gap}{name}={text}")?,
                other => write!(f, "{gap}{name}={other}")?,
            }
        }
        Ok(())
    }
}
