//! Messages told from the last bytes of a send.

/// Sync: the end of a client's extended-protocol request.
const SYNC: &[u8] = b"S\0\0\0\x04";
/// ReadyForQuery without its status byte.
const READY: &[u8] = b"Z\0\0\0\x05";

/// Status of the ReadyForQuery that `tail` ends with: `I`, `T` or `E`.
pub fn ready_tail(tail: &[u8]) -> Option<u8> {
    let (&status, before) = tail.split_last()?;
    (before.ends_with(READY) && matches!(status, b'I' | b'T' | b'E')).then_some(status)
}

/// Whether `tail` ends with Sync.
pub fn sync_tail(tail: &[u8]) -> bool {
    tail.ends_with(SYNC)
}
