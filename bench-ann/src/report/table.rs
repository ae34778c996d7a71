//! The summary as rows of text, for a terminal or as Markdown.

use super::summary::{At, BASELINE, Line, Section, TARGETS};
use crate::results::Build;

/// The targets at which ratios and distances, and at the first latency, are given beside the speeds.
const MIDDLE: usize = 1;
const HIGH: usize = 2;
/// What stands where nothing was measured.
pub(super) const NOTHING: &str = "–";
/// Stands behind costs of a build that an earlier run made.
const EARLIER: &str = "†";

/// A table of text: all columns but the first two are numbers.
pub struct Table {
    /// Column titles.
    pub header: Vec<String>,
    /// Cells, row by row.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// The main table of a section.
    pub fn of(section: &Section<'_>) -> Table {
        let mut header = vec!["engine".to_owned(), "build".to_owned()];
        header.extend(TARGETS.iter().map(|target| format!("QPS {}", short(*target))));
        for name in ["×", "dist"] {
            header.extend([MIDDLE, HIGH].map(|target| format!("{name} {}", short(TARGETS[target]))));
        }
        header.extend(["p50 µs", "p99 µs"].map(|name| format!("{name} {}", short(TARGETS[MIDDLE]))));
        header.extend(["build s", "build CPU s", "index MB", "resident MB", "peak MB"].map(str::to_owned));
        Table { header, rows: section.lines.iter().map(|line| row(section, line)).collect() }
    }

    /// Every setting of a section, for those who want to see what lies behind.
    pub fn every_run(section: &Section<'_>) -> Table {
        let header = [
            "engine",
            "build",
            "search",
            "recall",
            "recall (ann-benchmarks)",
            "QPS",
            "slowest",
            "fastest",
            "p50 µs",
            "p95 µs",
            "p99 µs",
            "dist/query",
            "hops/query",
            "CPU/elapsed",
        ];
        let runs = section.files.iter().flat_map(|file| &file.runs);
        let rows = runs.map(|run| {
            let extreme = |pick: fn(f64, f64) -> f64| count(run.qps_repeats.iter().copied().reduce(pick));
            let latency = |pick: fn(&crate::results::Latency) -> f64| count(run.latency.as_ref().map(pick));
            vec![
                run.engine.clone(),
                run.build.build_params.to_string(),
                run.search_params.to_string(),
                format!("{:.4}", run.recall),
                format!("{:.4}", run.recall_ann_benchmarks),
                count(Some(run.qps)),
                extreme(f64::min),
                extreme(f64::max),
                latency(|latency| latency.p50_us),
                latency(|latency| latency.p95_us),
                latency(|latency| latency.p99_us),
                count(run.distances_per_query),
                count(run.hops_per_query),
                or_nothing(run.cpu_per_elapsed, |ratio| format!("{ratio:.2}")),
            ]
        });
        Table { header: header.map(str::to_owned).to_vec(), rows: rows.collect() }
    }

    /// In columns, for a terminal.
    pub fn text(&self) -> String {
        let width = |column: usize| {
            let cells = self.rows.iter().map(|row| &row[column]);
            cells.chain([&self.header[column]]).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.header.len()).map(width).collect();
        let line = |cells: &[String]| {
            let padded = cells.iter().zip(&widths).enumerate().map(|(i, (cell, &width))| {
                if is_text(i) { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
            });
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
        };
        let rule = widths.iter().map(|&width| "─".repeat(width)).collect::<Vec<_>>().join("──") + "\n";
        line(&self.header) + &rule + &self.rows.iter().map(|row| line(row)).collect::<String>()
    }

    /// As Markdown.
    pub fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let rule: Vec<&str> = (0..self.header.len()).map(|i| if is_text(i) { "---" } else { "---:" }).collect();
        let rule = format!("|{}|\n", rule.join("|"));
        line(&self.header) + &rule + &self.rows.iter().map(|row| line(row)).collect::<String>()
    }
}

