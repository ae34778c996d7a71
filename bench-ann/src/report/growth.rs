//! How costs grow with the rows: time per query at recall .95 and build time, over results of the first n rows of one data set.
//!
//! The exponent is the slope of a straight line through (log n, log cost), by least squares: a cost of n^0.2 grows by 1.6 when the rows
//! grow tenfold. The machine's caches bend the curve, so an exponent is that of the sizes measured and of no others.

use crate::engines::ENGINES;
use crate::params::Params;

use super::plot::{AREA, HEIGHT, Scale, WIDTH, axes, column, conditions, connect, key, levels, mark, thousands};
use super::summary::{Section, TARGETS};
use super::svg::Svg;
use super::table::{NOTHING, Table, count, or_nothing, short};

/// The target at which queries are timed: .95.
const TARGET: usize = 1;

/// What grows.
const QUERY: usize = 0;
const BUILD: usize = 1;
const BUILD_CPU: usize = 2;
const COSTS: [Cost; 3] = [
    Cost {
        name: "query",
        unit: "µs",
        title: "Time per query and rows",
        axis: "µs per query at recall .95 (down is better)",
    },
    Cost { name: "build", unit: "build s", title: "Build time and rows", axis: "seconds to build (down is better)" },
    Cost {
        name: "build-cpu",
        unit: "build CPU s",
        title: "Processor time of the build and rows",
        axis: "processor seconds to build (down is better)",
    },
];

struct Cost {
    name: &'static str,
    unit: &'static str,
    title: &'static str,
    axis: &'static str,
}

/// Results of one data set at several sizes.
pub struct Growth<'a> {
    /// By rising number of rows.
    sizes: Vec<&'a Section<'a>>,
    lines: Vec<Grown<'a>>,
}

/// One engine with one set of build parameters.
struct Grown<'a> {
    engine: &'a str,
    params: &'a Params,
    /// Time per query in microseconds, build time and processor time in seconds, at each size; `None` where not measured, or the recall not
    /// met exactly.
    costs: [Vec<Option<f64>>; COSTS.len()],
}

/// Results that show no growth.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GrowthError {
    /// One size says nothing.
    #[error("expected results of at least 2 numbers of rows, found {0}")]
    Sizes(usize),
    /// Two files of different things.
    #[error("{what}: expected the same in all files, found {first} and {other}")]
    Different {
        /// What differs.
        what: &'static str,
        /// In the first file.
        first: String,
        /// In another.
        other: String,
    },
}

