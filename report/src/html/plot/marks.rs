//! Flagged requests in a picture: each a link to its row.

use std::fmt::Write as _;
use std::ops::Range;

use tierscope_analyzer::Flagged;

use crate::duration::human;
use crate::html::requests::anchor;

/// Most requests that are marked; of more, the dearest.
const MOST: usize = 300;
/// Of a dot, in pixels.
pub(super) const RADIUS: i32 = 4;

/// Where a flagged request stands in a picture, in pixels.
pub(super) struct Mark<'a> {
    at: (i32, i32),
    request: &'a Flagged,
}

/// Finds each request's place: wholly in the picture's `inside`, also at its edges.
pub(super) fn marks<'a>(
    flagged: &[&'a Flagged],
    place: impl Fn(&Flagged) -> (i32, i32),
    inside: (Range<i32>, Range<i32>),
) -> Vec<Mark<'a>> {
    let dearest = flagged.iter().take(MOST);
    let mark = |request: &&'a Flagged| {
        let (x, y) = place(request);
        let at = (within(x, &inside.0), within(y, &inside.1));
        Mark { at, request }
    };
    dearest.map(mark).collect()
}

fn within(at: i32, range: &Range<i32>) -> i32 {
    at.min(range.end - RADIUS).max(range.start + RADIUS)
}

/// The picture, as wide as its room, with the marks in it; `draw` says how one looks.
pub(super) fn with_marks(
    picture: &str,
    marks: &[Mark<'_>],
    draw: fn((i32, i32)) -> String,
) -> String {
    let picture = picture.replacen("<svg ", "<svg class=\"plot\" role=\"img\" ", 1);
    let inside = picture.trim_end();
    let mut out = inside.strip_suffix("</svg>").unwrap_or(inside).to_owned();
    for mark in marks {
        let request = mark.request;
        let kind = request
            .findings
            .first()
            .map_or("", |found| found.kind.name());
        // Infallible: a String takes whatever is written.
        let _ = write!(
            out,
            "<a href=\"#r-{}\" class=\"mark\"><title>{}, {kind}</title>{}</a>",
            anchor(request),
            human(request.duration_ns),
            draw(mark.at),
        );
    }
    out.push_str("</svg>\n");
    out
}
