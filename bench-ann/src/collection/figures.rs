//! What was found, beside its goal, and percentiles.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One figure, or a few that belong together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// What was measured.
    pub what: String,
    /// What came of it, in words.
    pub found: String,
    /// What it is measured against, if there is a goal, and whether that is met.
    pub goal: Option<(String, bool)>,
    /// The numbers, by name with unit.
    pub values: BTreeMap<String, f64>,
}

/// In the order in which they were measured.
#[derive(Debug, Default)]
pub(super) struct Findings(pub(super) Vec<Finding>);

impl Findings {
    pub(super) fn add(&mut self, what: impl Into<String>, found: impl Into<String>) -> &mut Finding {
        self.0.push(Finding { what: what.into(), found: found.into(), goal: None, values: BTreeMap::new() });
        self.0.last_mut().expect("just added")
    }
}

impl Finding {
    pub(super) fn value(&mut self, name: &str, value: f64) -> &mut Self {
        self.values.insert(name.into(), value);
        self
    }

    pub(super) fn times(&mut self, times: &Times) -> &mut Self {
        for (name, part) in [("p50_ms", 0.5), ("p99_ms", 0.99), ("p999_ms", 0.999), ("max_ms", 1.0)] {
            self.value(name, millis(times.quantile(part)));
        }
        self.value("calls", times.len() as f64)
    }

    pub(super) fn goal(&mut self, goal: &str, met: bool) {
        self.goal = Some((goal.into(), met));
    }
}

/// Times of many calls.
#[derive(Debug, Clone, Default)]
pub(super) struct Times(Vec<Duration>);

impl Times {
    pub(super) fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    pub(super) fn extend(&mut self, other: Times) {
        self.0.extend(other.0);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The time that the part `part` of the calls stays within.
    pub(super) fn quantile(&self, part: f64) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let at = (part * sorted.len() as f64).ceil() as usize;
        sorted.get(at.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or_default()
    }

    /// Median, 99th and 99.9th percentile and the longest, in words.
    pub(super) fn words(&self) -> String {
        let [p50, p99, p999, max] = [0.5, 0.99, 0.999, 1.0].map(|part| ms(self.quantile(part)));
        format!("p50 {p50}, p99 {p99}, p99.9 {p999}, longest {max} ({} calls)", self.len())
    }
}

pub(super) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Milliseconds, to three digits.
pub(super) fn ms(time: Duration) -> String {
    format!("{:.3} ms", millis(time))
}

/// Millions of bytes.
pub(super) fn mb(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_sorted_times() {
        let mut times = Times::default();
        (1..=1000).rev().for_each(|number| times.push(Duration::from_micros(number)));
        let found = [0.0, 0.5, 0.99, 0.999, 1.0].map(|part| times.quantile(part).as_micros());
        assert_eq!(found, [1, 500, 990, 999, 1000]);
        assert_eq!(Times::default().quantile(0.5), Duration::ZERO);
    }
}
