//! Where a figure comes from: the machine, how busy it is, the level of its CPU, the commit. Printed with every report.

use std::fmt::Debug;
use std::fs;
use std::process::Command;

/// One line.
pub(crate) fn conditions(level: impl Debug) -> String {
    format!("{}, {level:?}; commit {}", cpu(), commit())
}

fn cpu() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().map(|load| format!(", load {load} at the start")).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{} ({cores} cores{load})", model.map_or(std::env::consts::ARCH, |(_, name)| name))
}

fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    match git(&["rev-parse", "--short=12", "HEAD"]) {
        Some(hash) => {
            let clean = git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|list| list.is_empty());
            if clean { hash } else { format!("{hash} with changes") }
        }
        None => "unknown".to_owned(),
    }
}
