//! How the graphs of a collection are laid out: Qdrant's `quantization_config`, and `vicino_config` with settings of our own.

use serde::{Deserialize, Serialize};
use vicino_index::LayoutPolicy;

use super::Unserved;

/// Qdrant's `quantization_config`. Vectors are kept beside their codes in any case, and results are scored on them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuantizationConfig {
    /// A byte for each coordinate: compact graphs, whose walks read four bits of it.
    #[serde(default)]
    pub scalar: Option<ScalarQuantization>,
    /// A bit for each coordinate: quantized graphs, which hold the bits of neighbours beside each node's links.
    #[serde(default)]
    pub binary: Option<BinaryQuantization>,
    /// Not served yet.
    #[serde(default)]
    pub product: Unserved,
}

impl QuantizationConfig {
    /// The layout that goes by this.
    pub fn policy(&self) -> Result<LayoutPolicy, &'static str> {
        match (&self.scalar, &self.binary) {
            (Some(_), None) => Ok(LayoutPolicy::Compact),
            (None, Some(_)) => Ok(LayoutPolicy::Quantized),
            _ => Err("expected one of `scalar` and `binary`"),
        }
    }
}

/// A byte for each coordinate.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScalarQuantization {
    /// The one there is.
    #[serde(rename = "type")]
    pub kind: ScalarType,
    /// The part of coordinates that Qdrant's range of bytes spans. Codes here span all that a rotation leaves, whatever this is.
    #[serde(default)]
    pub quantile: Option<f32>,
    /// Whether codes stay in memory: they lie in one mapped file with links and vectors, which stays as far as there is room.
    #[serde(default)]
    pub always_ram: Option<bool>,
    /// Not served yet.
    #[serde(default)]
    pub memory: Unserved,
}

/// What a coordinate becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScalarType {
    /// A byte.
    Int8,
}

/// A bit for each coordinate.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BinaryQuantization {
    /// As [`ScalarQuantization::always_ram`].
    #[serde(default)]
    pub always_ram: Option<bool>,
    /// The one there is.
    #[serde(default)]
    pub encoding: Option<BinaryEncoding>,
    /// Not served yet: a query is a table of what each four bits of a code add.
    #[serde(default)]
    pub query_encoding: Unserved,
    /// Not served yet.
    #[serde(default)]
    pub memory: Unserved,
}

/// How many bits a coordinate becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BinaryEncoding {
    /// One.
    OneBit,
}

/// Settings that Qdrant does not have.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VicinoConfig {
    /// The layout of graphs; absent: [`LayoutName::Auto`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<LayoutName>,
    /// Bytes that a vector may take with its codes and links, where the layout is chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_per_vector: Option<usize>,
    /// The recall of searches that do not say how far to look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_recall: Option<f32>,
}

/// The layouts there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LayoutName {
    /// The fastest that fits.
    Auto,
    /// A graph over vectors.
    Hnsw,
    /// A graph with codes of neighbours beside its links.
    Quantized,
    /// A graph with codes apart from its links.
    Compact,
}

impl LayoutName {
    /// The policy of this name, with so many bytes for a vector where it has a choice. Errors if it has none.
    pub fn policy(self, bytes_per_vector: Option<usize>) -> Result<LayoutPolicy, String> {
        let (name, named) = match self {
            LayoutName::Auto => return Ok(LayoutPolicy::Auto { bytes_per_vector }),
            LayoutName::Hnsw => ("hnsw", LayoutPolicy::Hnsw),
            LayoutName::Quantized => ("quantized", LayoutPolicy::Quantized),
            LayoutName::Compact => ("compact", LayoutPolicy::Compact),
        };
        match bytes_per_vector {
            None => Ok(named),
            Some(bytes) => Err(format!("value {bytes} beside layout `{name}`: expected layout `auto`")),
        }
    }
}

impl VicinoConfig {
    /// The settings of a collection; none where all are by default.
    pub fn of(layout: LayoutPolicy, min_recall: Option<f32>) -> Option<Self> {
        let (name, bytes_per_vector) = match layout {
            LayoutPolicy::Auto { bytes_per_vector } => (LayoutName::Auto, bytes_per_vector),
            LayoutPolicy::Hnsw => (LayoutName::Hnsw, None),
            LayoutPolicy::Quantized => (LayoutName::Quantized, None),
            LayoutPolicy::Compact => (LayoutName::Compact, None),
        };
        let is_default = layout == LayoutPolicy::default() && min_recall.is_none();
        (!is_default).then_some(VicinoConfig { layout: Some(name), bytes_per_vector, min_recall })
    }
}
