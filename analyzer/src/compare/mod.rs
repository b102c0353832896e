//! Two traces side by side: aligned by ancestor path and fingerprint, priced on the critical path.
//!
//! Equal siblings (same name, service, statement) are one row, `×N`; so a row is a path from the root, and
//! it is in both traces or in one. What is left of siblings is paired once more by name alone: the same
//! query in other words. Siblings stand in the order that most of them have in both (longest
//! common subsequence). A row's time is its own on the critical path, without its children's, so the
//! differences of all rows sum to the difference of the two durations exactly.

mod align;
mod fingerprint;
mod group;
mod order;
mod tag;
mod usual;

use serde::Serialize;
use tierscope_model::{Nanos, Span, Trace, attr};

pub use tag::Tag;
pub use usual::{Normal, Usual};

use crate::path::Overlap;

/// One trace's part in a row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// Spans.
    pub count: u64,
    /// Their durations, summed, in nanoseconds.
    pub duration_ns: Nanos,
    /// Their own time on the critical path, without their children's, in nanoseconds.
    pub critical_ns: Nanos,
    /// When they begin and end, in nanoseconds from the root's start.
    #[serde(skip)]
    pub stretches: Vec<(Nanos, Nanos)>,
}

/// What stands at one path of either trace.
#[derive(Clone, Debug, Serialize)]
pub struct Row<'a> {
    /// Name and what tells it from others of that name, not yet safe to draw.
    pub name: String,
    /// Service it runs in.
    pub service: &'a str,
    /// In the first trace.
    pub a: Option<Cell>,
    /// In the second.
    pub b: Option<Cell>,
    /// Own time on the critical path, the second's less the first's.
    pub delta_ns: i64,
    /// What became of it.
    pub tag: Tag,
    /// Where its own time normally lies, if a baseline knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normal: Option<Normal>,
    /// The same of its time with that of all rows under it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub whole_normal: Option<Normal>,
    /// Of a part of a way of bytes: where the time of the whole way normally lies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub way_normal: Option<Normal>,
    /// Whether the difference means nothing: it is small, or both are as usual.
    pub noise: bool,
    /// Rows under it.
    pub children: Vec<Row<'a>>,
    /// Where it stands in the first trace, else in the second: what a baseline knows it by.
    #[serde(skip)]
    path: group::Path,
    /// Where the way stands that it is a part of.
    #[serde(skip)]
    way: Option<group::Path>,
    /// The first span of it, of the second trace where it is in both.
    #[serde(skip)]
    pub span: &'a Span,
}

impl Row<'_> {
    /// Its difference and that of all rows under it.
    pub fn whole_delta_ns(&self) -> i64 {
        let below: i64 = self.children.iter().map(Row::whole_delta_ns).sum();
        self.delta_ns + below
    }
}

/// Two traces compared.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison<'a> {
    /// The first.
    #[serde(skip)]
    pub a: &'a Trace,
    /// The second.
    #[serde(skip)]
    pub b: &'a Trace,
    /// The second's duration less the first's: the sum of all rows' differences.
    pub delta_ns: i64,
    /// Siblings that overlap by under 1 % of their parent counted as one after the other: imported
    /// traces, whose clocks may be skewed.
    pub skew_allowed: bool,
    /// Rows, the root's first; behind it what hangs on nothing.
    pub rows: Vec<Row<'a>>,
}

impl Comparison<'_> {
    /// All rows in pre-order.
    pub fn all(&self) -> Vec<&Row<'_>> {
        fn add<'r, 'a>(rows: &'r [Row<'a>], all: &mut Vec<&'r Row<'a>>) {
            for row in rows {
                all.push(row);
                add(&row.children, all);
            }
        }
        let mut all = Vec::new();
        add(&self.rows, &mut all);
        all
    }
}

/// Compares the second trace with the first; `usual` is what their endpoint normally does.
pub fn compare<'a>(a: &'a Trace, b: &'a Trace, usual: Option<&Usual>) -> Comparison<'a> {
    let groups = |trace| group::groups(trace, overlap(trace));
    let mut rows = align::rows(&groups(a), &groups(b));
    let delta_ns = b.duration() as i64 - a.duration() as i64;
    tag::judge(&mut rows, delta_ns, usual);
    Comparison {
        a,
        b,
        delta_ns,
        skew_allowed: [a, b].map(overlap).contains(&Overlap::UnderOnePercent),
        rows,
    }
}

/// Traces of other tools may come from several clocks.
fn overlap(trace: &Trace) -> Overlap {
    let root = trace.root().map(|root| &root.attributes);
    match root.is_some_and(|all| all.get(attr::IMPORT_FORMAT).is_some()) {
        true => Overlap::UnderOnePercent,
        false => Overlap::Parallel,
    }
}
