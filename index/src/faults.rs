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
    /// The files of a segment are on disk before the manifest names them.
    SegmentSync,
    /// The new manifest is on disk before it replaces the old one.
    ManifestSync,
    /// The names of a segment's files are on disk before the manifest names them.
    SegmentNamesSync,
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
    /// The sum of the segments' points is that of the manifest.
    SumOfSegments,
    /// The checksum of the manifest.
    ManifestChecksum,
    /// The checksum of a segment file's header.
    SegmentHeaderChecksum,
    /// The checksums of a segment file's sections.
    SegmentSectionChecksum,
    /// A segment's files are the very ones that the manifest names.
    SegmentIdentity,
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
    pub const ALL: [Safeguard; 26] = [
        Safeguard::GroupSync,
        Safeguard::LogHeaderSync,
        Safeguard::LogNameSync,
        Safeguard::LogEndSync,
        Safeguard::ReplaySync,
        Safeguard::ReplayNameSync,
        Safeguard::SegmentSync,
        Safeguard::ManifestSync,
        Safeguard::SegmentNamesSync,
        Safeguard::ManifestNameSync,
        Safeguard::LogHeaderChecksum,
        Safeguard::GroupHeaderChecksum,
        Safeguard::GroupChecksum,
        Safeguard::Chain,
        Safeguard::DamageInTheMiddle,
        Safeguard::SumBeforeGroup,
        Safeguard::SumOfSegments,
        Safeguard::ManifestChecksum,
        Safeguard::SegmentHeaderChecksum,
        Safeguard::SegmentSectionChecksum,
        Safeguard::SegmentIdentity,
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
    /// A segment's vectors are written.
    VectorsWritten,
    /// A segment's points are written.
    PointsWritten,
    /// A bitmap of dead rows is written.
    DeadRowsWritten,
    /// What is to be sealed is set apart, the log goes on in a new file, and nothing is written.
    SealBegun,
    /// A segment of what was set apart is written, and no manifest names it.
    SealWritten,
    /// A manifest names it, readers do not see it, and the files it makes needless are there.
    SealSwapped,
    /// Segments to be merged are chosen, and nothing is written.
    MergeBegun,
    /// A segment that replaces others is written, and no manifest names it.
    MergeWritten,
    /// A manifest names it, readers do not see it, and the files of the others are there.
    MergeSwapped,
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
    pub const ALL: [Point; 17] = [
        Point::GroupWritten,
        Point::GroupSynced,
        Point::LogMade,
        Point::VectorsWritten,
        Point::PointsWritten,
        Point::DeadRowsWritten,
        Point::SealBegun,
        Point::SealWritten,
        Point::SealSwapped,
        Point::MergeBegun,
        Point::MergeWritten,
        Point::MergeSwapped,
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
