//! Two traces side by side as a picture: a row per path, both traces' bars on one time axis, the
//! differences in columns.

use tierscope_analyzer::{Cell, Comparison};
use tierscope_model::Timestamp;

use super::palette::{self, ERROR, GRID, INK, MUTED};
use super::scale::Scale;
use super::xml::{Font, Xml};
use super::{MARGIN, WIDTH};
use crate::compare::{
    Line, Sides, difference, durations, is_worse, lines, name, normal, sentence, share, signed,
};
use crate::duration::human;
use crate::text::{clip, visible_clip, width};
use crate::tier::Tiers;

/// Where the first row begins, under a sentence of one line.
const TOP: f64 = 138.0;
const ROW: f64 = 26.0;
/// Height of one bar: the first trace's above, the second's below.
const BAR: f64 = 8.0;
/// Left of the names, of the bars, of the columns, and what is right of them.
const PLOT: (f64, f64) = (384.0, 738.0);
/// Right edges of the columns: both durations, the difference, its share.
const COLUMNS: [f64; 4] = [812.0, 884.0, 968.0, 1016.0];
const TAGS: f64 = 1030.0;
const NORMAL: f64 = 1146.0;
/// A step of the tree, in pixels.
const STEP: f64 = 10.0;
/// A column of 12-pixel text is at most about so wide.
const LETTER: f64 = 7.4;
/// Longest line of the sentence, in columns.
const LONGEST: usize = 160;
/// A difference that makes it worse, and one that makes it better.
const WORSE: &str = "#b91c1c";
const BETTER: &str = "#15803d";

/// The comparison as an SVG document of 1280 pixels' width and as high as it needs.
///
/// Rows under which nothing differs are folded into the row above; what is noise is grey. Every row has a
/// hover title.
pub fn render_comparison_svg(comparison: &Comparison<'_>, sides: &Sides) -> String {
    let lines = lines(&comparison.rows);
    let said = wrap(&sentence(comparison));
    let top = TOP + 18.0 * (said.len().saturating_sub(1)) as f64;
    let bottom = top + ROW * (lines.len() + 1) as f64;
    let mut xml = Xml::document(WIDTH, bottom + 44.0);
    xml.rect((0.0, 0.0, WIDTH, bottom + 44.0), &[("fill", "#ffffff")]);
    heading(&mut xml, comparison, sides, &said);
    let picture = Picture {
        comparison,
        tiers: Tiers::of(comparison.b),
        scale: scale(&lines),
    };
    picture.axis(&mut xml, top, bottom - ROW);
    for (place, line) in lines.iter().enumerate() {
        picture.line(&mut xml, line, place, top + ROW * place as f64);
    }
    picture.total(&mut xml, &lines, bottom - ROW);
    footer(&mut xml, comparison, bottom);
    xml.finish()
}

/// Both traces begin at the left edge.
fn scale(lines: &[Line<'_>]) -> Scale {
    let cells = lines.iter().flat_map(|line| [&line.a, &line.b]).flatten();
    let ends = cells.flat_map(|cell| cell.stretches.iter().map(|(_, to)| *to));
    let end = ends.max().unwrap_or(0);
    Scale::between((Timestamp(0), Timestamp(end)), PLOT)
}

fn heading(xml: &mut Xml, comparison: &Comparison<'_>, sides: &Sides, said: &[String]) {
    let [a, b] = [comparison.a, comparison.b];
    let title = visible_clip(&b.endpoint, 80);
    let delta = signed(comparison.delta_ns);
    xml.title(&format!("{title}: {delta}"));
    xml.text((MARGIN, 40.0), Font::new(20.0, INK).bold(), &title);
    let right = Font::new(20.0, INK).bold().anchor("end");
    xml.text((WIDTH - MARGIN, 40.0), right, &delta);
    let mut y = 62.0;
    for line in said {
        xml.text((MARGIN, y), Font::new(13.0, INK), line);
        y += 18.0;
    }
    let other = match a.endpoint == b.endpoint {
        true => String::new(),
        false => format!(" ({})", visible_clip(&a.endpoint, 60)),
    };
    let (first, second) = (visible_clip(&sides.a, 70), visible_clip(&sides.b, 70));
    let key = [
        (
            "#cbd5e1",
            format!("A, above: {first}{other}, {}", human(a.duration())),
        ),
        (
            "#475569",
            format!("B, below: {second}, {}", human(b.duration())),
        ),
    ];
    let mut x = MARGIN;
    for (fill, text) in key {
        xml.rect((x, y - 1.0, 14.0, BAR), &[("rx", "2"), ("fill", fill)]);
        xml.text((x + 20.0, y + 7.0), Font::new(12.0, MUTED), &text);
        x += 20.0 + width(&text) as f64 * LETTER + 24.0;
    }
}

/// The text in lines of at most so many columns, cut at spaces.
fn wrap(text: &str) -> Vec<String> {
    let mut rows: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match rows.last_mut() {
            Some(row) if width(row) + 1 + width(word) <= LONGEST => {
                row.push(' ');
                row.push_str(word);
            }
            _ => rows.push(word.to_owned()),
        }
    }
    rows
}

struct Picture<'c, 'a> {
    comparison: &'c Comparison<'a>,
    tiers: Tiers<'a>,
    scale: Scale,
}

