//! Files: how an index lies on disk and comes back.

pub(crate) mod mmap;
