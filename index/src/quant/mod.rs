//! Codes: vectors in fewer bits, and what turns a product with them into a distance.

pub(crate) mod byte;
pub(crate) mod codes;
pub(crate) mod frame;
pub(crate) mod neighbor;
pub(crate) mod nested;
pub(crate) mod rotation;
