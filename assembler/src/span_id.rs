//! Span ids derived from what a span is, so that the same input gives the same ids.

use tierscope_model::SpanId;

/// FNV-1a over the words of `what` and the parts, each mixed in whole: neighbouring inputs differ in few bits.
/// Never 0, which W3C forbids.
pub(crate) fn derive(what: &str, parts: &[u64]) -> SpanId {
    let text = what.as_bytes().chunks(8).map(word);
    let hash = text.fold(0xcbf2_9ce4_8422_2325, taken);
    let hash = parts.iter().copied().fold(hash, taken);
    SpanId(hash.max(1))
}

fn taken(hash: u64, word: u64) -> u64 {
    let mixed = (hash ^ word).wrapping_mul(0xd6e8_feb8_6659_fd93);
    mixed ^ (mixed >> 32)
}

/// Up to eight bytes.
fn word(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_stable_and_differ() {
        assert_eq!(derive("client", &[1, 2]), derive("client", &[1, 2]));
        assert_ne!(derive("client", &[1, 2]), derive("server", &[1, 2]));
        assert_ne!(derive("client", &[1, 2]), derive("client", &[2, 1]));
        assert_ne!(derive("read request", &[1]), derive("read response", &[1]));
    }

    #[test]
    fn neighbours_differ() {
        let ids = (0..1000).flat_map(|a| (0..1000).map(move |b| derive("wire", &[a, b << 10])));
        let distinct: std::collections::HashSet<_> = ids.collect();
        assert_eq!(distinct.len(), 1_000_000);
    }
}
