//! Lines over a logarithmic axis, as SVG: enough for a figure in a report, without a drawing library.

use std::fmt::Write;

/// A line: its name in the legend and its points, by ascending x.
#[derive(Debug, Clone)]
pub struct Line {
    /// In the legend.
    pub name: String,
    /// x above 0, y in `0.0..=1.0`.
    pub points: Vec<(f64, f64)>,
}

/// A figure.
#[derive(Debug, Clone)]
pub struct Figure<'a> {
    /// Above it.
    pub title: &'a str,
    /// How it was made, in small letters below the title.
    pub conditions: &'a str,
    /// Below the x axis.
    pub x: &'a str,
    /// Beside the y axis, which goes from 0 to 1.
    pub y: &'a str,
    /// The lines.
    pub lines: Vec<Line>,
}

const SIZE: (f64, f64) = (860.0, 480.0);
/// The plotting area: left, top, right, bottom.
const AREA: (f64, f64, f64, f64) = (64.0, 66.0, 610.0, 420.0);
const COLOURS: [&str; 8] = ["#d7263d", "#1b6ca8", "#2a9d8f", "#f4a100", "#8e5ea2", "#6d4c41", "#66801f", "#111827"];

impl Figure<'_> {
    /// The figure as an SVG document. Ticks of x are the points' own values.
    pub fn svg(&self) -> String {
        let mut ticks: Vec<f64> = self.lines.iter().flat_map(|line| &line.points).map(|point| point.0).collect();
        ticks.sort_unstable_by(f64::total_cmp);
        ticks.dedup();
        let (least, most) = (ticks.first().copied().unwrap_or(1.0), ticks.last().copied().unwrap_or(1.0));
        let width = (most / least).ln().max(f64::MIN_POSITIVE);
        let x = |value: f64| AREA.0 + 14.0 + (value / least).ln() / width * (AREA.2 - AREA.0 - 28.0);
        let y = |value: f64| AREA.3 - value * (AREA.3 - AREA.1);

        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n",
            SIZE.0, SIZE.1
        );
        let mut text = |at: (f64, f64), anchor: &str, style: &str, text: &str| {
            let (x, y) = at;
            writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" {style}>{}</text>", escape(text))
                .expect("a String takes everything");
        };
        text((AREA.0, 26.0), "start", "font-size=\"17\" font-weight=\"600\" fill=\"#1f2933\"", self.title);
        text((AREA.0, 46.0), "start", SOFT, self.conditions);
        text(((AREA.0 + AREA.2) / 2.0, AREA.3 + 42.0), "middle", INK, self.x);
        let turned = format!("{INK} transform=\"rotate(-90 20 {0})\"", (AREA.1 + AREA.3) / 2.0);
        text((20.0, (AREA.1 + AREA.3) / 2.0), "middle", &turned, self.y);
        let mut last = f64::NEG_INFINITY;
        for &tick in &ticks {
            // Values closer than a label is wide stay without one.
            if x(tick) - last >= 34.0 {
                last = x(tick);
                text((last, AREA.3 + 18.0), "middle", SOFT, &tick.to_string());
            }
        }
        for step in 0..=5 {
            let value = f64::from(step) / 5.0;
            text((AREA.0 - 8.0, y(value) + 4.0), "end", SOFT, &format!("{value:.1}"));
        }
        for (line, place) in self.lines.iter().zip(0_u32..) {
            text((AREA.2 + 40.0, AREA.1 + 14.0 + 22.0 * f64::from(place)), "start", INK, &line.name);
        }

        for step in 0..=5 {
            let y = y(f64::from(step) / 5.0);
            stroke(&mut svg, &[(AREA.0, y), (AREA.2, y)], "#e4e7eb", 1.0);
        }
        for (at, line) in self.lines.iter().enumerate() {
            let colour = COLOURS[at % COLOURS.len()];
            let points: Vec<(f64, f64)> = line.points.iter().map(|&(a, b)| (x(a), y(b))).collect();
            stroke(&mut svg, &points, colour, 2.0);
            for (x, y) in points {
                writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{colour}\"/>").expect("as above");
            }
            let y = AREA.1 + 10.0 + 22.0 * at as f64;
            stroke(&mut svg, &[(AREA.2 + 12.0, y), (AREA.2 + 34.0, y)], colour, 3.0);
        }
        svg.push_str("</svg>\n");
        svg
    }
}

const INK: &str = "fill=\"#1f2933\"";
const SOFT: &str = "fill=\"#616e7c\"";

fn stroke(svg: &mut String, points: &[(f64, f64)], colour: &str, width: f64) {
    let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    writeln!(
        svg,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"/>",
        points.join(" ")
    )
    .expect("a String takes everything");
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_lies_in_the_area_and_text_is_escaped() {
        let line = |name: &str, points: &[(f64, f64)]| Line { name: name.into(), points: points.to_vec() };
        let lines = vec![line("a < b", &[(32.0, 0.0), (4096.0, 1.0)]), line("one", &[(512.0, 0.5)])];
        let figure = Figure { title: "t & u", conditions: "", x: "x", y: "y", lines };
        let svg = figure.svg();
        assert!(svg.contains("a &lt; b") && svg.contains("t &amp; u"));
        let circles: Vec<Vec<f64>> = svg
            .lines()
            .filter(|line| line.starts_with("<circle"))
            .map(|line| line.split('"').skip(1).step_by(2).take(2).map(|number| number.parse().unwrap()).collect())
            .collect();
        assert_eq!(circles.len(), 3);
        assert!(circles[0][1] == AREA.3 && circles[1][1] == AREA.1 && circles[2][0] > circles[0][0]);
        assert!(circles.iter().all(|at| (AREA.0..=AREA.2).contains(&at[0]) && (AREA.1..=AREA.3).contains(&at[1])));
        assert_eq!(svg.matches("<svg").count(), svg.matches("</svg>").count());
        assert!(Figure { lines: Vec::new(), ..figure }.svg().ends_with("</svg>\n"));
    }
}
