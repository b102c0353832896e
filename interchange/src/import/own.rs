//! What our exports say beyond what the formats have fields for, read back.
//!
//! Jaeger and Zipkin keep whole microseconds of the wall clock. Our exports carry the exact monotonic
//! times beside them: where those of all spans of a trace agree with the formats' own, they are used,
//! shifted to the wall clock.

use tierscope_model::{Attributes, Evidence, Incomplete, RequestId, attr};

use super::Format;
use super::raw::Raw;
use crate::extra::{DURATION, EVIDENCE_ID, EVIDENCE_KIND, INCOMPLETE, ORPHAN, START, reason};

/// What stands on one span.
#[derive(Clone, Debug, Default)]
pub(super) struct Own {
    pub(super) evidence: Option<Evidence>,
    pub(super) orphan: bool,
    pub(super) incomplete: Vec<Incomplete>,
    times: Option<(u64, u64)>,
}

/// The id of the request that a span belongs to.
pub(super) fn request(raw: &Raw) -> Option<RequestId> {
    raw.attributes.text(attr::REQUEST_ID)?.parse().ok()
}

/// Takes it off all spans of a trace, and sets their times.
pub(super) fn take(spans: &mut [Raw]) -> Vec<Own> {
    let all: Vec<Own> = spans
        .iter_mut()
        .map(|span| read(&mut span.attributes))
        .collect();
    if let Some(shift) = shift(spans, &all) {
        for (span, own) in spans.iter_mut().zip(&all) {
            restore(span, own, shift);
        }
    }
    all
}

fn read(attributes: &mut Attributes) -> Own {
    let mut text = |key| attributes.remove(key).map(|value| value.to_string());
    let kind = text(EVIDENCE_KIND);
    let evidence = kind.zip(text(EVIDENCE_ID));
    let reasons = text(INCOMPLETE).unwrap_or_default();
    Own {
        evidence: evidence.and_then(|(kind, id)| Evidence::of(&kind, id.into())),
        orphan: text(ORPHAN).as_deref() == Some("true"),
        incomplete: reasons.split(',').filter_map(reason).collect(),
        times: number(attributes, START).zip(number(attributes, DURATION)),
    }
}

/// Jaeger's UI reads large integers as text.
fn number(attributes: &mut Attributes, key: &str) -> Option<u64> {
    attributes.remove(key)?.to_string().parse().ok()
}

/// From the exact times to the wall clock, if one shift explains the times of all spans.
fn shift(spans: &[Raw], all: &[Own]) -> Option<i128> {
    let (mut least, mut most) = (i128::MIN, i128::MAX);
    for (span, own) in spans.iter().zip(all) {
        let slack = i128::from(span.format.precision() - 1);
        for (wall, exact) in edges(span, own)? {
            let off = i128::from(wall) - i128::from(exact);
            least = least.max(off);
            most = most.min(off + slack);
        }
    }
    (!spans.is_empty() && least <= most).then_some(least)
}

/// Start and end on both clocks; none where the span has no times or another length.
fn edges(span: &Raw, own: &Own) -> Option<Vec<(u64, u64)>> {
    let (start, duration) = own.times?;
    let (cut_start, cut_duration) = (span.start?, span.duration?);
    let unit = span.format.precision();
    let end = (
        cut_start.checked_add(cut_duration)?,
        start.checked_add(duration)?,
    );
    // Zipkin has no span under a microsecond: the end of one that is shorter says nothing.
    let told = span.format != Format::Zipkin || duration >= unit;
    let close = duration.abs_diff(cut_duration) <= unit;
    close.then(|| {
        [Some((cut_start, start)), told.then_some(end)]
            .into_iter()
            .flatten()
            .collect()
    })
}

fn restore(span: &mut Raw, own: &Own, shift: i128) {
    let Some((start, duration)) = own.times else {
        return;
    };
    let Ok(start) = u64::try_from(i128::from(start) + shift) else {
        return;
    };
    for event in span.events.iter_mut() {
        // The format cut what is below a microsecond off; nothing happened before its span began.
        let cut = start.saturating_sub(event.time.0) < span.format.precision();
        event.time.0 = if cut {
            event.time.0.max(start)
        } else {
            event.time.0
        };
    }
    (span.start, span.duration) = (Some(start), Some(duration));
}
