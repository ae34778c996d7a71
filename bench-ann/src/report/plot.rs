//! Recall against speed, and against distances per query: one line per engine, its Pareto front over all its indexes.
//!
//! Recall is drawn on a scale of `−log(1 − recall)`, which gives .99 to .999 as much room as .90 to .99: where engines differ
//! most a linear axis shows a heap. The other axis is logarithmic.

use crate::engines::ENGINES;
use crate::front::pareto;
use crate::results::Run;

use super::summary::Section;
use super::svg::{Style, Svg};
use super::table::short;

pub(super) const WIDTH: f64 = 960.0;
pub(super) const HEIGHT: f64 = 560.0;
/// The plotting area: left, top, right, bottom.
pub(super) const AREA: (f64, f64, f64, f64) = (74.0, 66.0, 780.0, 500.0);
const INK: &str = "#1f2933";
const SOFT: &str = "#616e7c";
const GRID: &str = "#e4e7eb";
const TITLE: Style = Style { class: "ink", colour: INK, size: 18.0, weight: 600, anchor: "start" };
const CONDITIONS: Style = Style { class: "soft", colour: SOFT, size: 12.5, weight: 400, anchor: "start" };
const LABEL: Style = Style { class: "ink", colour: INK, size: 13.0, weight: 400, anchor: "middle" };
const LEGEND: Style = Style { anchor: "start", ..LABEL };
const TICK: Style = Style { class: "soft", colour: SOFT, size: 12.0, weight: 400, anchor: "middle" };

/// Recalls that may be ticks.
const RECALL_TICKS: [f64; 9] = [0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999];
/// A recall of one stands here.
const MOST: f64 = 0.9998;
/// Points below are left out where there are others.
const LEAST: f64 = 0.7;

/// Colour and shape of each engine, in the order of [`ENGINES`], so that an engine looks the same in every plot.
const LOOKS: [(&str, &[(f64, f64)]); 16] = [
    ("#d7263d", CIRCLE),
    ("#7a0f20", DIAMOND),
    ("#b3541e", CIRCLE),
    ("#9aa5b1", SQUARE),
    ("#1b6ca8", UP),
    ("#2a9d8f", DIAMOND),
    ("#8ac926", DOWN),
    ("#f4a100", CIRCLE),
    ("#8e5ea2", SQUARE),
    ("#6d4c41", DIAMOND),
    ("#c77d3a", UP),
    ("#e76f9a", DOWN),
    ("#111827", SQUARE),
    ("#66801f", CIRCLE),
    ("#00a6d6", DIAMOND),
    ("#dc4ad0", SQUARE),
];
/// Corners around a point; none for the circle.
const CIRCLE: &[(f64, f64)] = &[];
const SQUARE: &[(f64, f64)] = &[(-4.0, -4.0), (4.0, -4.0), (4.0, 4.0), (-4.0, 4.0)];
const UP: &[(f64, f64)] = &[(0.0, -5.2), (4.8, 3.6), (-4.8, 3.6)];
const DIAMOND: &[(f64, f64)] = &[(0.0, -5.4), (5.4, 0.0), (0.0, 5.4), (-5.4, 0.0)];
const DOWN: &[(f64, f64)] = &[(0.0, 5.2), (4.8, -3.6), (-4.8, -3.6)];

/// What is drawn against recall.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Queries per second: up is better.
    Qps,
    /// Distances per query: down is better.
    Distances,
}

impl Measure {
    /// A word for file names.
    pub fn name(self) -> &'static str {
        match self {
            Measure::Qps => "qps",
            Measure::Distances => "distances",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Measure::Qps => "queries per second (up and right is better)",
            Measure::Distances => "distances per query (down and right is better)",
        }
    }

    fn of(self, run: &Run) -> Option<f64> {
        match self {
            Measure::Qps => Some(run.qps),
            Measure::Distances => run.distances_per_query,
        }
    }
}

struct Series {
    engine: usize, // in ENGINES
    points: Vec<(f64, f64)>,
}

