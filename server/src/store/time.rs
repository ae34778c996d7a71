//! Moments as names of files have them: `2026-11-25-07-10-03`, in UTC.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::calendar;

/// Now, to the second.
pub(super) fn now() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    stamp(seconds)
}

/// `seconds` after 1970 began.
fn stamp(seconds: u64) -> String {
    let (year, month, day) = calendar::date((seconds / 86_400) as i64);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}-{hour:02}-{minute:02}-{second:02}")
}

/// The moment that `stamp` names in the form of ISO 8601, without a zone; none if it is no stamp.
pub(super) fn iso(stamp: &str) -> Option<String> {
    let lens = [4, 2, 2, 2, 2, 2];
    let parts: Vec<&str> = stamp.split('-').collect();
    let number = |(part, len): (&&str, usize)| part.len() == len && part.bytes().all(|byte| byte.is_ascii_digit());
    let whole = parts.len() == lens.len() && parts.iter().zip(lens).all(number);
    whole.then(|| format!("{}T{}", parts[..3].join("-"), parts[3..].join(":")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_become_dates() {
        // By `date -u -d @SECONDS +%F-%H-%M-%S`.
        for (seconds, expected) in [
            (0, "1970-01-01-00-00-00"),
            (951_782_399, "2000-02-28-23-59-59"),
            (951_782_400, "2000-02-29-00-00-00"),
            (1_709_251_199, "2024-02-29-23-59-59"),
            (1_735_689_599, "2024-12-31-23-59-59"),
            (1_795_590_603, "2026-11-25-07-10-03"),
            (4_107_542_400, "2100-03-01-00-00-00"),
        ] {
            assert_eq!(stamp(seconds), expected);
        }
    }

    #[test]
    fn what_is_no_stamp_is_no_moment() {
        assert_eq!(iso("2026-11-25-07-10-03").as_deref(), Some("2026-11-25T07:10:03"));
        for bad in ["", "2026-11-25", "2026-11-25-07-10-3", "2026-11-25-07-10-0x", "2026-11-25-07-10-03-1"] {
            assert_eq!(iso(bad), None, "{bad}");
        }
    }
}
