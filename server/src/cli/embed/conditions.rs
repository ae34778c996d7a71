//! Where a figure comes from: the machine, the state of the source, the command. Printed with every report.

use std::fs;
use std::process::Command;

/// One line.
pub(super) fn conditions() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").ok().and_then(|info| {
        let name = info.lines().find_map(|line| line.strip_prefix("model name"))?;
        Some(name.trim_start_matches(['\t', ' ', ':']).to_owned())
    });
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let cpu = cpu.unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    format!("{cpu}, {cores} threads; commit {}; vicino {}", commit(), arguments())
}

/// The commit of the folder the command runs in, with a mark if tracked files differ from it.
fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
        String::from_utf8(output.stdout).ok().map(|text| text.trim().to_owned())
    };
    match git(&["rev-parse", "--short=9", "HEAD"]) {
        Some(hash) if git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|found| found.is_empty()) => {
            hash
        }
        Some(hash) => format!("{hash} with changes"),
        None => "unknown".into(),
    }
}

/// What the program was started with.
fn arguments() -> String {
    std::env::args().skip(1).collect::<Vec<_>>().join(" ")
}
