//! Moments as names of files have them: `2026-11-25-07-10-03`, in UTC.

use std::time::{SystemTime, UNIX_EPOCH};

/// Now, to the second.
pub(super) fn now() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    stamp(seconds)
}

/// `seconds` after 1970 began. Howard Hinnant's `civil_from_days`, for days from 1970 on (howardhinnant.github.io/date_algorithms.html).
fn stamp(seconds: u64) -> String {
    // Counted from 0000-03-01, so that a leap day is the last of its year; an era has 400 years.
    let (days, second) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
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
