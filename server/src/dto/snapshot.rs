//! Snapshots, as requests ask for them and answers describe them.

use serde::{Deserialize, Serialize};

/// An archive of a collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotDescription {
    /// Its name.
    pub name: String,
    /// When it was made, in UTC.
    pub creation_time: Option<String>,
    /// Its bytes.
    pub size: u64,
    /// SHA-256 of them.
    pub checksum: Option<String>,
}

/// Which copy wins where several disagree. There is one: a restored collection is what the snapshot holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SnapshotPriority {
    /// No copy is asked.
    NoSync,
    /// The snapshot.
    Snapshot,
    /// Another copy.
    Replica,
}

/// Where a collection is to be recovered from.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecoverSnapshot {
    /// A file of the server's folder of snapshots.
    pub location: String,
    /// Of one copy there is no choice.
    pub priority: Option<SnapshotPriority>,
    /// SHA-256 that the archive must have.
    pub checksum: Option<String>,
    /// For a server that the archive is fetched from: nothing is.
    pub api_key: Option<String>,
}

/// What may stand behind the `?` of an upload, besides what every call has.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UploadParams {
    /// Whether to answer only once it is restored: always.
    pub wait: Option<bool>,
    /// Of one copy there is no choice.
    pub priority: Option<SnapshotPriority>,
    /// SHA-256 that the archive must have.
    pub checksum: Option<String>,
    /// Seconds after which the caller gives up.
    pub timeout: Option<u64>,
}