impl<'a> Growth<'a> {
    /// From sections of one data set. Errors if they are not, or are all of one size.
    pub fn of(sections: &'a [Section<'a>]) -> Result<Growth<'a>, GrowthError> {
        let mut sizes: Vec<&Section<'_>> = sections.iter().collect();
        sizes.sort_by_key(|section| section.dataset.rows);
        sizes.dedup_by_key(|section| section.dataset.rows);
        if sizes.len() < 2 {
            return Err(GrowthError::Sizes(sizes.len()));
        }
        for section in sections {
            same(&sections[0], section)?;
        }
        let mut lines: Vec<Grown<'a>> = Vec::new();
        for (at, section) in sizes.iter().enumerate() {
            for line in &section.lines {
                let (engine, params) = (line.engine, &line.build.build_params);
                let known = lines.iter().position(|grown| grown.engine == engine && grown.params == params);
                let place = known.unwrap_or_else(|| {
                    lines.push(Grown { engine, params, costs: COSTS.each_ref().map(|_| vec![None; sizes.len()]) });
                    lines.len() - 1
                });
                // A setting above the recall is no measure of the time at it.
                let exact = line.at[TARGET].filter(|at| !at.bound);
                lines[place].costs[QUERY][at] = exact.map(|at| 1e6 / at.qps);
                lines[place].costs[BUILD][at] = Some(line.build.build_s);
                lines[place].costs[BUILD_CPU][at] = line.build.build_cpu_s;
            }
        }
        let last = |grown: &Grown<'_>| grown.costs[QUERY].iter().rev().find_map(|cost| *cost).unwrap_or(f64::INFINITY);
        lines.sort_by(|a, b| last(a).total_cmp(&last(b)));
        Ok(Growth { sizes, lines })
    }

    /// The data set's name.
    pub fn dataset(&self) -> &str {
        &self.sizes[0].dataset.name
    }

    /// What it is about, in a line.
    pub fn title(&self) -> String {
        let (first, threads) = (self.sizes[0], self.sizes[0].lines.first().map_or(0, |line| line.build.build_threads));
        let data = first.dataset;
        format!(
            "{}: first rows × {}, {}, {} queries, k = {}, recall {}, search threads {}, build threads {threads}",
            data.name,
            data.dim,
            data.metric,
            data.queries,
            first.k,
            short(TARGETS[TARGET]),
            first.search_threads
        )
    }

    /// Costs at every size, and their exponents.
    pub fn table(&self) -> Table {
        let mut header = vec!["engine".to_owned(), "build".to_owned()];
        for cost in COSTS {
            header
                .extend(self.sizes.iter().map(|size| format!("{} {}", cost.unit, thousands(size.dataset.rows as f64))));
            header.push("exponent".to_owned());
        }
        let row = |grown: &Grown<'_>| {
            let mut cells = vec![grown.engine.to_owned(), grown.params.to_string()];
            for costs in &grown.costs {
                cells.extend(costs.iter().map(|&cost| count(cost)));
                cells.push(or_nothing(self.exponent(costs), |exponent| format!("{exponent:.2}")));
            }
            cells
        };
        Table { header, rows: self.lines.iter().map(row).collect() }
    }

    /// What the columns of the table mean.
    pub fn legend() -> String {
        format!(
            "µs is time per query on one thread in one batch, read on the index's own front at recall {}; {NOTHING} where that recall is \
             not reached, or exceeded even by the cheapest setting. CPU s is the processor time of the build over all its threads. The exponent e is that of a cost growing as rows^e, by least squares \
             over the sizes with a number.",
            short(TARGETS[TARGET])
        )
    }

    /// The slope of log cost over log rows, where there are two sizes to draw it through.
    fn exponent(&self, costs: &[Option<f64>]) -> Option<f64> {
        slope(&self.points(costs))
    }

    fn points(&self, costs: &[Option<f64>]) -> Vec<(f64, f64)> {
        let rows = self.sizes.iter().map(|size| size.dataset.rows as f64);
        rows.zip(costs).filter_map(|(rows, cost)| Some((rows.ln(), (*cost)?.ln()))).collect()
    }

    /// A drawing for each cost, by its name: every engine's index that answers fastest at the largest size.
    pub fn plots(&self) -> Vec<(&'static str, String)> {
        (0..COSTS.len()).filter_map(|cost| Some((COSTS[cost].name, self.plot(cost)?))).collect()
    }

    fn plot(&self, cost: usize) -> Option<String> {
        let mut drawn: Vec<(usize, &Grown<'_>)> = Vec::new();
        for grown in &self.lines {
            let engine = ENGINES.iter().position(|engine| engine.name == grown.engine)?;
            if drawn.iter().all(|&(known, _)| known != engine) && self.points(&grown.costs[cost]).len() > 1 {
                drawn.push((engine, grown));
            }
        }
        let values = || drawn.iter().flat_map(|(_, grown)| grown.costs[cost].iter().copied().flatten());
        let (least, most) = (values().reduce(f64::min)?, values().reduce(f64::max)?);
        let rows = |at: usize| (self.sizes[at].dataset.rows as f64).ln();
        let across = Scale::new(rows(0), rows(self.sizes.len() - 1), AREA.0 + 24.0, AREA.2 - 24.0);
        let up = Scale::new(least.ln() - 0.15, most.ln() + 0.15, AREA.3, AREA.1);

        let mut svg = Svg::new(WIDTH, HEIGHT);
        let Cost { title, axis, .. } = COSTS[cost];
        let heading = format!("{title}: {}", self.dataset());
        axes(&mut svg, [&heading, &conditions(self.sizes[self.sizes.len() - 1])], "rows", axis);
        for (at, size) in self.sizes.iter().enumerate() {
            column(&mut svg, across.at(rows(at)), &thousands(size.dataset.rows as f64));
        }
        levels(&mut svg, &up, least, most);
        for (row, &(engine, grown)) in drawn.iter().enumerate() {
            let points = self.points(&grown.costs[cost]);
            let points: Vec<(f64, f64)> = points.iter().map(|&(x, y)| (across.at(x), up.at(y))).collect();
            connect(&mut svg, engine, &points);
            points.iter().for_each(|&point| mark(&mut svg, engine, point));
            let exponent = or_nothing(self.exponent(&grown.costs[cost]), |exponent| format!("{exponent:.2}"));
            key(&mut svg, row, engine, &format!("{} n^{exponent}", grown.engine));
        }
        Some(svg.finish())
    }
}

fn same(first: &Section<'_>, other: &Section<'_>) -> Result<(), GrowthError> {
    let key = |section: &Section<'_>| {
        let data = section.dataset;
        [
            ("data set", data.name.clone()),
            ("dimension", data.dim.to_string()),
            ("metric", data.metric.clone()),
            ("queries", data.queries.to_string()),
            ("k", section.k.to_string()),
            ("search threads", section.search_threads.to_string()),
            ("machine", section.files.first().map_or_else(String::new, |file| file.machine.cpu.clone())),
        ]
    };
    match key(first).into_iter().zip(key(other)).find(|(first, other)| first != other) {
        Some(((what, first), (_, other))) => Err(GrowthError::Different { what, first, other }),
        None => Ok(()),
    }
}

/// The slope of the line nearest to the points by least squares; `None` for fewer than two, or all at one place.
fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let mean = |pick: fn(&(f64, f64)) -> f64| points.iter().map(pick).sum::<f64>() / points.len() as f64;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let spread: f64 = points.iter().map(|point| (point.0 - x) * (point.0 - x)).sum();
    let shared: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    (points.len() > 1 && spread > 0.0).then(|| shared / spread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_has_its_exponent() {
        let points: Vec<(f64, f64)> = [1e5_f64, 3e5, 1e6].map(|n| (n.ln(), (7.0 * n.powf(0.3)).ln())).to_vec();
        assert!((slope(&points).unwrap() - 0.3).abs() < 1e-9);
        assert_eq!(slope(&points[..1]), None);
        assert_eq!(slope(&[(1.0, 2.0), (1.0, 3.0)]), None);
    }
}
