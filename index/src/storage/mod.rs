//! Files: how an index lies on disk and comes back.

pub(crate) mod codec;
pub(crate) mod format;
pub(crate) mod mmap;
pub(crate) mod save;
