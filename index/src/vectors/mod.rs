//! Stored vectors: rows of fixed stride, apart from the graph.

pub(crate) mod dense;
