//! What threads took of the processors, as Linux counts it; elsewhere nothing is known.

use std::fs;
use std::time::Duration;

/// Names of the threads that seal and merge begin so.
const BACKGROUND: &str = "vicino-";

/// Processor time of the threads that seal and merge in this process, up to now.
pub(super) fn background() -> Option<Duration> {
    let mut total = Duration::ZERO;
    for task in fs::read_dir("/proc/self/task").ok()? {
        let task = task.ok()?.path();
        // One that ended meanwhile is left out.
        let Ok(name) = fs::read_to_string(task.join("comm")) else { continue };
        if name.starts_with(BACKGROUND) {
            total +=
                fs::read_to_string(task.join("schedstat")).ok().and_then(|text| field(&text, 0)).unwrap_or_default();
        }
    }
    Some(total)
}

/// How long this thread has been ready to run and waited for a processor, up to now.
pub(super) fn waited() -> Option<Duration> {
    field(&fs::read_to_string("/proc/thread-self/schedstat").ok()?, 1)
}

/// Nanoseconds that stand in field `number`: 0 is the time on a processor, 1 that of waiting for one.
fn field(text: &str, number: usize) -> Option<Duration> {
    text.split_whitespace().nth(number)?.parse().ok().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedstat_says_time_run_and_time_waited() {
        assert_eq!(field("1500 250 7\n", 0), Some(Duration::from_nanos(1500)));
        assert_eq!(field("1500 250 7\n", 1), Some(Duration::from_nanos(250)));
        assert_eq!(field("", 0), None);
    }
}
