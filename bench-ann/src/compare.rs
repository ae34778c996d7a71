//! Two results files against each other: what became faster, what slower, index by index.

use crate::report::summary::{Line, Section, TARGETS, sections};
use crate::report::table::Table;
use crate::results::Results;

/// Below this share of the older speed a change is called a loss; repeats of one build differ by less on a quiet machine.
pub const LOSS: f64 = 0.97;

/// The comparison of two files.
pub struct Comparison {
    /// One row per index that both have.
    pub table: Table,
    /// How many speeds fell below [`LOSS`], or were reached before and are no more.
    pub losses: usize,
    /// What only one file has, and warnings about unequal conditions.
    pub notes: Vec<String>,
}

/// The files have no data set in common.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "nothing to compare: the first file measured {first}, the second {second}; the data, queries, k and threads must be the same"
)]
pub struct Incomparable {
    first: String,
    second: String,
}

/// Compares `new` with `old`: ratios above one are gains.
pub fn compare(old: &Results, new: &Results) -> Result<Comparison, Incomparable> {
    let files = [old.clone(), new.clone()];
    if sections(&files).len() != 1 {
        let (first, second) = (sections(&files[..1]), sections(&files[1..]));
        return Err(Incomparable { first: first[0].title(), second: second[0].title() });
    }
    let (olds, news) = (sections(&files[..1]), sections(&files[1..]));
    let (olds, news) = (&olds[0], &news[0]);
    let mut header = vec!["engine".to_owned(), "build".to_owned()];
    header.extend(TARGETS.iter().map(|target| format!("QPS @{target}")));
    header.extend(["build time", "index size", "resident memory", "peak memory"].map(str::to_owned));
    let mut comparison =
        Comparison { table: Table { header, rows: Vec::new() }, losses: 0, notes: conditions(old, new) };
    for line in &news.lines {
        match counterpart(olds, line) {
            Some(before) => comparison.add(before, line),
            None => {
                comparison.notes.push(format!("only in the second file: {} {}", line.engine, line.build.build_params));
            }
        }
    }
    for line in olds.lines.iter().filter(|line| counterpart(news, line).is_none()) {
        comparison.notes.push(format!("only in the first file: {} {}", line.engine, line.build.build_params));
    }
    Ok(comparison)
}

fn counterpart<'a, 'b>(section: &'b Section<'a>, line: &Line<'_>) -> Option<&'b Line<'a>> {
    let same = |other: &&Line<'_>| other.engine == line.engine && other.build.build_params == line.build.build_params;
    section.lines.iter().find(same)
}

fn conditions(old: &Results, new: &Results) -> Vec<String> {
    let mut notes = Vec::new();
    if old.machine != new.machine {
        notes.push(format!("measured on different machines: {} and {}", old.machine.cpu, new.machine.cpu));
    }
    for (which, file) in [("first", old), ("second", new)] {
        if !file.complete {
            notes.push(format!("the {which} file is of an unfinished run"));
        }
    }
    notes
}

impl Comparison {
    fn add(&mut self, old: &Line<'_>, new: &Line<'_>) {
        let mut cells = vec![new.engine.to_owned(), new.build.build_params.to_string()];
        for (before, after) in old.at.iter().zip(&new.at) {
            cells.push(match (before, after) {
                (Some(before), Some(after)) => {
                    let loss = after.over(before).is_some_and(|ratio| ratio < LOSS);
                    self.losses += usize::from(loss);
                    let ratio = after.over(before).map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}×"));
                    format!("{ratio}{}", if loss { " LOSS" } else { "" })
                }
                (Some(_), None) => {
                    self.losses += 1;
                    "no longer reached LOSS".to_owned()
                }
                (None, Some(_)) => "now reached".to_owned(),
                (None, None) => "–".to_owned(),
            });
        }
        let ratio = |old: Option<f64>, new: Option<f64>| match (old, new) {
            (Some(old), Some(new)) if old > 0.0 => format!("{:.2}×", new / old),
            _ => "–".to_owned(),
        };
        let bytes = |bytes: Option<u64>| bytes.map(|bytes| bytes as f64);
        cells.push(ratio(Some(old.build.build_s), Some(new.build.build_s)));
        cells.push(ratio(bytes(old.build.index_bytes), bytes(new.build.index_bytes)));
        cells.push(ratio(bytes(old.build.resident_bytes), bytes(new.build.resident_bytes)));
        cells.push(ratio(bytes(old.build.peak_rss_bytes), bytes(new.build.peak_rss_bytes)));
        self.table.rows.push(cells);
    }
}
