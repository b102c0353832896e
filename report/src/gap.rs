//! Time of a span that none of its parts covers.

use tierscope_model::{Nanos, Span, SpanKind, Timestamp};

/// A stretch of time.
pub(crate) type Stretch = (Timestamp, Timestamp);

/// What of `whole` is left when `parts` are taken away, in order of time.
pub(crate) fn uncovered(whole: Stretch, parts: impl Iterator<Item = Stretch>) -> Vec<Stretch> {
    let mut parts: Vec<Stretch> = parts.collect();
    parts.sort_unstable();
    let (mut cursor, end) = whole;
    let mut gaps = Vec::new();
    for (start, stop) in parts {
        if start > cursor && cursor < end {
            gaps.push((cursor, start.min(end)));
        }
        cursor = cursor.max(stop);
    }
    if cursor < end {
        gaps.push((cursor, end));
    }
    gaps
}

/// The stretches' lengths added up.
pub(crate) fn total(stretches: &[Stretch]) -> Nanos {
    stretches.iter().map(|(start, end)| end.since(*start)).sum()
}

/// Whether a gap is long enough to be worth showing: at least 1 % of the request.
pub(crate) fn worth_showing(gap: Nanos, request: Nanos) -> bool {
    gap > 0 && gap >= request / 100
}

/// Whether what the children leave is the span's own work, as in `execute` around a `lock wait`:
/// a call's time should all be in its parts, work inside a process is a part itself.
pub(crate) fn is_own_work(span: &Span) -> bool {
    span.kind == SpanKind::Internal
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gaps(whole: (u64, u64), parts: &[(u64, u64)]) -> Vec<(u64, u64)> {
        let stretch = |(a, b): (u64, u64)| (Timestamp(a), Timestamp(b));
        uncovered(stretch(whole), parts.iter().copied().map(stretch))
            .into_iter()
            .map(|(a, b)| (a.0, b.0))
            .collect()
    }

    #[test]
    fn overlapping_and_overhanging_parts_leave_the_true_gaps() {
        assert_eq!(gaps((10, 20), &[]), [(10, 20)]);
        assert_eq!(gaps((10, 20), &[(5, 12), (11, 14), (16, 30)]), [(14, 16)]);
        assert_eq!(gaps((10, 20), &[(0, 5), (12, 13)]), [(10, 12), (13, 20)]);
        assert_eq!(gaps((10, 20), &[(10, 20)]), []);
        assert_eq!(gaps((10, 20), &[(25, 30)]), [(10, 20)]);
    }
}
