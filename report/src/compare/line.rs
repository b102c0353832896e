//! Which rows of a comparison are shown.

use tierscope_analyzer::{Cell, Normal, Row, Tag};

use crate::label;
use crate::text::visible_clip;

/// Longest name, in columns.
const LONGEST: usize = 60;

/// A row that is shown.
#[derive(Clone, Debug)]
pub(crate) struct Line<'a> {
    /// Safe to draw.
    pub(crate) name: String,
    pub(crate) service: &'a str,
    pub(crate) a: Option<Cell>,
    pub(crate) b: Option<Cell>,
    pub(crate) tag: Tag,
    pub(crate) normal: Option<Normal>,
    /// For each level above, whether more follows there; its own last.
    pub(crate) more: Vec<bool>,
    /// Whether it holds rows that are not shown: their differences are in its own.
    pub(crate) folded: bool,
    /// Its difference, and that of the rows folded into it.
    pub(crate) delta_ns: i64,
    /// Whether the difference means nothing.
    pub(crate) noise: bool,
}

/// The rows in pre-order; those under which nothing differs that means anything hold all under them, and
/// the parts of one way of bytes are one line where none of them differs.
pub(crate) fn lines<'a>(rows: &[Row<'a>]) -> Vec<Line<'a>> {
    let mut lines = Vec::new();
    level(rows, &[], &mut lines);
    lines
}

fn level<'a>(rows: &[Row<'a>], above: &[bool], lines: &mut Vec<Line<'a>>) {
    let mut left = rows;
    while let Some((row, rest)) = left.split_first() {
        let way = whole_way(row, rows);
        let parts = rest
            .iter()
            .take_while(|next| way.is_some() && label::hop(next.span) == way);
        let (parts, rest) = rest.split_at(parts.count());
        let more = [above, &[!rest.is_empty()]].concat();
        let folds = row.children.iter().all(is_noise);
        let mut line = line(row, folds, more.clone());
        for part in parts {
            add(&mut line, part);
        }
        if let Some(way) = way.filter(|_| !parts.is_empty()) {
            line.name = format!("network {way}");
            line.normal = row.way_normal;
        }
        lines.push(line);
        if !folds {
            level(&row.children, &more, lines);
        }
        left = rest;
    }
}

/// Both ends of the way that a row is a part of, where all parts of it stand together and none differs.
fn whole_way(row: &Row<'_>, siblings: &[Row<'_>]) -> Option<String> {
    let way = label::hop(row.span)?;
    let is_part = |row: &&Row<'_>| label::hop(row.span).as_deref() == Some(&way);
    let first = siblings.iter().position(|row| is_part(&row))?;
    let parts = siblings[first..].iter().take_while(is_part);
    let is_whole = parts.clone().count() == siblings.iter().filter(is_part).count();
    (is_whole && parts.clone().all(is_noise)).then_some(way)
}

fn line<'a>(row: &Row<'a>, folds: bool, more: Vec<bool>) -> Line<'a> {
    Line {
        name: visible_clip(&row.name, LONGEST),
        service: row.service,
        a: row.a.clone(),
        b: row.b.clone(),
        tag: row.tag,
        normal: if folds { row.whole_normal } else { row.normal },
        more,
        folded: folds && !row.children.is_empty(),
        delta_ns: if folds {
            row.whole_delta_ns()
        } else {
            row.delta_ns
        },
        noise: row.noise,
    }
}

/// Takes the next part of a way into its line.
fn add(line: &mut Line<'_>, part: &Row<'_>) {
    line.delta_ns += part.whole_delta_ns();
    line.folded |= !part.children.is_empty();
    line.tag = Tag::Same;
    for (sum, cell) in [(&mut line.a, &part.a), (&mut line.b, &part.b)] {
        let Some(cell) = cell else { continue };
        let sum = sum.get_or_insert_default();
        sum.count = sum.count.max(cell.count);
        sum.duration_ns += cell.duration_ns;
        sum.critical_ns += cell.critical_ns;
        sum.stretches.extend(&cell.stretches);
    }
}

fn is_noise(row: &Row<'_>) -> bool {
    row.noise && row.children.iter().all(is_noise)
}
