//! The captured bytes of one send, addressed by stream offset.

/// Bytes `[lo, hi)` of a stream, of which the first are in `head` and the last in `tail`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece<'a> {
    pub(crate) lo: u64,
    pub(crate) hi: u64,
    head: &'a [u8],
    tail: &'a [u8],
}

impl<'a> Piece<'a> {
    pub(crate) fn new(lo: u64, hi: u64, head: &'a [u8], tail: &'a [u8]) -> Piece<'a> {
        let whole = head.len() as u64 >= hi - lo;
        let tail = if whole {
            &head[head.len().saturating_sub(16)..]
        } else {
            tail
        };
        Piece { lo, hi, head, tail }
    }

    /// The captured bytes from `at` on: empty where none were.
    pub(crate) fn from(&self, at: u64) -> &'a [u8] {
        usize::try_from(at.saturating_sub(self.lo))
            .ok()
            .and_then(|n| self.head.get(n..))
            .unwrap_or(&[])
    }

    /// Whether everything from `at` to the end was captured.
    pub(crate) fn whole_from(&self, at: u64) -> bool {
        self.from(at).len() as u64 == self.hi - at
    }

    /// The last bytes of the send that lie at or after `at`.
    pub(crate) fn tail_from(&self, at: u64) -> &'a [u8] {
        let keep = usize::try_from(self.hi.saturating_sub(at)).unwrap_or(usize::MAX);
        &self.tail[self.tail.len().saturating_sub(keep)..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_by_offset() {
        let piece = Piece::new(100, 110, b"0123456789", b"");
        assert_eq!(piece.from(103), b"3456789");
        assert_eq!(piece.tail_from(108), b"89");
        assert!(piece.whole_from(100));
        let cut = Piece::new(100, 120, b"01234", b"fghij");
        assert_eq!(cut.from(104), b"4");
        assert_eq!(cut.from(105), b"");
        assert!(!cut.whole_from(104));
        assert_eq!(cut.tail_from(100), b"fghij");
        assert_eq!(cut.tail_from(118), b"ij");
    }
}
