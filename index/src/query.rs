//! What a search answers, and how it can be refused.

use crate::ids::Slot;
use crate::pool::Candidate;
use crate::spec::VectorError;

/// A row found, with the engine's distance to it ([`Metric::score`](crate::Metric::score) makes it the user's number).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// Which row.
    pub slot: Slot,
    /// Its distance; smaller is nearer.
    pub distance: f32,
}

impl From<Candidate> for Hit {
    fn from(candidate: Candidate) -> Self {
        Hit { slot: Slot(candidate.slot()), distance: candidate.distance() }
    }
}

/// A search that cannot be answered.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SearchError {
    /// The query is no vector of this index.
    #[error(transparent)]
    Vector(#[from] VectorError),
    /// No neighbour was asked for.
    #[error("k is 0: expected at least 1")]
    ZeroK,
    /// A collection has no vector of this name.
    #[error("the collection has no vector {}", crate::named::quoted(name))]
    UnknownVector {
        /// The name; "" for one without.
        name: String,
    },
    /// A radius that is no number.
    #[error("radius is {found}: expected a number")]
    Radius {
        /// The radius asked for.
        found: f32,
    },
}

/// Rows that cannot be added. Nothing was.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ExtendError {
    /// One row is no vector of this index.
    #[error("row {row}: {error}")]
    Vector {
        /// Which of the rows given.
        row: usize,
        /// What is wrong with it.
        error: VectorError,
    },
    /// More rows than one index can number.
    #[error("{found} rows in one index: expected at most {max}", max = Slot::MAX_ROWS)]
    TooMany {
        /// Rows there would be.
        found: usize,
    },
}

/// An index that cannot be built.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A parameter out of range.
    #[error(transparent)]
    Params(#[from] crate::params::ParamsError),
    /// Rows that cannot be added.
    #[error(transparent)]
    Rows(#[from] ExtendError),
    /// An index that has no such rows.
    #[error(transparent)]
    Unsupported(#[from] crate::qgraph::Unsupported),
}
