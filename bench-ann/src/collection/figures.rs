//! Percentiles, and the report.

use std::fmt::Write as _;
use std::time::Duration;

/// What was measured, in the order it was.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// What, how much, and what it is measured against.
    lines: Vec<(String, String, String)>,
}

impl Report {
    pub(super) fn add(&mut self, what: impl Into<String>, found: impl Into<String>, goal: impl Into<String>) {
        self.lines.push((what.into(), found.into(), goal.into()));
    }

    /// A Markdown table.
    pub fn markdown(&self) -> String {
        let mut text = String::from("| what | measured | goal |\n|---|---|---|\n");
        for (what, found, goal) in &self.lines {
            let _ = writeln!(text, "| {what} | {found} | {goal} |");
        }
        text
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

/// Milliseconds, to three digits.
pub(super) fn ms(time: Duration) -> String {
    format!("{:.3} ms", time.as_secs_f64() * 1e3)
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
