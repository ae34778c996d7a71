//! The `vicino` binary.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    vicino_server::cli::run()
}
