//! The report: one JSON file with the last measurement of each phase, and the same as Markdown.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use super::{Finding, Phase, Settings};
use crate::machine::{Commit, Machine};
use crate::results::{DatasetInfo, ResultsError, write_atomically};

/// The version of the layout below.
const SCHEMA: u32 = 1;

/// What was measured on one data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    schema: u32,
    /// The data.
    pub dataset: DatasetInfo,
    /// The last of each phase, in their order.
    pub phases: Vec<Measured>,
}

/// One phase, and all that says how it was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Which.
    pub phase: Phase,
    /// The command line.
    pub command: Vec<String>,
    /// When it started, RFC 3339 in UTC.
    pub started: String,
    /// How long it took.
    pub seconds: f64,
    /// The source it ran from, where known.
    pub commit: Option<Commit>,
    /// The machine.
    pub machine: Machine,
    /// Every parameter.
    pub settings: Settings,
    /// What came of it.
    pub findings: Vec<Finding>,
}

impl Report {
    /// The report at `path`, or a new one if there is none. Errors if it is of other data.
    pub fn open(path: &Path, dataset: &DatasetInfo) -> Result<Self> {
        let text = match std::fs::read(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Report { schema: SCHEMA, dataset: dataset.clone(), phases: Vec::new() });
            }
            text => text.map_err(|source| ResultsError::Io { path: path.into(), source })?,
        };
        let report: Report =
            serde_json::from_slice(&text).map_err(|source| ResultsError::Parse { path: path.into(), source })?;
        let (path, found) = (path.display(), report.schema);
        ensure!(found == SCHEMA, "{path}: layout version {found}, this build reads {SCHEMA}");
        let (found, wanted) = (&report.dataset, dataset);
        ensure!(
            found.hash == wanted.hash,
            "{path} is of {} ({} rows), not of {} ({} rows): expected another file, or none",
            found.name,
            found.rows,
            wanted.name,
            wanted.rows
        );
        Ok(report)
    }

    /// Puts `measured` in the place of an earlier one of the same phase.
    pub fn put(&mut self, measured: Measured) {
        self.phases.retain(|other| other.phase != measured.phase);
        self.phases.push(measured);
        self.phases.sort_by_key(|measured| measured.phase);
    }

    /// Writes it to `path`, and as Markdown beside it.
    pub fn write(&self, path: &Path) -> Result<(), ResultsError> {
        let text = serde_json::to_string_pretty(self).expect("only finite numbers and string keys");
        write_atomically(path, (text + "\n").as_bytes())?;
        write_atomically(&path.with_extension("md"), self.markdown().as_bytes())
    }

    /// As Markdown: for each phase how it was measured, and a table.
    pub fn markdown(&self) -> String {
        let DatasetInfo { name, rows, dim, metric, .. } = &self.dataset;
        let mut text = format!("# A collection of {rows} × {dim}, {metric}: {name}\n");
        for Measured { phase, command, started, seconds, commit, machine, settings, findings } in &self.phases {
            let commit = commit.as_ref().map_or("an unknown commit".into(), |commit| {
                format!("commit {}{}", commit.hash, if commit.dirty { ", with changes" } else { "" })
            });
            let memory = machine.memory_bytes.map_or(String::new(), |bytes| format!(", {:.1} GB", bytes as f64 / 1e9));
            let phase = format!("{phase:?}").to_lowercase();
            let command = command.join(" ");
            let Machine { cpu, cores, kernel, .. } = machine;
            let element = &settings.element;
            let _ = write!(
                text,
                "\n## {phase}\n\n`bench-ann {command}`, at {commit}, on {started}, in {seconds:.0} s; vectors as {element}; {cpu}, {cores} \
                 cores{memory}, {kernel}.\n\n| what | measured | goal |\n|---|---|---|\n",
            );
            for Finding { what, found, goal, .. } in findings {
                let goal = goal
                    .as_ref()
                    .map_or("–".into(), |(goal, met)| format!("{goal}: {}", if *met { "met" } else { "**missed**" }));
                let _ = writeln!(text, "| {what} | {found} | {goal} |");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::collection::Findings;

    fn dataset(hash: &str) -> DatasetInfo {
        let (name, hash) = ("digits".into(), hash.into());
        let (metric, element) = ("l2".into(), "f32".into());
        DatasetInfo { name, hash, metric, element, rows: 100, queries: 10, dim: 64 }
    }

    fn measured(phase: Phase, found: &str) -> Measured {
        let mut findings = Findings::default();
        findings.add("what", found).value("ms", 1.5).goal("≤ 1 ms", false);
        let settings = Settings {
            dir: Default::default(),
            own: Default::default(),
            element: "f32".into(),
            batch: 1,
            singles: 2,
            writers: 3,
            seconds: 4.0,
            ingest: 5,
            churn_rows: 6,
            rounds: 7,
            k: 8,
            ef: vec![9],
        };
        Measured {
            phase,
            command: vec!["collection".into()],
            started: "2026-01-01T00:00:00Z".into(),
            seconds: 1.0,
            commit: None,
            machine: Machine::read(),
            settings,
            findings: findings.0,
        }
    }

    #[test]
    fn a_phase_takes_the_place_of_its_last_and_others_stay() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("report.json");
        let mut report = Report::open(&path, &dataset("a")).unwrap();
        for (phase, found) in [(Phase::Churn, "one"), (Phase::Load, "two"), (Phase::Churn, "three")] {
            report.put(measured(phase, found));
            report.write(&path).unwrap();
            assert_eq!(Report::open(&path, &dataset("a")).unwrap(), report);
        }
        let found: Vec<_> = report.phases.iter().map(|measured| &measured.findings[0].found[..]).collect();
        assert_eq!(found, ["two", "three"]);
        let text = std::fs::read_to_string(path.with_extension("md")).unwrap();
        assert!(text.contains("## churn") && text.contains("| what | three | ≤ 1 ms: **missed** |"), "{text}");
        let error = Report::open(&path, &dataset("b")).unwrap_err().to_string();
        assert!(error.contains("is of digits (100 rows)"), "{error}");
    }
}
