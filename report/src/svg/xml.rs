//! Writes SVG elements; everything that goes in is escaped here.

use std::fmt::Write;

/// System fonts, by name where a plain viewer knows no generic ones.
const FONTS: &str = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";

/// Attribute names and values.
pub(super) type Attrs<'a> = &'a [(&'a str, &'a str)];

/// Left, top, width, height in pixels.
pub(super) type Area = (f64, f64, f64, f64);

/// A growing SVG document.
pub(super) struct Xml {
    out: String,
    titles: bool,
}

/// How a text looks.
#[derive(Clone, Copy)]
pub(super) struct Font {
    pub(super) size: f64,
    pub(super) bold: bool,
    pub(super) fill: &'static str,
    pub(super) anchor: &'static str,
}

impl Font {
    pub(super) const fn new(size: f64, fill: &'static str) -> Font {
        Font {
            size,
            bold: false,
            fill,
            anchor: "start",
        }
    }

    pub(super) const fn bold(mut self) -> Font {
        self.bold = true;
        self
    }

    pub(super) const fn anchor(mut self, anchor: &'static str) -> Font {
        self.anchor = anchor;
        self
    }
}

impl Xml {
    pub(super) fn document(width: f64, height: f64) -> Xml {
        let mut xml = Xml {
            out: String::new(),
            titles: true,
        };
        let (width, height) = (px(width), px(height));
        xml.open(
            "svg",
            &[
                ("xmlns", "http://www.w3.org/2000/svg"),
                ("width", &width),
                ("height", &height),
                ("viewBox", &format!("0 0 {width} {height}")),
                ("font-family", FONTS),
            ],
        );
        xml
    }

    /// The document without what a pointed-at element tells.
    pub(super) fn without_titles(mut self) -> Xml {
        self.titles = false;
        self
    }

    pub(super) fn finish(mut self) -> String {
        self.close("svg");
        self.out
    }

    pub(super) fn open(&mut self, name: &str, attrs: Attrs<'_>) {
        self.start(name, attrs);
        self.out.push_str(">\n");
    }

    pub(super) fn close(&mut self, name: &str) {
        let _ = writeln!(self.out, "</{name}>");
    }

    pub(super) fn empty(&mut self, name: &str, attrs: Attrs<'_>) {
        self.start(name, attrs);
        self.out.push_str("/>\n");
    }

    /// An element that holds only text.
    pub(super) fn leaf(&mut self, name: &str, attrs: Attrs<'_>, text: &str) {
        self.start(name, attrs);
        self.out.push('>');
        escape(&mut self.out, text);
        let _ = writeln!(self.out, "</{name}>");
    }

    /// What the element around it tells when it is pointed at.
    pub(super) fn title(&mut self, text: &str) {
        if self.titles {
            self.leaf("title", &[], text);
        }
    }

    pub(super) fn rect(&mut self, (x, y, width, height): Area, attrs: Attrs<'_>) {
        let place = [
            ("x", px(x)),
            ("y", px(y)),
            ("width", px(width)),
            ("height", px(height)),
        ];
        let mut all: Vec<(&str, &str)> = place.iter().map(|(k, v)| (*k, v.as_str())).collect();
        all.extend_from_slice(attrs);
        self.empty("rect", &all);
    }

    pub(super) fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), stroke: &str) {
        let attrs = [
            ("x1", px(x1)),
            ("y1", px(y1)),
            ("x2", px(x2)),
            ("y2", px(y2)),
        ];
        let mut all: Vec<(&str, &str)> = attrs.iter().map(|(k, v)| (*k, v.as_str())).collect();
        all.push(("stroke", stroke));
        self.empty("line", &all);
    }

    /// One line of text, its base line at `y`.
    pub(super) fn text(&mut self, (x, y): (f64, f64), font: Font, text: &str) {
        let weight = if font.bold { "600" } else { "400" };
        self.leaf(
            "text",
            &[
                ("x", &px(x)),
                ("y", &px(y)),
                ("font-size", &px(font.size)),
                ("font-weight", weight),
                ("fill", font.fill),
                ("text-anchor", font.anchor),
            ],
            text,
        );
    }

    fn start(&mut self, name: &str, attrs: Attrs<'_>) {
        let _ = write!(self.out, "<{name}");
        for (key, value) in attrs {
            let _ = write!(self.out, " {key}=\"");
            escape(&mut self.out, value);
            self.out.push('"');
        }
    }
}

/// Pixels with at most one decimal.
pub(super) fn px(value: f64) -> String {
    let rounded = (value * 10.0).round() / 10.0;
    format!("{rounded}")
}

/// XML has no form at all for most control characters: they are replaced.
fn escape(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push('\n'),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
}
