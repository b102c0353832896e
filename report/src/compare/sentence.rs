//! What differs, in one sentence.

use tierscope_analyzer::{Comparison, Row, Tag};
use tierscope_model::Slice;

use super::{share, signed};
use crate::duration::human;
use crate::text::visible_clip;
use crate::threads;

/// A row that holds this share of what is under one above it stands for it.
const MOST: f64 = 0.8;
/// Parts of the difference that are told apart, and the least share of one.
const PARTS: usize = 3;
const LEAST: f64 = 0.1;
/// A difference of one in so many is about as long.
const CLOSE: u64 = 20;

/// A row that explains a part of the difference, with the call that it is in.
struct Part<'c, 'a> {
    row: &'c Row<'a>,
    within: Within<'c, 'a>,
    delta: i64,
}

/// What a row is in.
#[derive(Clone, Copy)]
struct Within<'c, 'a> {
    /// The query.
    call: Option<&'c Row<'a>>,
    /// The nearest whose thread is known.
    thread: Option<&'c Row<'a>>,
}

/// E.g. `207 ms instead of 6.19 ms: +201 ms, 99 % of it in execute under db query SELECT products (2.10 ms
/// → 203 ms).`
pub fn sentence(comparison: &Comparison<'_>) -> String {
    let (a, b) = (
        human(comparison.a.duration()),
        human(comparison.b.duration()),
    );
    let whole = comparison.delta_ns;
    let mut parts = Vec::new();
    if let Some(root) = comparison.rows.first() {
        let nothing = Within {
            call: None,
            thread: None,
        };
        explain(root, nothing, whole, &mut parts);
    }
    parts.retain(|part| part.delta != 0 && (part.delta > 0) == (whole > 0));
    parts.sort_by_key(|part| std::cmp::Reverse(part.delta.unsigned_abs()));
    let close = whole.unsigned_abs() <= comparison.a.duration() / CLOSE;
    if close && comparison.all().iter().all(|row| row.noise) {
        return format!("Both took about as long: {a} and {b}; what differs is noise.");
    }
    if parts.is_empty() {
        return format!(
            "{b} instead of {a}: {}, in many small parts.",
            signed(whole)
        );
    }
    let told: Vec<String> = parts
        .iter()
        .take(PARTS)
        .map(|part| tell(part, whole))
        .collect();
    let delta = signed(whole);
    format!("{b} instead of {a}: {delta}, {}.", told.join("; "))
}

/// The rows that stand for the difference of `row` and all under it.
fn explain<'c, 'a>(
    row: &'c Row<'a>,
    within: Within<'c, 'a>,
    whole: i64,
    parts: &mut Vec<Part<'c, 'a>>,
) {
    let delta = row.whole_delta_ns();
    let of = |part: i64, all: i64| part as f64 / all as f64;
    if whole == 0 || of(delta, whole) < LEAST {
        return;
    }
    let is_own = !matches!(row.tag, Tag::Same | Tag::Slower | Tag::Faster);
    let query = row.name.starts_with("db query").then_some(row);
    let known = (!row.span.slices.is_empty()).then_some(row);
    let within = Within {
        call: query.or(within.call),
        thread: known.or(within.thread),
    };
    let mut part = |delta| parts.push(Part { row, within, delta });
    let towards = |child: &&'c Row<'a>| child.whole_delta_ns() * whole.signum();
    match row.children.iter().max_by_key(towards) {
        Some(child) if !is_own && of(child.whole_delta_ns(), delta) >= MOST => {
            explain(child, within, whole, parts);
        }
        Some(_) if !is_own && of(row.delta_ns, delta) < MOST => {
            if of(row.delta_ns, whole) >= LEAST {
                part(row.delta_ns);
            }
            for child in &row.children {
                explain(child, within, whole, parts);
            }
        }
        _ => part(delta),
    }
}

fn tell(part: &Part<'_, '_>, whole: i64) -> String {
    let row = part.row;
    let name = visible_clip(&row.name, 60);
    let place = match part.within.call.filter(|call| !std::ptr::eq(*call, row)) {
        Some(call) => format!("{name} under {}", visible_clip(&call.name, 60)),
        None => name,
    };
    let share = share(part.delta, whole);
    let [a, b] = [&row.a, &row.b].map(|cell| cell.clone().unwrap_or_default());
    let is_own = part.delta == row.delta_ns && !row.children.is_empty();
    let (place, before, after) = match is_own {
        true => (
            format!("{place} itself"),
            human(a.critical_ns),
            human(b.critical_ns),
        ),
        false => (place, human(a.duration_ns), human(b.duration_ns)),
    };
    let times = |n: u64| {
        if n > 1 {
            format!("{n} × ")
        } else {
            String::new()
        }
    };
    let what = match row.tag {
        Tag::Added => format!(
            "{}{place}, which only the second has ({after})",
            times(b.count)
        ),
        Tag::Removed => format!(
            "{}{place}, which only the first has ({before})",
            times(a.count)
        ),
        Tag::MoreCalls | Tag::FewerCalls => {
            format!("{} instead of {} × {place}", b.count, a.count)
        }
        Tag::Same | Tag::Slower | Tag::Faster => format!("{place} ({before} → {after})"),
    };
    match row.tag {
        Tag::MoreCalls | Tag::FewerCalls => format!("{share} of it by {what}"),
        _ if is_usual(row, is_own) => format!("{share} of it in {what}, which is as usual"),
        _ => format!("{share} of it in {what}{}", thread(part)),
    }
}

/// Whether its time, and unless that is its own, the time of all under it, lies where it normally does.
fn is_usual(row: &Row<'_>, is_own: bool) -> bool {
    let below = || row.children.iter().all(|child| is_usual(child, false));
    row.noise && row.normal.is_some() && (is_own || below())
}

/// What the second trace's thread mostly did meanwhile: `, its thread waiting 202 ms (Timeout: PgSleep)`.
fn thread(part: &Part<'_, '_>) -> String {
    let known = part
        .within
        .thread
        .filter(|_| part.delta > 0 && part.row.b.is_some());
    let near = known.filter(|row| row.service == part.row.service);
    let did = near.map(|row| {
        let meanwhile = meanwhile(&row.span.slices, part.row);
        threads::summary(&meanwhile, part.delta.unsigned_abs() / 2)
    });
    let most = did.and_then(|did| did.into_iter().next());
    most.map_or(String::new(), |most| format!(", its thread {most}"))
}

/// The slices as far as they lie in a row's time.
fn meanwhile(slices: &[Slice], row: &Row<'_>) -> Vec<Slice> {
    let clipped = slices.iter().map(|slice| Slice {
        start: slice.start.max(row.span.start),
        end: slice.end.min(row.span.end),
        ..slice.clone()
    });
    clipped.filter(|slice| slice.start < slice.end).collect()
}
