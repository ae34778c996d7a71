//! Line plots as SVG text, with linear or logarithmic axes.

use std::fmt::Write as _;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 440.0;
/// The plotting area: left, top, right, bottom.
const AREA: (f64, f64, f64, f64) = (78.0, 52.0, 590.0, 380.0);
const COLOURS: [&str; 8] = ["#d7263d", "#1b6ca8", "#2a9d8f", "#f4a100", "#8e5ea2", "#6d4c41", "#111827", "#66801f"];

/// How numbers lie along an axis.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Scale {
    /// Evenly.
    Linear,
    /// By their logarithms; numbers that have none are left out.
    Log,
}

/// An axis: what it shows, and how.
pub(crate) struct Axis {
    pub(crate) label: &'static str,
    pub(crate) scale: Scale,
}

/// A line; a dashed one is a bound or reference.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
    pub(crate) colour: usize,
    pub(crate) dashed: bool,
}

struct Range {
    scale: Scale,
    from: (f64, f64),
    to: (f64, f64),
}

impl Range {
    /// Covers all numbers that the scale can show.
    fn new(scale: Scale, numbers: impl Iterator<Item = f64>, to: (f64, f64)) -> Range {
        let numbers: Vec<f64> =
            numbers.filter(|&x| scale == Scale::Linear || x > 0.0).map(|x| warp(scale, x)).collect();
        let least = numbers.iter().copied().fold(f64::INFINITY, f64::min);
        let most = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let margin = ((most - least) * 0.04).max(1e-9);
        Range { scale, from: (least - margin, most + margin), to }
    }

    fn at(&self, number: f64) -> f64 {
        let share = (warp(self.scale, number) - self.from.0) / (self.from.1 - self.from.0);
        self.to.0 + share * (self.to.1 - self.to.0)
    }

    /// Round numbers within the range: powers of ten, or steps of 1, 2 or 5.
    fn ticks(&self) -> Vec<f64> {
        match self.scale {
            Scale::Log => {
                let (first, last) = (self.from.0.ceil() as i32, self.from.1.floor() as i32);
                let every = ((last - first) / 7).max(1) as usize;
                let powers: Vec<f64> = (first..=last).step_by(every).map(|power| 10_f64.powi(power)).collect();
                if powers.len() > 2 {
                    return powers;
                }
                let all = (first - 1..=last).flat_map(|power| [1.0, 2.0, 5.0].map(|part| part * 10_f64.powi(power)));
                all.filter(|tick| (self.from.0..=self.from.1).contains(&tick.log10())).collect()
            }
            Scale::Linear => {
                let rough = (self.from.1 - self.from.0) / 6.0;
                let power = 10_f64.powf(rough.log10().floor());
                let step = [1.0, 2.0, 5.0, 10.0].map(|part| part * power).into_iter().find(|&step| step >= rough);
                let step = step.expect("ten times the power is more");
                let (first, last) = ((self.from.0 / step).ceil() as i64, (self.from.1 / step).floor() as i64);
                (first..=last).map(|tick| tick as f64 * step).collect()
            }
        }
    }
}

fn warp(scale: Scale, number: f64) -> f64 {
    if scale == Scale::Log { number.log10() } else { number }
}

/// The plot.
pub(crate) fn chart(title: &str, x: &Axis, y: &Axis, lines: &[Line]) -> String {
    let shown = |&(a, b): &(f64, f64)| {
        a.is_finite() && b.is_finite() && (x.scale == Scale::Linear || a > 0.0) && (y.scale == Scale::Linear || b > 0.0)
    };
    let points = || lines.iter().flat_map(|line| &line.points).filter(|point| shown(point));
    let (left, top, right, bottom) = AREA;
    let across = Range::new(x.scale, points().map(|point| point.0), (left, right));
    let up = Range::new(y.scale, points().map(|point| point.1), (bottom, top));
    let mut svg = String::new();
    let mut put = |element: String| writeln!(svg, "{element}").expect("writing to a string");
    put(format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" font-family="Inter, system-ui, sans-serif" font-size="12" fill="#1f2933">"##
    ));
    put(format!(r##"<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>"##));
    put(format!(r#"<text x="{left}" y="28" font-size="16" font-weight="600">{title}</text>"#));
    for tick in across.ticks() {
        let at = across.at(tick);
        put(format!(r##"<line x1="{at:.1}" y1="{top}" x2="{at:.1}" y2="{bottom}" stroke="#e4e7eb"/>"##));
        put(format!(r#"<text x="{at:.1}" y="{:.1}" text-anchor="middle">{}</text>"#, bottom + 18.0, number(tick)));
    }
    for tick in up.ticks() {
        let at = up.at(tick);
        put(format!(r##"<line x1="{left}" y1="{at:.1}" x2="{right}" y2="{at:.1}" stroke="#e4e7eb"/>"##));
        put(format!(r#"<text x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"#, left - 8.0, at + 4.0, number(tick)));
    }
    let (middle_x, middle_y) = (f64::midpoint(left, right), f64::midpoint(top, bottom));
    put(format!(r#"<text x="{middle_x}" y="{:.1}" text-anchor="middle">{}</text>"#, bottom + 42.0, x.label));
    put(format!(
        r#"<text transform="rotate(-90 18 {middle_y})" x="18" y="{middle_y}" text-anchor="middle">{}</text>"#,
        y.label
    ));
    for (row, line) in lines.iter().enumerate() {
        let colour = COLOURS[line.colour % COLOURS.len()];
        let dash = if line.dashed { r#" stroke-dasharray="6 4""# } else { "" };
        let style = format!(r#"fill="none" stroke="{colour}" stroke-width="2"{dash}"#);
        let places: Vec<String> = line
            .points
            .iter()
            .filter(|point| shown(point))
            .map(|&(a, b)| format!("{:.1},{:.1}", across.at(a), up.at(b)))
            .collect();
        put(format!(r#"<polyline points="{}" {style}/>"#, places.join(" ")));
        // A line of one point would not be seen.
        if let [place] = &places[..]
            && let Some((x, y)) = place.split_once(',')
        {
            put(format!(r#"<circle cx="{x}" cy="{y}" r="4" fill="{colour}"/>"#));
        }
        let y = top + 10.0 + 20.0 * row as f64;
        put(format!(r#"<line x1="{:.1}" y1="{y}" x2="{:.1}" y2="{y}" {style}/>"#, right + 12.0, right + 36.0));
        put(format!(r#"<text x="{:.1}" y="{:.1}">{}</text>"#, right + 42.0, y + 4.0, line.name));
    }
    put("</svg>".to_owned());
    svg
}

/// A tick's number, short.
fn number(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-3..1e6).contains(&size) {
        format!("{value:.0e}")
    } else {
        format!("{}", (value * 1e6).round() / 1e6)
    }
}
