//! Codes: vectors in fewer bits, and what turns a product with them into a distance.

pub(crate) mod byte;
pub(crate) mod neighbor;
pub(crate) mod rotation;
