//! SVG text, and its picture as PNG in the font embedded here. What is published as SVG and as PNG is one drawing.

use std::fmt::Write as _;
use std::sync::Arc;

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

/// The font of the pictures; in a browser the page's own fonts stand behind it.
const FAMILY: &str = "Inter";
const FONTS: [&[u8]; 2] =
    [include_bytes!("../../fonts/Inter-Regular-subset.otf"), include_bytes!("../../fonts/Inter-SemiBold-subset.otf")];
/// Pixels per unit in the PNG.
const SCALE: f32 = 2.0;

/// An SVG under construction. Colours are plain attributes, which a page's style sheet may override by class.
pub struct Svg {
    width: f64,
    height: f64,
    body: String,
}

/// How a text looks.
#[derive(Clone, Copy)]
pub struct Style {
    /// Class, for style sheets.
    pub class: &'static str,
    /// Colour.
    pub colour: &'static str,
    /// Height.
    pub size: f64,
    /// Boldness: 400 or 600.
    pub weight: u16,
    /// What stands at the text's point: its `start`, `middle` or `end`.
    pub anchor: &'static str,
}

impl Svg {
    /// An empty drawing.
    pub fn new(width: f64, height: f64) -> Svg {
        Svg { width, height, body: String::new() }
    }

    /// Adds an element as it is.
    pub fn raw(&mut self, element: &str) {
        self.body.push_str(element);
        self.body.push('\n');
    }

    /// A line of `class`.
    pub fn line(&mut self, from: (f64, f64), to: (f64, f64), class: &str, colour: &str) {
        let ((x1, y1), (x2, y2)) = (from, to);
        self.raw(&format!(
            r#"<line class="{class}" x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" stroke="{colour}" stroke-width="1"/>"#
        ));
    }

    /// A text at a point of its base line.
    pub fn text(&mut self, (x, y): (f64, f64), style: Style, text: &str) {
        let Style { class, colour, size, weight, anchor } = style;
        let text = escape(text);
        self.raw(&format!(
            r#"<text class="{class}" x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" fill="{colour}">{text}</text>"#
        ));
    }

    /// The whole drawing.
    pub fn finish(&self) -> String {
        let (width, height) = (self.width, self.height);
        let mut svg = String::new();
        writeln!(
            svg,
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" font-family="{FAMILY}, system-ui, sans-serif">"#
        )
        .expect("writing to a string");
        svg.push_str(&self.body);
        svg.push_str("</svg>\n");
        svg
    }
}

/// The picture of an SVG made here, as PNG.
pub fn png(svg: &str) -> Vec<u8> {
    let mut fonts = fontdb::Database::new();
    FONTS.iter().for_each(|font| fonts.load_font_data(font.to_vec()));
    fonts.set_sans_serif_family(FAMILY);
    let options = Options { fontdb: Arc::new(fonts), font_family: FAMILY.to_owned(), ..Options::default() };
    let tree = Tree::from_str(svg, &options).expect("the drawing is well-formed SVG");
    let size = tree.size();
    let (width, height) = ((size.width() * SCALE).ceil() as u32, (size.height() * SCALE).ceil() as u32);
    let mut pixels = Pixmap::new(width, height).expect("a drawing has a size");
    resvg::render(&tree, Transform::from_scale(SCALE, SCALE), &mut pixels.as_mut());
    pixels.encode_png().expect("pixels in memory are valid")
}

/// Text as XML and HTML want it.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}