/// The plot of a section as SVG; `None` when no engine has what it shows.
pub fn plot(section: &Section<'_>, measure: Measure) -> Option<String> {
    let series = series(section, measure);
    let points = || series.iter().flat_map(|series| &series.points);
    let lowest = points().map(|point| point.0).reduce(f64::min)?;
    let recalls = Scale::new(squeeze(lowest), squeeze(MOST), AREA.0 + 12.0, AREA.2 - 12.0);
    let (least, most) = (points().map(|p| p.1).reduce(f64::min)?, points().map(|p| p.1).reduce(f64::max)?);
    let values = Scale::new(least.ln() - 0.15, most.ln() + 0.15, AREA.3, AREA.1);

    let mut svg = Svg::new(WIDTH, HEIGHT);
    frame(&mut svg, section, measure);
    for tick in RECALL_TICKS.into_iter().filter(|&tick| tick >= lowest) {
        column(&mut svg, recalls.at(squeeze(tick)), &short(tick));
    }
    levels(&mut svg, &values, least, most);
    // Ours last, so that nothing covers it.
    for series in series.iter().rev() {
        let at = |&(recall, value): &(f64, f64)| (recalls.at(squeeze(recall)), values.at(value.ln()));
        let points: Vec<(f64, f64)> = series.points.iter().map(at).collect();
        connect(&mut svg, series.engine, &points);
        points.iter().for_each(|&point| mark(&mut svg, series.engine, point));
    }
    legend(&mut svg, section, &series);
    Some(svg.finish())
}

/// Every engine that has points, in the order of [`ENGINES`].
fn series(section: &Section<'_>, measure: Measure) -> Vec<Series> {
    let all = ENGINES.iter().enumerate().map(|(engine, known)| {
        let lines = section.lines.iter().filter(|line| line.engine == known.name);
        let runs = lines.flat_map(|line| &line.front);
        let points: Vec<(f64, f64)> = runs.filter_map(|run| Some((run.recall, measure.of(run)?))).collect();
        // A front rises in its second number: fewer distances are better, so they count downwards.
        let sign = if measure == Measure::Qps { 1.0 } else { -1.0 };
        let signed: Vec<(f64, f64)> = points.iter().map(|&(recall, value)| (recall, sign * value)).collect();
        Series { engine, points: pareto(&signed).into_iter().map(|i| points[i]).collect() }
    });
    let mut all: Vec<Series> = all.filter(|series| !series.points.is_empty()).collect();
    if all.iter().flat_map(|series| &series.points).any(|point| point.0 >= LEAST) {
        all.iter_mut().for_each(|series| series.points.retain(|point| point.0 >= LEAST));
        all.retain(|series| !series.points.is_empty());
    }
    all
}

fn frame(svg: &mut Svg, section: &Section<'_>, measure: Measure) {
    let title = match measure {
        Measure::Qps => "Recall and speed",
        Measure::Distances => "Recall and distances computed",
    };
    let title = format!("{title}: {}", section.dataset.name);
    axes(svg, [&title, &conditions(section)], &format!("recall@{}", section.k), measure.label());
}

