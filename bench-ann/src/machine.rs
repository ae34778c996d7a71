//! Where and from what a result was measured: processor, memory, kernel, commit. Read from `/proc` and `/sys`; what a system
//! does not tell is left out.

use std::fmt;
use std::fs;
use std::process::Command;

use serde::{Deserialize, Serialize};

/// Instruction sets that change what the engines run.
const TELLING_FLAGS: &[&str] = &[
    "sse4_2",
    "avx",
    "fma",
    "f16c",
    "avx2",
    "avx_vnni",
    "avx512f",
    "avx512bw",
    "avx512vl",
    "avx512_vnni",
    "avx512_vbmi",
    "avx512_fp16",
    "amx_int8",
    "asimd",
    "asimddp",
    "fphp",
    "i8mm",
    "sve",
    "sve2",
];

/// The machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Processor model.
    pub cpu: String,
    /// Processors this process may use.
    pub cores: usize,
    /// Instruction sets that matter here.
    pub cpu_features: Vec<String>,
    /// Caches of the first processor, as `L1d 48K`.
    pub caches: Vec<String>,
    /// Main memory.
    pub memory_bytes: Option<u64>,
    /// Operating system and kernel.
    pub kernel: String,
}

/// The state of the source tree the binary ran in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Commit {
    /// Full hash.
    pub hash: String,
    /// Whether tracked files differed from it.
    pub dirty: bool,
}

impl Machine {
    /// This machine.
    pub fn read() -> Machine {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let field = |name: &str| {
            let line = cpuinfo.lines().find(|line| line.split(':').next().is_some_and(|key| key.trim() == name));
            line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned())
        };
        let flags = field("flags").or_else(|| field("Features")).unwrap_or_default();
        let flags: Vec<&str> = flags.split_whitespace().collect();
        let family = [("family", "cpu family"), ("model", "model"), ("stepping", "stepping")]
            .iter()
            .filter_map(|(name, key)| field(key).map(|value| format!("{name} {value}")))
            .collect::<Vec<_>>();
        let cpu = field("model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
        Machine {
            cpu: if family.is_empty() { cpu } else { format!("{cpu} ({})", family.join(", ")) },
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            cpu_features: TELLING_FLAGS
                .iter()
                .filter(|flag| flags.contains(flag))
                .map(|&flag| flag.to_owned())
                .collect(),
            caches: caches(),
            memory_bytes: meminfo("MemTotal"),
            kernel: ["ostype", "osrelease"]
                .iter()
                .filter_map(|part| fs::read_to_string(format!("/proc/sys/kernel/{part}")).ok())
                .map(|part| part.trim().to_owned())
                .collect::<Vec<_>>()
                .join(" "),
        }
    }
}

impl Commit {
    /// The commit checked out in the working directory, if that is one of git's.
    pub fn read() -> Option<Commit> {
        let git = |args: &[&str]| {
            let output = Command::new("git").args(args).output().ok().filter(|output| output.status.success())?;
            Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        };
        let hash = git(&["rev-parse", "HEAD"])?;
        Some(Commit { hash, dirty: !git(&["status", "--porcelain", "--untracked-files=no"])?.is_empty() })
    }
}

impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.hash, if self.dirty { " with changes" } else { "" })
    }
}

/// Memory that could be had without swapping, where the kernel says.
pub fn available_memory() -> Option<u64> {
    meminfo("MemAvailable")
}

fn meminfo(name: &str) -> Option<u64> {
    kilobytes(&fs::read_to_string("/proc/meminfo").ok()?, name)
}

/// A field like `VmHWM:  1234 kB` of a `/proc` file, in bytes.
pub(crate) fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

fn caches() -> Vec<String> {
    let part = |index: usize, name: &str| {
        let path = format!("/sys/devices/system/cpu/cpu0/cache/index{index}/{name}");
        fs::read_to_string(path).map(|text| text.trim().to_owned()).ok()
    };
    let describe = |index| {
        let suffix = match part(index, "type")?.as_str() {
            "Data" => "d",
            "Instruction" => "i",
            _ => "",
        };
        Some(format!("L{}{suffix} {}", part(index, "level")?, part(index, "size")?))
    };
    (0..).map_while(describe).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_fields_are_kilobytes() {
        let status = "Name:\tx\nVmHWM:\t    12 kB\nVmRSS:\t 7 kB\n";
        assert_eq!(kilobytes(status, "VmHWM"), Some(12 * 1024));
        assert_eq!(kilobytes(status, "Vm"), None);
    }
}
