//! Where we stand on every data set at once: our fastest index at each recall, the fastest of all peers, and hnswlib.
//!
//! Unlike the table of one set, the speeds here are of the fastest index an engine has *at that recall*, whatever its build, and a
//! speed measured above the recall counts as reached: it is what one gets who asks for at least that much.

use super::summary::{At, BASELINE, Line, Section, TARGETS};
use super::table::{NOTHING, Table, build_seconds, megabytes, or_nothing, short, speed};
use crate::engines::{self, Source};

/// The table's heading.
pub const TITLE: &str = "All data sets: our fastest index against the fastest of all peers";
/// Our own engine that is no index.
const SCAN: &str = "flat";

/// A line at a target it reaches.
struct Best<'a, 'b> {
    line: &'b Line<'a>,
    at: At<'a>,
}

/// One row for every data set and target; `None` unless some section has both an index of ours and a peer's.
pub fn table(sections: &[Section<'_>]) -> Option<Table> {
    let header = [
        "data set",
        "recall",
        "ours QPS",
        "best peer QPS",
        "× peer",
        "hnswlib QPS",
        "× hnswlib",
        "build s: ours",
        "peer",
        "hnswlib",
        "build CPU s: ours",
        "peer",
        "hnswlib",
        "resident MB: ours",
        "peer",
        "hnswlib",
    ];
    let sections = sections.iter().filter(|section| {
        section.lines.iter().any(|line| is_ours(line.engine)) && section.lines.iter().any(|line| is_peer(line.engine))
    });
    let rows: Vec<Vec<String>> =
        sections.flat_map(|section| (0..TARGETS.len()).map(|target| row(section, target))).collect();
    (!rows.is_empty()).then(|| Table { header: header.map(str::to_owned).to_vec(), rows })
}

/// What the columns of [`table`] mean.
pub fn legend() -> String {
    format!(
        "Speeds are of the engine's fastest index at that recall, read on its Pareto front as above; ≥ marks one whose cheapest \
         setting exceeds the recall, and which counts as reaching it. Build time and resident size are of the very index whose speed \
         stands there. {NOTHING}: never reached."
    )
}

fn is_ours(engine: &str) -> bool {
    engine != SCAN && engines::find(engine).is_ok_and(|engine| engine.source == Source::Own)
}

fn is_peer(engine: &str) -> bool {
    engines::find(engine).is_ok_and(|engine| engine.source != Source::Own)
}

fn best<'a, 'b>(section: &'b Section<'a>, target: usize, of: impl Fn(&str) -> bool) -> Option<Best<'a, 'b>> {
    let lines = section.lines.iter().filter(|line| of(line.engine));
    let reached = lines.filter_map(|line| Some(Best { line, at: line.at[target]? }));
    reached.max_by(|a, b| a.at.qps.total_cmp(&b.at.qps))
}

fn row(section: &Section<'_>, target: usize) -> Vec<String> {
    let ours = best(section, target, is_ours);
    let peer = best(section, target, is_peer);
    let baseline = best(section, target, |engine| engine == BASELINE);
    let named = |best: &Option<Best<'_, '_>>| {
        or_nothing(best.as_ref(), |best| format!("{} {}", best.line.engine, speed(best.at)))
    };
    let over = |other: &Option<Best<'_, '_>>| {
        let ratio = ours.as_ref().zip(other.as_ref()).map(|(ours, other)| ours.at.qps / other.at.qps);
        or_nothing(ratio, |ratio| format!("{ratio:.2}"))
    };
    let all = [&ours, &peer, &baseline];
    let mut cells = vec![section.dataset.name.clone(), short(TARGETS[target]), named(&ours), named(&peer), over(&peer)];
    cells.push(or_nothing(baseline.as_ref(), |best| speed(best.at)));
    cells.push(over(&baseline));
    cells.extend(all.map(|best| or_nothing(best.as_ref(), |best| build_seconds(best.line.build))));
    let processor = |best: &Best<'_, '_>| best.line.build.build_cpu_s;
    cells.extend(all.map(|best| or_nothing(best.as_ref().and_then(processor), |seconds| format!("{seconds:.1}"))));
    cells.extend(all.map(|best| megabytes(best.as_ref().and_then(|best| best.line.build.resident_bytes))));
    cells
}
