//! The `vicino` binary.
fn main() {}