/// What the columns of [`Table::of`] mean.
pub fn legend() -> String {
    format!(
        "QPS .95 is read on the index's own Pareto front at recall .95, linear in log QPS between two measured settings and never \
         beyond them: ≥ where even the cheapest setting exceeds that recall, {NOTHING} where none reaches it. × is the speed over \
         that of {BASELINE}'s index of the same build parameters, or of its best where there is none, and is not given where either exceeds the recall. dist is distances \
         computed per query, where the engine counts them. Recall counts ties by distance. Latencies are of single queries, for \
         Python packages with the call. Resident MB is the process's size with the index built and the vectors let go, less that before \
         they were loaded. Peak MB is the process's peak up to the end of the build less its size just before, \
         with the vectors loaded. Build CPU s is the build's processor time over all its threads, which other work on the machine lengthens less than the time by the clock. \
         {EARLIER}: built by an earlier run and read back; build time and sizes are of that build."
    )
}

/// Whether column `column` holds words.
pub(super) fn is_text(column: usize) -> bool {
    column < 2
}

fn row(section: &Section<'_>, line: &Line<'_>) -> Vec<String> {
    let latency = |pick: fn(&crate::results::Latency) -> f64| {
        count(line.at[MIDDLE].and_then(|at| at.between.1.latency.as_ref().map(pick)))
    };
    let mut cells = vec![line.engine.to_owned(), line.build.build_params.to_string()];
    cells.extend(line.at.iter().map(|at| or_nothing(*at, speed)));
    cells.extend([MIDDLE, HIGH].map(|target| or_nothing(section.ratio(line, target), |ratio| format!("{ratio:.2}"))));
    cells.extend([MIDDLE, HIGH].map(|target| count(line.at[target].and_then(|at| at.distances))));
    cells.push(latency(|latency| latency.p50_us));
    cells.push(latency(|latency| latency.p99_us));
    cells.push(build_seconds(line.build));
    cells.push(or_nothing(line.build.build_cpu_s, |seconds| format!("{seconds:.1}")));
    cells.push(megabytes(line.build.index_bytes));
    cells.push(megabytes(line.build.resident_bytes));
    cells.push(megabytes(line.build.peak_rss_bytes));
    cells
}

/// Seconds of the build, marked where an earlier run paid them.
pub(super) fn build_seconds(build: &Build) -> String {
    let mark = if build.built_earlier.is_some() { EARLIER } else { "" };
    format!("{:.1}{mark}", build.build_s)
}

pub(super) fn megabytes(bytes: Option<u64>) -> String {
    or_nothing(bytes, |bytes| format!("{:.1}", bytes as f64 / 1e6))
}

pub(super) fn speed(at: At<'_>) -> String {
    format!("{}{}", if at.bound { "≥ " } else { "" }, count(Some(at.qps)))
}

/// A number with as many digits as it deserves: three at least, none behind a hundred.
pub(super) fn count(value: Option<f64>) -> String {
    or_nothing(value, |value| match value {
        value if value >= 99.5 => format!("{value:.0}"),
        value if value >= 9.95 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    })
}

pub(super) fn or_nothing<T>(value: Option<T>, show: impl Fn(T) -> String) -> String {
    value.map_or_else(|| NOTHING.to_owned(), show)
}

/// A recall as `.95`.
pub(super) fn short(recall: f64) -> String {
    let text = format!("{recall:.3}");
    let text = text.trim_start_matches('0');
    text.strip_suffix('0').unwrap_or(text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!([0.90, 0.95, 0.995].map(short), [".90", ".95", ".995"]);
        assert_eq!([12345.6, 99.4, 1.234].map(|value| count(Some(value))), ["12346", "99.4", "1.23"]);
        assert_eq!(count(None), "–");
    }

    #[test]
    fn columns_line_up() {
        let header = ["engine", "build", "QPS"].map(str::to_owned).to_vec();
        let rows =
            vec![["a", "m=16", "≥ 10"].map(str::to_owned).to_vec(), ["bcd", "m=8", "7"].map(str::to_owned).to_vec()];
        let table = Table { header, rows };
        assert_eq!(
            table.text().lines().collect::<Vec<_>>(),
            ["engine  build   QPS", "───────────────────", "a       m=16   ≥ 10", "bcd     m=8       7",]
        );
        assert!(table.markdown().starts_with("| engine | build | QPS |\n|---|---|---:|\n| a | m=16 | ≥ 10 |\n"));
    }
}
