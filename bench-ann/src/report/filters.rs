//! Filtered search: speed at the recall by selectivity and correlation, ours, the exact scan, and the rival.

use crate::engines::ENGINES;
use crate::filters::cases::{Case, Correlation, Field, SELECTIVITIES};
use crate::filters::{Filtered, OURS, Run};
use crate::results::median;

use super::plot::{AREA, Scale, axes, column, connect, key, levels, mark, thousands};
use super::svg::Svg;
use super::table::{NOTHING, Table, count, or_nothing, short};

const RIVAL: &str = "qdrant-edge";
/// The run of a kind that a row shows.
type Best<'a> = fn(&Row<'a>) -> Option<&'a Run>;

/// What ours and the exact scan look like in the plot.
const GRAPH: &str = "vicino";
const SCAN: &str = "flat";

/// What results say.
pub struct Report<'a> {
    results: &'a Filtered,
    rows: Vec<Row<'a>>,
}

/// One case: the fastest that reach the recall, and the exact ones.
struct Row<'a> {
    case: Case,
    matching: f64,
    ours: Option<&'a Run>,
    scan: Option<&'a Run>,
    rival: Option<&'a Run>,
    rival_exact: Option<&'a Run>,
}

fn qps(run: &Run) -> f64 {
    if run.qps_repeats.is_empty() { run.tried_qps } else { median(&run.qps_repeats) }
}

fn kind(case: Case) -> &'static str {
    match (case.field, case.correlation) {
        (Field::Random, _) => "random",
        (Field::Place, Correlation::Negative) => "place, negative",
        (Field::Place, _) => "place, positive",
        (Field::Label, Correlation::Negative) => "label, negative",
        (Field::Label, _) => "label, positive",
    }
}

fn percent(share: f64) -> String {
    format!("{} %", share * 100.0)
}

