//! Files: how an index lies on disk and comes back.

mod codec;
pub(crate) mod format;
pub(crate) mod mmap;
mod save;