impl Picture<'_, '_> {
    /// Ticks, the grid under the bars, and the columns' names.
    fn axis(&self, xml: &mut Xml, top: f64, bottom: f64) {
        for (x, text) in self.scale.ticks() {
            xml.line((x, top - 4.0), (x, bottom), GRID);
            xml.text(
                (x, top - 9.0),
                Font::new(10.5, MUTED).anchor("middle"),
                &text,
            );
        }
        let right = Font::new(11.0, MUTED).anchor("end");
        for (x, text) in COLUMNS.into_iter().zip(["A", "B", "Δ", "share"]) {
            xml.text((x, top - 9.0), right, text);
        }
        if self.knows_normal() {
            xml.text((NORMAL, top - 9.0), Font::new(11.0, MUTED), "normal");
        }
    }

    fn knows_normal(&self) -> bool {
        let mut rows = self.comparison.rows.iter();
        rows.any(|row| row.normal.is_some())
    }

    fn line(&self, xml: &mut Xml, line: &Line<'_>, place: usize, y: f64) {
        xml.open("g", &[]);
        xml.title(&hover(line));
        if place.is_multiple_of(2) {
            let area = (MARGIN / 2.0, y, WIDTH - MARGIN, ROW);
            xml.rect(area, &[("fill", "#f8fafc"), ("fill-opacity", "0.7")]);
        }
        let tier = self.tiers.index(line.service);
        let depth = (line.more.len() - 1).min(24) as f64;
        let (x, base) = (MARGIN + depth * STEP, y + 17.0);
        xml.rect(
            (x, y + 8.0, 4.0, 10.0),
            &[("rx", "1"), ("fill", palette::strong(tier))],
        );
        let room = ((PLOT.0 - 16.0 - x - 9.0) / LETTER) as usize;
        let ink = if line.noise { MUTED } else { INK };
        let font = Font::new(12.0, ink);
        let font = if line.noise { font } else { font.bold() };
        xml.text((x + 9.0, base), font, &clip(&name(line), room));
        let opacity = if line.noise { "0.5" } else { "1" };
        self.bar(xml, &line.a, y + 4.0, (palette::soft(tier), opacity));
        self.bar(
            xml,
            &line.b,
            y + 5.0 + BAR,
            (palette::strong(tier), opacity),
        );
        self.numbers(xml, line, base);
        xml.close("g");
    }

    fn bar(&self, xml: &mut Xml, cell: &Option<Cell>, y: f64, (fill, opacity): (&str, &str)) {
        for (from, to) in cell.iter().flat_map(|cell| &cell.stretches) {
            let [from, to] = [from, to].map(|at| self.scale.x(Timestamp(*at)));
            let area = (from, y, (to - from).max(1.5), BAR);
            let look = [("rx", "1.5"), ("fill", fill), ("fill-opacity", opacity)];
            xml.rect(area, &look);
        }
    }

    fn numbers(&self, xml: &mut Xml, line: &Line<'_>, y: f64) {
        let [a, b] = durations(line);
        let share = share(line.delta_ns, self.comparison.delta_ns);
        let colour = match () {
            () if line.noise => MUTED,
            () if is_worse(line) => WORSE,
            () => BETTER,
        };
        let strong = |font: Font| if line.noise { font } else { font.bold() };
        let quiet = Font::new(12.0, MUTED).anchor("end");
        let loud = strong(Font::new(12.0, colour).anchor("end"));
        let texts = [
            (a, quiet),
            (b, quiet),
            (difference(line), loud),
            (share, loud),
        ];
        for (x, (text, font)) in COLUMNS.into_iter().zip(texts) {
            xml.text((x, y), font, &text);
        }
        xml.text((TAGS, y), Font::new(11.0, colour), line.tag.name());
        if self.knows_normal() {
            xml.text((NORMAL, y), Font::new(11.0, MUTED), &normal(line));
        }
    }

    /// The sum of all rows.
    fn total(&self, xml: &mut Xml, lines: &[Line<'_>], y: f64) {
        xml.line((MARGIN / 2.0, y), (WIDTH - MARGIN / 2.0, y), MUTED);
        let base = y + 18.0;
        xml.text((MARGIN, base), Font::new(12.0, INK).bold(), "total");
        let sum: i64 = lines.iter().map(|line| line.delta_ns).sum();
        let [a, b] = [self.comparison.a, self.comparison.b].map(|trace| human(trace.duration()));
        let share = share(sum, self.comparison.delta_ns);
        for (x, text) in COLUMNS.into_iter().zip([a, b, signed(sum), share]) {
            xml.text((x, base), Font::new(12.0, INK).bold().anchor("end"), &text);
        }
    }
}

fn hover(line: &Line<'_>) -> String {
    let side = |letter: &str, cell: &Option<Cell>| match cell {
        Some(cell) => format!(
            "{letter}: {} in {}; {} of it its own on the critical path",
            human(cell.duration_ns),
            if cell.count == 1 {
                "1 call".to_owned()
            } else {
                format!("{} calls", cell.count)
            },
            human(cell.critical_ns)
        ),
        None => format!("{letter}: not there"),
    };
    let name = format!("{} ({})", name(line), visible_clip(line.service, 60));
    [name, side("A", &line.a), side("B", &line.b)].join("\n")
}

fn footer(xml: &mut Xml, comparison: &Comparison<'_>, bottom: f64) {
    let hint = "Δ: own time on the critical path, with that of rows folded into it. The rows sum to the \
                total. Grey: as usual, or too small to mean anything. ▸: rows in which nothing differs are folded.";
    xml.text((MARGIN, bottom + 20.0), Font::new(11.0, MUTED), hint);
    if comparison.skew_allowed {
        let skew = "Imported: siblings that overlap by under 1 % of their parent count as one after the other.";
        xml.text((MARGIN, bottom + 36.0), Font::new(11.0, ERROR), skew);
    }
}
