//! The `bench-ann` binary.
fn main() {}
