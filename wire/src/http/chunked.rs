//! The chunked coding: where a body in it ends.

use httparse::Status;

/// The last chunk without trailers, with the line end of the chunk before it.
const LAST: &[u8] = b"\r\n0\r\n\r\n";

/// Where a chunked body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkedEnd {
    /// One past the blank line behind the last chunk and its trailers.
    At(usize),
    /// Beyond these bytes.
    NeedMore,
    /// These bytes are not a chunked body.
    Malformed,
}

/// One step along a chunked body.
pub(super) enum Step {
    /// A chunk: its size line, then its data and their CRLF, which may go beyond what was captured.
    Chunk {
        line: usize,
        data: usize,
    },
    /// The last chunk, trailers and blank line, so many bytes.
    Last(usize),
    NeedMore,
    Malformed,
}

/// Walks a chunked body from its first byte.
pub fn chunked_end(body: &[u8]) -> ChunkedEnd {
    let mut at = 0;
    while let Some(rest) = body.get(at..) {
        match step(rest) {
            Step::Chunk { line, data } => at = at.saturating_add(line).saturating_add(data + 2),
            Step::Last(len) => return ChunkedEnd::At(at + len),
            Step::NeedMore => break,
            Step::Malformed => return ChunkedEnd::Malformed,
        }
    }
    ChunkedEnd::NeedMore
}

/// Whether a send whose last bytes are `tail` ends a chunked body: the last chunk stands behind a CRLF,
/// or alone where a send holds nothing else. Trailers hide it, and data that end in it feign it.
pub fn ends_chunked(tail: &[u8]) -> bool {
    last_chunk(tail) > 0
}

/// Length of the last chunk at the end of `bytes`, with the CRLF before it; 0 where there is none.
pub(super) fn last_chunk(bytes: &[u8]) -> usize {
    match bytes {
        _ if bytes.ends_with(LAST) => LAST.len(),
        b"0\r\n\r\n" => bytes.len(),
        _ => 0,
    }
}

/// Reads the chunk that `rest` begins with.
pub(super) fn step(rest: &[u8]) -> Step {
    match httparse::parse_chunk_size(rest) {
        Err(_) => Step::Malformed,
        Ok(Status::Partial) => Step::NeedMore,
        Ok(Status::Complete((line, 0))) => trailers(rest, line),
        Ok(Status::Complete((line, size))) => {
            let data = usize::try_from(size)
                .unwrap_or(usize::MAX - 2)
                .min(usize::MAX - 2);
            match rest.get(line.saturating_add(data)..) {
                Some([b'\r', b'\n', ..] | [b'\r'] | []) | None => Step::Chunk { line, data },
                Some(_) => Step::Malformed,
            }
        }
    }
}

fn trailers(rest: &[u8], line: usize) -> Step {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    match httparse::parse_headers(&rest[line..], &mut headers) {
        Ok(Status::Complete((len, _))) => Step::Last(line + len),
        Ok(Status::Partial) => Step::NeedMore,
        Err(_) => Step::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_walk_finds_the_end_and_nothing_before_it() {
        let body = b"5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nVary: *\r\n\r\n";
        assert_eq!(chunked_end(body), ChunkedEnd::At(body.len()));
        for cut in 0..body.len() {
            assert_eq!(chunked_end(&body[..cut]), ChunkedEnd::NeedMore, "{cut}");
        }
        for bad in [
            "xyz\r\n",
            "5\r\nhelloX\r\n",
            "-1\r\n",
            "fffffffffffffffff\r\n",
        ] {
            assert_eq!(
                chunked_end(bad.as_bytes()),
                ChunkedEnd::Malformed,
                "{bad:?}"
            );
        }
        assert_eq!(
            chunked_end(b"ffffffffffffffff\r\nabc"),
            ChunkedEnd::NeedMore
        );
    }

    #[test]
    fn the_last_chunk_shows_in_the_tail() {
        for (tail, ends) in [
            ("0\r\n\r\n", true),
            ("abc\r\n0\r\n\r\n", true),
            ("10\r\n\r\n", false),
            ("x0\r\n\r\n", false),
            ("0\r\nVary: *\r\n\r\n", false),
            ("", false),
        ] {
            assert_eq!(ends_chunked(tail.as_bytes()), ends, "{tail:?}");
        }
    }
}
