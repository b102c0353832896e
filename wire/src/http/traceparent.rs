//! W3C Trace Context's `traceparent` (level 1), read strictly.

use tierscope_model::{SpanId, TraceId};

/// Length of a version 00 value.
const LEN: usize = 55;

/// A valid `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traceparent {
    /// Trace to go on with; not 0.
    pub trace_id: TraceId,
    /// Caller's span; not 0.
    pub parent_id: SpanId,
    /// Trace flags; bit 0: sampled.
    pub flags: u8,
}

impl Traceparent {
    /// Reads a header value without surrounding white space: lower-case hex only, ids not 0, version not
    /// ff, nothing behind the flags in version 00 and nothing but `-…` in later ones. Else `None`: the
    /// trace restarts.
    pub fn parse(value: &[u8]) -> Option<Traceparent> {
        let text = str::from_utf8(value).ok()?;
        let (known, beyond) = text.split_at_checked(LEN)?;
        let mut parts = known.split('-');
        let version = hex(parts.next()?, 2)?;
        let trace_id = hex(parts.next()?, 32)?;
        let parent_id = hex(parts.next()?, 16)?;
        let flags = hex(parts.next()?, 2)?;
        let beyond_fits = beyond.is_empty() || (version > 0 && beyond.starts_with('-'));
        let valid = version != 0xff && trace_id != 0 && parent_id != 0 && beyond_fits;
        (valid && parts.next().is_none()).then_some(Traceparent {
            trace_id: TraceId(trace_id),
            parent_id: SpanId(parent_id as u64),
            flags: flags as u8,
        })
    }
}

fn hex(text: &str, digits: usize) -> Option<u128> {
    let lower = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if text.len() != digits || !text.bytes().all(lower) {
        return None;
    }
    u128::from_str_radix(text, 16).ok()
}
