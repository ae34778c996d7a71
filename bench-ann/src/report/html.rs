//! The report as one page that needs nothing else: plots inline, tables, and under what conditions it was measured.

use std::fmt::Write as _;

use super::plot::{Measure, plot};
use super::standing;
use super::summary::Section;
use super::svg::escape;
use super::table::{Table, is_text, legend};
use crate::results::{Earlier, Results};

const STYLE: &str = include_str!("report.css");

/// The page.
pub fn page(sections: &[Section<'_>]) -> String {
    let mut body = String::new();
    if let Some(standing) = standing::table(sections) {
        body += &format!("<section>\n<h2>{}</h2>\n{}", escape(standing::TITLE), table(&standing));
        body += &format!("<p class=\"note\">{}</p>\n</section>\n", escape(&standing::legend()));
    }
    for section in sections {
        write!(body, "<section>\n<h2>{}</h2>\n", escape(&section.title())).expect("writing to a string");
        for drawing in [Measure::Qps, Measure::Distances].iter().filter_map(|&measure| plot(section, measure)) {
            body += &format!("<figure>{drawing}</figure>\n");
        }
        body += &table(&Table::of(section));
        body += &format!("<p class=\"note\">{}</p>\n", escape(&legend()));
        let every = Table::every_run(section);
        body +=
            &format!("<details><summary>All {} settings</summary>\n{}</details>\n", every.rows.len(), table(&every));
        for file in &section.files {
            body += &conditions(file);
        }
        body += "</section>\n";
    }
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, \
         initial-scale=1\">\n<title>bench-ann report</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>Nearest-neighbour \
         indexes, measured side by side</h1>\n{body}</body>\n</html>\n"
    )
}

fn table(table: &Table) -> String {
    let cells = |cells: &[String], tag: &str| {
        let cell = |(i, cell): (usize, &String)| {
            let class = if is_text(i) { " class=\"text\"" } else { "" };
            format!("<{tag}{class}>{}</{tag}>", escape(cell))
        };
        format!("<tr>{}</tr>\n", cells.iter().enumerate().map(cell).collect::<String>())
    };
    let rows: String = table.rows.iter().map(|row| cells(row, "td")).collect();
    format!(
        "<div class=\"scroll\"><table>\n<thead>{}</thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n",
        cells(&table.header, "th")
    )
}

fn conditions(file: &Results) -> String {
    let machine = &file.machine;
    let memory = machine.memory_bytes.map_or_else(String::new, |bytes| format!(", {:.0} GB", bytes as f64 / 1e9));
    let commit = file.commit.as_ref().map_or_else(
        || "unknown".to_owned(),
        |commit| format!("{}{}", commit.hash, if commit.dirty { " with changes" } else { "" }),
    );
    let versions: Vec<String> =
        file.engines.iter().map(|engine| format!("{}: {}", engine.engine, engine.version)).collect();
    let mut entries = vec![
        ("Command", file.command.join(" ")),
        ("Started", format!("{}{}", file.started, if file.complete { "" } else { ", not finished" })),
        ("Machine", format!("{}, {} cores{memory}, {}", machine.cpu, machine.cores, machine.kernel)),
        ("CPU features", machine.cpu_features.join(" ")),
        ("Caches", machine.caches.join(", ")),
        ("Commit", commit),
        ("Data", format!("{}, stored as {}, sha256 {}", file.dataset.name, file.dataset.element, file.dataset.hash)),
        ("Timing", format!("{} interleaved repeats, median; k = {}", file.repeats, file.k)),
        ("Engines", versions.join("; ")),
    ];
    let mut earlier: Vec<&Earlier> = file.runs.iter().filter_map(|run| run.build.built_earlier.as_ref()).collect();
    earlier.sort_by_key(|earlier| &earlier.at);
    earlier.dedup();
    if let (Some(first), Some(last)) = (earlier.first(), earlier.last()) {
        let mut cpus: Vec<&str> = earlier.iter().map(|earlier| earlier.cpu.as_str()).collect();
        cpus.sort_unstable();
        cpus.dedup();
        let text = format!("indexes read back: from runs of {} to {}, on {}", first.at, last.at, cpus.join("; "));
        entries.push(("Built earlier", text));
    }
    for failure in &file.failures {
        let search = failure.search_params.as_ref().map_or_else(String::new, |params| format!(", {params}"));
        entries.push((
            "Not measured",
            format!("{} {}{search}: {}", failure.engine, failure.build_params, failure.message),
        ));
    }
    let entries: String =
        entries.iter().map(|(term, text)| format!("<dt>{term}</dt><dd>{}</dd>\n", escape(text))).collect();
    format!("<dl>\n{entries}</dl>\n")
}
