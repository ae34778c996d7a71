//! What may stand behind the `?` of a call.

use serde::Deserialize;

/// Query parameters of every call under `/collections`.
///
/// There is one copy of the data and one writer, and a change is finished before it is answered. So whatever `wait`, `ordering` and
/// `consistency` ask for holds already.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallParams {
    /// Whether to answer only once a change is visible: it always is.
    pub wait: Option<bool>,
    /// How strictly changes are ordered: always strongly.
    pub ordering: Option<WriteOrdering>,
    /// How many replicas must agree: there is one.
    pub consistency: Option<String>,
    /// Seconds after which the caller gives up, if that is sooner than the server would.
    pub timeout: Option<u64>,
}

/// Qdrant's write orderings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WriteOrdering {
    /// May be reordered.
    Weak,
    /// Ordered by an elected leader.
    Medium,
    /// Ordered by a permanent leader.
    Strong,
}
