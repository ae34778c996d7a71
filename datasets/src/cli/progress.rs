//! Progress on standard error; nothing where that is no terminal.

use std::sync::Mutex;

use indicatif::{ProgressBar, ProgressStyle};
use vicino_datasets::fetch::Event;

/// One bar, which becomes another as the work changes.
pub(super) struct Bar {
    shown: Mutex<(Shown, ProgressBar)>,
}

#[derive(PartialEq, Clone, Copy)]
enum Shown {
    Nothing,
    Source,
    Bytes,
    Queries,
}

impl Bar {
    pub(super) fn new() -> Self {
        Bar { shown: Mutex::new((Shown::Nothing, ProgressBar::hidden())) }
    }

    /// Shows what a fetch is doing.
    pub(super) fn event(&self, event: Event<'_>) {
        match event {
            Event::Source(name) => {
                let name = name.to_owned();
                self.show(Shown::Source, "{spinner} {msg}", 0, None).set_message(name);
            }
            Event::Bytes { done, total } => {
                let template = "{bar:30} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left";
                self.show(Shown::Bytes, template, done, total);
            }
            Event::Truth { done, total } => self.queries(done, total),
            _ => {}
        }
    }

    /// Shows how many queries have their exact neighbours.
    pub(super) fn queries(&self, done: usize, total: usize) {
        self.show(
            Shown::Queries,
            "{bar:30} exact neighbours of {pos}/{len} queries, {eta} left",
            done as u64,
            Some(total as u64),
        );
    }

    fn show(&self, what: Shown, template: &str, done: u64, total: Option<u64>) -> ProgressBar {
        let mut shown = self.shown.lock().expect("no bar panics");
        if shown.0 != what {
            shown.1.finish_and_clear();
            let style = ProgressStyle::with_template(template).expect("the templates here are well-formed");
            *shown = (what, total.map_or_else(ProgressBar::new_spinner, ProgressBar::new).with_style(style));
            if what == Shown::Source {
                shown.1.enable_steady_tick(std::time::Duration::from_millis(100));
            }
        }
        // Reports of several threads may come out of order.
        shown.1.set_position(done.max(shown.1.position()));
        shown.1.clone()
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.shown.get_mut().expect("no bar panics").1.finish_and_clear();
    }
}
