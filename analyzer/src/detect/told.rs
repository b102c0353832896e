//! Threads' slices and spans' attributes in words.

use std::collections::BTreeMap;

use tierscope_model::{Doing, Nanos, Slice, Span, Timestamp, attr};

use crate::limit::Limit;
use crate::words::{grouped, ms};

/// `p50 3.12 ms, p99 50.2 ms over 4,812 requests`.
pub(super) fn normal(limit: &Limit, of: &str) -> String {
    let n = grouped(limit.n);
    if limit.top == 0 {
        return format!("normally none over {n} {of}");
    }
    let (p50, p99) = (ms(limit.p50), ms(limit.p99));
    format!("p50 {p50}, p99 {p99} over {n} {of}")
}

/// The limit that a time crossed: `over 75.3 ms (1.5 × p99.9), costs at least 10.0 ms`.
pub(super) fn threshold(limit: &Limit, floor: Nanos) -> String {
    let top = if limit.n < 1_000 {
        "the greatest"
    } else {
        "p99.9"
    };
    if limit.limit == 0 {
        return format!(
            "over 0 (normally there is none), at a cost of {} or more",
            ms(floor)
        );
    }
    let over = ms(limit.limit);
    format!(
        "over {over} (1.5 × {top}), at a cost of {} or more",
        ms(floor)
    )
}

/// Slices of some kind within some time, by what is told of them; the longest first.
pub(super) fn by<'a>(
    slices: &'a [Slice],
    (from, to): (Timestamp, Timestamp),
    doing: Doing,
    told: impl Fn(&'a Slice) -> Option<&'a str>,
) -> Vec<(&'a str, Nanos)> {
    let mut sums: BTreeMap<&str, Nanos> = BTreeMap::new();
    for slice in slices.iter().filter(|slice| slice.doing == doing) {
        let nanos = slice.end.min(to).since(slice.start.max(from));
        if nanos > 0 {
            *sums.entry(told(slice).unwrap_or_default()).or_default() += nanos;
        }
    }
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by_key(|(what, nanos)| (std::cmp::Reverse(*nanos), *what));
    sums
}

/// What a lock was on.
pub(super) fn lock(span: &Span) -> Option<String> {
    let keys = [
        attr::LOCK_TYPE,
        attr::LWLOCK_TRANCHE,
        attr::LOCK_MODE,
        attr::LOCK_TAG,
    ];
    let words: Vec<_> = keys
        .iter()
        .filter_map(|key| span.attributes.text(key))
        .collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// The file or device, and how much.
pub(super) fn file(span: &Span) -> Option<String> {
    let attributes = &span.attributes;
    let path = attributes
        .text(attr::FILE_PATH)
        .or_else(|| attributes.text(attr::DISK_DEVICE));
    let path = path.or_else(|| attributes.text(attr::RELATION_FILE))?;
    let bytes = attributes.int(attr::BYTES).filter(|bytes| *bytes > 0);
    Some(match bytes {
        Some(bytes) => format!("{path}, {} bytes", grouped(bytes.unsigned_abs())),
        None => path.to_owned(),
    })
}
