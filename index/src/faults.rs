//! The safeguards that keep data through faults, each with a switch, so that the tests of them can be tested.
//!
//! A test that passes proves little unless it fails once the thing it tests is gone. So each sync, checksum and order of steps that
//! a crash or damage is survived by is asked for by name: `if faults::on(Safeguard::GroupSync)`. Tests switch one off and must fail.
//! And a process can be told to end at a named [`Point`], as if the power had gone there. Without `cfg(test)` and the feature `faults`
//! both compile to nothing.

/// One thing that the safety of data rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Safeguard {
    /// A group is on disk before it is acknowledged.
    GroupSync,
    /// A log file's header is on disk before a group follows it.
    LogHeaderSync,
    /// A log file's name is on disk before a group is written to it.
    LogNameSync,
    /// A log file is on disk before the next one begins.
    LogEndSync,
    /// What a replay found is on disk before anyone can read it.
    ReplaySync,
    /// The names of the files that were read are on disk before any is removed or added to.
    ReplayNameSync,
    /// The vectors of a checkpoint are on disk before the manifest names them.
    VectorsSync,
    /// The points of a checkpoint are on disk before the manifest names them.
    PointsSync,
    /// The new manifest is on disk before it replaces the old one.
    ManifestSync,
    /// The names of a checkpoint's files are on disk before the manifest names them.
    CheckpointNamesSync,
    /// The new manifest has its name on disk before files of the old one are removed.
    ManifestNameSync,
    /// The checksum of a log file's header.
    LogHeaderChecksum,
    /// The checksum of a group's header.
    GroupHeaderChecksum,
    /// The checksum of a group's records.
    GroupChecksum,
    /// Each group names the checksum of the one before it.
    Chain,
    /// A damaged group is an error if it must have been whole once.
    DamageInTheMiddle,
    /// A group says which sum of points it was written upon.
    SumBeforeGroup,
    /// The sum of a checkpoint's points is that of the manifest.
    SumOfCheckpoint,
    /// The checksum of the manifest.
    ManifestChecksum,
    /// The checksum of a checkpoint's points.
    PointsChecksum,
    /// The checksum of an index file's header.
    VectorsHeaderChecksum,
    /// The checksums of an index file's sections.
    VectorsSectionChecksum,
    /// The length of a record lies within its group.
    RecordBounds,
    /// What is left of a group that could not be written is cut off.
    CutAfterFailure,
    /// After a sync that failed nothing is written any more.
    ReadOnlyAfterFailedSync,
    /// Deletes have room set aside for a full disk.
    Reserve,
    /// One process at a time uses a folder.
    Lock,
}

impl Safeguard {
    /// All of them.
    pub const ALL: [Safeguard; 27] = [
        Safeguard::GroupSync,
        Safeguard::LogHeaderSync,
        Safeguard::LogNameSync,
        Safeguard::LogEndSync,
        Safeguard::ReplaySync,
        Safeguard::ReplayNameSync,
        Safeguard::VectorsSync,
        Safeguard::PointsSync,
        Safeguard::ManifestSync,
        Safeguard::CheckpointNamesSync,
        Safeguard::ManifestNameSync,
        Safeguard::LogHeaderChecksum,
        Safeguard::GroupHeaderChecksum,
        Safeguard::GroupChecksum,
        Safeguard::Chain,
        Safeguard::DamageInTheMiddle,
        Safeguard::SumBeforeGroup,
        Safeguard::SumOfCheckpoint,
        Safeguard::ManifestChecksum,
        Safeguard::PointsChecksum,
        Safeguard::VectorsHeaderChecksum,
        Safeguard::VectorsSectionChecksum,
        Safeguard::RecordBounds,
        Safeguard::CutAfterFailure,
        Safeguard::ReadOnlyAfterFailedSync,
        Safeguard::Reserve,
        Safeguard::Lock,
    ];
}

/// A place where a process can be told to end; the environment variable [`KILL_AT`] names one and how often it is passed before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// A group is written and not yet synced.
    GroupWritten,
    /// A group is synced and not yet applied.
    GroupSynced,
    /// A log file is made, with its header.
    LogMade,
    /// A checkpoint's vectors are written.
    VectorsWritten,
    /// A checkpoint's points are written.
    PointsWritten,
    /// The new manifest is written under its temporary name.
    ManifestWritten,
    /// The new manifest has replaced the old one.
    ManifestSwapped,
    /// Some of the files that are no longer needed are removed.
    OldFilesRemoved,
    /// The log has been replayed and not yet synced.
    Replayed,
    /// A collection is open again, and not yet served.
    Opened,
}

impl Point {
    /// All of them.
    pub const ALL: [Point; 10] = [
        Point::GroupWritten,
        Point::GroupSynced,
        Point::LogMade,
        Point::VectorsWritten,
        Point::PointsWritten,
        Point::ManifestWritten,
        Point::ManifestSwapped,
        Point::OldFilesRemoved,
        Point::Replayed,
        Point::Opened,
    ];
}

/// The environment variable that names a [`Point`]: `VICINO_KILL_AT=ManifestSwapped:2` ends the process when it gets there a third
/// time. Read only with the feature `faults`.
pub const KILL_AT: &str = "VICINO_KILL_AT";

#[cfg(any(test, feature = "faults"))]
mod switches {
    use std::cell::Cell;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::{KILL_AT, Point, Safeguard};

    thread_local! {
        static OFF: Cell<Option<Safeguard>> = const { Cell::new(None) };
    }

    /// Runs `work` with `safeguard` off for this thread.
    pub fn without<R>(safeguard: Safeguard, work: impl FnOnce() -> R) -> R {
        struct Restore(Option<Safeguard>);
        impl Drop for Restore {
            fn drop(&mut self) {
                OFF.set(self.0);
            }
        }
        let _restore = Restore(OFF.replace(Some(safeguard)));
        work()
    }

    /// Whether `safeguard` is in force.
    pub fn on(safeguard: Safeguard) -> bool {
        OFF.get() != Some(safeguard)
    }

    /// Ends the process if it was told to end here.
    pub fn reach(point: Point) {
        static TARGET: OnceLock<Option<(String, AtomicU64)>> = OnceLock::new();
        let target = TARGET.get_or_init(|| {
            let value = std::env::var(KILL_AT).ok()?;
            let (name, passes) = value.split_once(':')?;
            Some((name.into(), AtomicU64::new(passes.parse().ok()?)))
        });
        if let Some((name, passes)) = target
            && *name == format!("{point:?}")
            && passes.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_err()
        {
            std::process::abort();
        }
    }
}

#[cfg(any(test, feature = "faults"))]
pub use switches::{on, reach, without};

/// Whether `safeguard` is in force: always, in a build without the feature `faults`.
#[cfg(not(any(test, feature = "faults")))]
#[inline(always)]
pub(crate) const fn on(_: Safeguard) -> bool {
    true
}

/// Nothing, in a build without the feature `faults`.
#[cfg(not(any(test, feature = "faults")))]
#[inline(always)]
pub(crate) const fn reach(_: Point) {}
