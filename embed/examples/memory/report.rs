//! A report: what was run, where, from which commit, and what came out.

use crate::conditions::conditions;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;

/// Markdown and the plots it shows.
pub(crate) struct Report {
    name: &'static str,
    text: String,
    plots: Vec<(String, String)>, // file name and SVG
}

impl Report {
    /// Starts with the title and the conditions of the run.
    pub(crate) fn new(name: &'static str, title: &str, seed: u64) -> Report {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let mut report = Report { name, text: String::new(), plots: Vec::new() };
        report.line(&format!("# {title}\n"));
        report.line(&format!(
            "`cargo run --release -p vicino-embed --example memory -- {}`, seed {seed}  ",
            arguments.join(" ")
        ));
        report.line(&format!("{}\n", conditions(vicino_embed::cpu::Level::detect())));
        report
    }

    /// Adds a line of Markdown.
    pub(crate) fn line(&mut self, text: &str) {
        eprintln!("{text}");
        self.text.push_str(text);
        self.text.push('\n');
    }

    /// Adds a plot as `NAME-SUFFIX.svg`.
    pub(crate) fn plot(&mut self, suffix: &str, alt: &str, svg: String) {
        let file = format!("memory-{}-{suffix}.svg", self.name);
        self.line(&format!("\n![{alt}]({file})\n"));
        self.plots.push((file, svg));
    }

    /// Prints the report, and writes it and its plots to `folder`.
    pub(crate) fn publish(self, folder: Option<&Path>) -> Result<()> {
        println!("{}", self.text);
        if let Some(folder) = folder {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
            let text = (format!("memory-{}.md", self.name), self.text);
            for (file, content) in self.plots.into_iter().chain([text]) {
                let path = folder.join(file);
                fs::write(&path, content).with_context(|| path.display().to_string())?;
            }
        }
        Ok(())
    }
}
