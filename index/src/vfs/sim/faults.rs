//! Calls that fail: from the n-th on, once or for good.

use std::io;

use super::Call;

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// Any call: the disk answers with an error (EIO).
    Io,
    /// A write takes half of its bytes, then the disk is full (ENOSPC); a name cannot be made.
    NoSpace,
    /// A write takes half of its bytes and says so, which is no error.
    Short,
    /// A write is interrupted before it began (EINTR), and is to be asked again.
    Interrupted,
    /// A sync fails; what it should have written is forgotten by later ones.
    Sync,
}

impl FaultKind {
    /// Every kind.
    pub const ALL: [FaultKind; 5] =
        [FaultKind::Io, FaultKind::NoSpace, FaultKind::Short, FaultKind::Interrupted, FaultKind::Sync];
}

/// Calls that are to fail.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    from: u64,
    kind: FaultKind,
    for_good: bool,
    /// A full disk has taken its last bytes.
    full: bool,
    spent: bool,
}

impl Fault {
    /// The first call that can fail so, from call number `from` on; and if `for_good`, all after it.
    pub fn new(from: u64, kind: FaultKind, for_good: bool) -> Self {
        Fault { from, kind, for_good, full: false, spent: false }
    }

    /// The error of call number `now`, if it fails.
    pub(super) fn strikes(&mut self, now: u64, call: Call) -> Option<io::Error> {
        let applies = match self.kind {
            FaultKind::Io => true,
            FaultKind::NoSpace => call == Call::Name || (call == Call::Write && self.full),
            FaultKind::Short => false,
            // An interruption for good would never let a write through.
            FaultKind::Interrupted => call == Call::Write,
            FaultKind::Sync => call == Call::Sync,
        };
        if now < self.from || self.spent || !applies {
            return None;
        }
        self.spent = !self.for_good || self.kind == FaultKind::Interrupted;
        Some(match self.kind {
            FaultKind::Io | FaultKind::Sync => io::Error::from_raw_os_error(5),
            FaultKind::NoSpace => io::ErrorKind::StorageFull.into(),
            FaultKind::Short | FaultKind::Interrupted => io::ErrorKind::Interrupted.into(),
        })
    }

    /// How many of `len` bytes write number `now` takes, if not all.
    pub(super) fn part(&mut self, now: u64, len: usize) -> Option<usize> {
        if now < self.from || self.spent || len < 2 {
            return None;
        }
        match self.kind {
            FaultKind::Short => self.spent = !self.for_good,
            FaultKind::NoSpace => self.full = true,
            _ => return None,
        }
        Some(len / 2)
    }
}