impl<'a> Report<'a> {
    /// Of these results.
    pub fn of(results: &'a Filtered) -> Report<'a> {
        let mut cases: Vec<Case> = Vec::new();
        for run in &results.runs {
            if !cases.contains(&run.case) {
                cases.push(run.case);
            }
        }
        let row = |case: Case| {
            let best = |engine: &str, exact: bool| {
                let runs =
                    results.runs.iter().filter(|run| run.case == case && run.engine == engine && run.exact == exact);
                // A rival may be as fast as its fastest index; what was only tried does not count where there are repeats.
                let timed = runs.filter(|run| !run.qps_repeats.is_empty() && run.recall >= results.target);
                timed.max_by(|a, b| qps(a).total_cmp(&qps(b)))
            };
            let matching = results.runs.iter().find(|run| run.case == case).map_or(0.0, |run| run.matching);
            Row {
                case,
                matching,
                ours: best(OURS, false),
                scan: best(OURS, true),
                rival: best(RIVAL, false),
                rival_exact: best(RIVAL, true),
            }
        };
        Report { results, rows: cases.into_iter().map(row).collect() }
    }

    /// What it is about, in a line.
    pub fn title(&self) -> String {
        let (data, results) = (&self.results.dataset, self.results);
        let versions: Vec<&str> = results.engines.iter().map(|engine| engine.version.as_str()).collect();
        format!(
            "{}: {} × {}, {}, {} queries, k = {}, recall {}, one thread, medians of {} repeats, {}; {}",
            data.name,
            thousands(data.rows as f64),
            data.dim,
            data.metric,
            data.queries,
            results.k,
            short(results.target),
            results.repeats,
            results.machine.cpu,
            versions.join(", ")
        )
    }

    /// Every case in a row.
    pub fn table(&self) -> Table {
        let header = [
            "filter",
            "matches",
            "rows",
            "ours QPS",
            "recall",
            "whole",
            "hops",
            "scan QPS",
            "× scan",
            "Qdrant QPS",
            "recall",
            "whole",
            "× Qdrant",
            "Qdrant exact",
        ];
        let whole = |run: Option<&Run>| {
            or_nothing(run, |run| {
                if run.wrong > 0 {
                    format!("{} wrong", run.wrong)
                } else {
                    format!("{}/{}", run.whole, self.results.dataset.queries)
                }
            })
        };
        let recall = |run: Option<&Run>| or_nothing(run, |run| format!("{:.4}", run.recall));
        let ratio = |a: Option<&Run>, b: Option<&Run>| or_nothing(a.zip(b), |(a, b)| format!("{:.2}", qps(a) / qps(b)));
        let rows = self.rows.iter().map(|row| {
            vec![
                kind(row.case).to_owned(),
                percent(row.case.selectivity),
                count(Some(row.matching)),
                count(row.ours.map(qps)),
                recall(row.ours),
                whole(row.ours),
                count(row.ours.and_then(|run| run.hops_per_query)),
                count(row.scan.map(qps)),
                ratio(row.ours, row.scan),
                count(row.rival.map(qps)),
                recall(row.rival),
                whole(row.rival),
                ratio(row.ours, row.rival),
                count(row.rival_exact.map(qps)),
            ]
        });
        Table { header: header.map(str::to_owned).to_vec(), rows: rows.collect() }
    }

    /// What the columns mean.
    pub fn legend(&self) -> String {
        format!(
            "Every engine by its fastest setting that reaches the recall, of all that were tried. Ours is what the planner chose; where \
             hops are 0 that is a scan, by one-bit codes if fewer distances were computed than rows match. Scan QPS is ours when told to compare every row that matches. Qdrant is the faster of its \
             shards of floats and of bytes, with and without ACORN; Qdrant exact compares every row that matches. Whole counts queries \
             that were given k different rows that match. {NOTHING}: no setting reaches the recall. The time is that of the whole query, \
             the filter included."
        )
    }

    /// Speed against selectivity, a block for each kind of filter.
    pub fn plot(&self) -> String {
        let mut svg = Svg::new(super::plot::WIDTH, super::plot::HEIGHT);
        let heading = format!("Filtered search: {}", self.results.dataset.name);
        let conditions = format!(
            "queries per second at recall {} by selectivity and correlation, one thread, {}",
            short(self.results.target),
            self.results.machine.cpu
        );
        axes(&mut svg, [&heading, &conditions], "rows that match", "queries per second (up is better)");
        let series: [(&str, &str, Best<'a>); 3] = [
            (GRAPH, "ours", |row| row.ours),
            (SCAN, "ours, exact scan", |row| row.scan),
            (RIVAL, "Qdrant edge", |row| row.rival),
        ];
        let values = || self.rows.iter().flat_map(|row| series.iter().filter_map(move |(.., of)| of(row).map(qps)));
        let (least, most) = values().fold((f64::INFINITY, 1.0_f64), |(a, b), value| (a.min(value), b.max(value)));
        let scale = Scale::new(least.min(most).ln() - 0.15, most.ln() + 0.15, AREA.3, AREA.1);
        levels(&mut svg, &scale, least, most);
        let blocks = self.rows.len().div_ceil(SELECTIVITIES.len()).max(1);
        let width = (AREA.2 - AREA.0) / blocks as f64;
        let x = |at: usize| {
            let (block, place) = (at / SELECTIVITIES.len(), at % SELECTIVITIES.len());
            AREA.0 + width * (block as f64 + (place as f64 + 0.7) / (SELECTIVITIES.len() as f64 + 0.4))
        };
        for (at, row) in self.rows.iter().enumerate() {
            column(&mut svg, x(at), percent(row.case.selectivity).trim_end_matches(" %"));
            if at % SELECTIVITIES.len() == 0 {
                let style =
                    super::svg::Style { class: "soft", colour: "#616e7c", size: 12.0, weight: 400, anchor: "start" };
                svg.text((x(at) - 6.0, AREA.1 - 4.0), style, kind(row.case));
            }
        }
        for (place, (engine, name, of)) in series.iter().enumerate() {
            let engine = ENGINES.iter().position(|known| known.name == *engine).expect("in the table of engines");
            for (block, rows) in self.rows.chunks(SELECTIVITIES.len()).enumerate() {
                let points: Vec<(f64, f64)> = rows
                    .iter()
                    .enumerate()
                    .filter_map(|(at, row)| Some((x(block * SELECTIVITIES.len() + at), scale.at(qps(of(row)?).ln()))))
                    .collect();
                connect(&mut svg, engine, &points);
                points.iter().for_each(|&point| mark(&mut svg, engine, point));
            }
            key(&mut svg, place, engine, name);
        }
        svg.finish()
    }
}
