//! Span ids derived from what a span is, so that the same input gives the same ids.

use tierscope_model::SpanId;

/// FNV-1a over the parts with a final mix, as neighbouring inputs differ in few bits. Never 0, which W3C forbids.
pub(crate) fn derive(what: &str, parts: &[u64]) -> SpanId {
    let numbers = parts.iter().flat_map(|part| part.to_le_bytes());
    let hash = what
        .bytes()
        .chain(numbers)
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
    let mixed = (hash ^ (hash >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    SpanId((mixed ^ (mixed >> 32)).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_stable_and_differ() {
        assert_eq!(derive("client", &[1, 2]), derive("client", &[1, 2]));
        assert_ne!(derive("client", &[1, 2]), derive("server", &[1, 2]));
        assert_ne!(derive("client", &[1, 2]), derive("client", &[2, 1]));
    }
}
