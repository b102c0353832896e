//! The terminal tree of one trace.

mod bar;
mod build;
mod fold;
mod node;
mod paint;
mod print;

use tierscope_model::Trace;

use crate::duration::human;
use crate::label;
use crate::outline::Outline;
use crate::text::visible_clip;
use crate::tier::Tiers;
use build::Builder;
pub(crate) use paint::Paint;
use print::Printer;

/// How to draw the tree.
#[derive(Clone, Copy, Debug)]
pub struct TreeOptions {
    /// ANSI colours: one per tier, the slowest path bold.
    pub color: bool,
    /// Columns of the terminal; bars are drawn from 80 on.
    pub width: usize,
    /// Box-drawing characters, blocks and text as it is, else ASCII only.
    pub unicode: bool,
}

/// The trace as a tree of aligned lines: name, duration, bar at its place in time, remarks.
///
/// Both parts of a hop stand on one line, a PostgreSQL backend's phases beside its name, and more
/// than five equal siblings on one line with their number. Every line ends with `\n`.
pub fn render_tree(trace: &Trace, options: &TreeOptions) -> String {
    let text = draw(trace, options);
    match options.unicode {
        true => text,
        false => to_ascii(&text),
    }
}

/// The text with one ASCII character for each.
pub(crate) fn to_ascii(text: &str) -> String {
    text.chars().map(ascii).collect()
}

fn draw(trace: &Trace, options: &TreeOptions) -> String {
    let paint = Paint::new(options.color);
    let mut out = heading(trace, &paint);
    if trace.spans.is_empty() {
        return out;
    }
    let (outline, tiers) = (Outline::new(trace), Tiers::of(trace));
    let builder = Builder::new(&outline, &tiers);
    let (mut tree, orphans) = (builder.tree(), builder.orphans());
    node::mark_slowest(&mut tree);
    let printer = Printer::new(options, &paint, outline.range(), [&tree, &orphans]);
    printer.print(&mut out, &tree);
    if !orphans.is_empty() {
        out += &paint.red("orphans: known to belong to this request, joined to nothing");
        out.push('\n');
        printer.print(&mut out, &orphans);
    }
    for reason in &trace.incomplete {
        out += &paint.red(&format!("incomplete: {}", label::incomplete(*reason)));
        out.push('\n');
    }
    out
}

/// One ASCII character for one of ours, so that columns stay aligned; `?` for all others.
fn ascii(c: char) -> char {
    match c {
        '→' => '>',
        '×' => 'x',
        'Δ' => 'd',
        '▸' => '>',
        '−' | '–' => '-',
        'µ' => 'u',
        '·' => '-',
        '…' => '~',
        _ if c.is_ascii() => c,
        _ => '?',
    }
}

/// Two lines: what was asked and how long it took; then path, status, ids and a failure.
fn heading(trace: &Trace, paint: &Paint) -> String {
    let id = trace.request_id.map_or("without an id".to_owned(), |id| {
        format!("{}…", &id.to_string()[..8])
    });
    let title = format!(
        "Request {id}: {} ({})",
        visible_clip(&trace.endpoint, 200),
        human(trace.duration())
    );
    let mut lines = format!(
        "{}\n{}\n",
        paint.bold(&title),
        paint.dim(&label::facts(trace).join(" · "))
    );
    if let Some(root) = trace.root() {
        for note in label::notes(root) {
            lines += &paint.red(&note);
            lines.push('\n');
        }
    }
    lines
}