/// Title and conditions, and the two axes with what they show.
pub(super) fn axes(svg: &mut Svg, heading: [&str; 2], across: &str, up: &str) {
    let (left, top, right, bottom) = AREA;
    svg.raw(&format!(r##"<rect class="paper" width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>"##));
    svg.text((left, 28.0), TITLE, heading[0]);
    svg.text((left, 48.0), CONDITIONS, heading[1]);
    svg.line((left, bottom), (right, bottom), "axis", SOFT);
    svg.line((left, top), (left, bottom), "axis", SOFT);
    svg.text((f64::midpoint(left, right), bottom + 42.0), LABEL, across);
    let (x, y) = (18.0, f64::midpoint(top, bottom));
    svg.raw(&format!(r#"<g transform="rotate(-90 {x} {y})">"#));
    svg.text((x, y), LABEL, up);
    svg.raw("</g>");
}

/// The values on the upright axis.
pub(super) fn levels(svg: &mut Svg, values: &Scale, least: f64, most: f64) {
    for tick in decades(least, most) {
        let y = values.at(tick.ln());
        if (AREA.1..=AREA.3).contains(&y) {
            svg.line((AREA.0, y), (AREA.2, y), "grid", GRID);
            svg.text((AREA.0 - 8.0, y + 4.0), Style { anchor: "end", ..TICK }, &thousands(tick));
        }
    }
}

/// A value on the axis below.
pub(super) fn column(svg: &mut Svg, x: f64, text: &str) {
    svg.line((x, AREA.1), (x, AREA.3), "grid", GRID);
    svg.text((x, AREA.3 + 20.0), TICK, text);
}

pub(super) fn conditions(section: &Section<'_>) -> String {
    let data = section.dataset;
    let plural = if section.search_threads == 1 { "" } else { "s" };
    let cpu = section.files.first().map_or("", |file| &file.machine.cpu);
    let (rows, queries) = (thousands(data.rows as f64), thousands(data.queries as f64));
    let threads = section.search_threads;
    format!("{rows} × {}, {}, {queries} queries, {threads} thread{plural}, {cpu}", data.dim, data.metric)
}

/// The engines from fast to slow, as the section's lines stand.
fn legend(svg: &mut Svg, section: &Section<'_>, series: &[Series]) {
    let place = |series: &&Series| section.lines.iter().position(|line| line.engine == ENGINES[series.engine].name);
    let mut series: Vec<&Series> = series.iter().collect();
    series.sort_by_key(place);
    for (row, Series { engine, .. }) in series.into_iter().enumerate() {
        key(svg, row, *engine, ENGINES[*engine].name);
    }
}

/// A row of the legend, counted from the top.
pub(super) fn key(svg: &mut Svg, row: usize, engine: usize, text: &str) {
    let (x, y) = (AREA.2 + 22.0, AREA.1 + 14.0 + 24.0 * row as f64);
    connect(svg, engine, &[(x, y), (x + 32.0, y)]);
    mark(svg, engine, (x + 16.0, y));
    let weight = if engine == 0 { 600 } else { 400 };
    svg.text((x + 42.0, y + 4.5), Style { weight, ..LEGEND }, text);
}

/// A line through the points.
pub(super) fn connect(svg: &mut Svg, engine: usize, points: &[(f64, f64)]) {
    let (name, (colour, _)) = (ENGINES[engine].name, LOOKS[engine]);
    let width = if engine == 0 { 3.0 } else { 1.8 };
    let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let points = points.join(" ");
    svg.raw(&format!(
        r#"<polyline class="engine-{name}" points="{points}" fill="none" stroke="{colour}" stroke-width="{width}" stroke-linejoin="round"/>"#
    ));
}

/// The engine's mark: shapes tell apart what colours do not.
pub(super) fn mark(svg: &mut Svg, engine: usize, (x, y): (f64, f64)) {
    let (name, (colour, corners)) = (ENGINES[engine].name, LOOKS[engine]);
    let style = format!(r##"class="mark engine-{name}" fill="{colour}" stroke="#ffffff" stroke-width="1""##);
    if corners.is_empty() {
        svg.raw(&format!(r#"<circle {style} cx="{x:.1}" cy="{y:.1}" r="4.6"/>"#));
    } else {
        let points: Vec<String> = corners.iter().map(|(dx, dy)| format!("{:.1},{:.1}", x + dx, y + dy)).collect();
        svg.raw(&format!(r#"<polygon {style} points="{}"/>"#, points.join(" ")));
    }
}

/// A straight line from one range onto another.
pub(super) struct Scale {
    from: (f64, f64),
    to: (f64, f64),
}

impl Scale {
    pub(super) fn new(from_start: f64, from_end: f64, to_start: f64, to_end: f64) -> Scale {
        Scale { from: (from_start, from_end.max(from_start + 1e-9)), to: (to_start, to_end) }
    }

    pub(super) fn at(&self, value: f64) -> f64 {
        let share = (value - self.from.0) / (self.from.1 - self.from.0);
        self.to.0 + share * (self.to.1 - self.to.0)
    }
}

fn squeeze(recall: f64) -> f64 {
    -(1.0 - recall.min(MOST)).ln()
}

/// 1, 2 and 5 times the powers of ten over a range.
fn decades(least: f64, most: f64) -> impl Iterator<Item = f64> {
    let powers = least.log10().floor() as i32 - 1..=most.log10().ceil() as i32;
    powers.flat_map(|power| [1.0, 2.0, 5.0].map(|factor| factor * 10_f64.powi(power)))
}

/// A number with its thousands apart.
pub(super) fn thousands(value: f64) -> String {
    if value < 1.0 {
        return format!("{value}");
    }
    let digits = format!("{value:.0}");
    let groups = digits.as_bytes().rchunks(3).rev().map(|group| String::from_utf8_lossy(group).into_owned());
    groups.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_engine_has_a_colour_of_its_own() {
        let mut colours = LOOKS.map(|look| look.0).to_vec();
        assert_eq!(colours.len(), ENGINES.len());
        colours.sort_unstable();
        colours.dedup();
        assert_eq!(colours.len(), ENGINES.len());
    }

    #[test]
    fn thousands_are_apart() {
        assert_eq!([5.0, 1234.0, 20_000_000.0].map(thousands), ["5", "1,234", "20,000,000"]);
    }
}
