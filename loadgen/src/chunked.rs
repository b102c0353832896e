//! Chunked transfer coding: finds where a body ends and how long it is.

/// Longest line between chunks (size with extensions, or a trailer field).
const LINE_LIMIT: usize = 8 * 1024;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Line {
    #[default]
    Size,
    ChunkEnd,
    Trailer,
}

/// A body being read.
#[derive(Debug, Default)]
pub struct Chunked {
    /// Data bytes so far, framing not counted.
    pub data: u64,
    /// Whether the last line was seen.
    pub done: bool,
    left: u64,
    expect: Line,
    line: Vec<u8>,
}

impl Chunked {
    /// Takes in `bytes` and returns those beyond the body's end; none when it is not chunked coding.
    pub fn feed<'a>(&mut self, mut bytes: &'a [u8]) -> Option<&'a [u8]> {
        while !bytes.is_empty() && !self.done {
            if self.left > 0 {
                let taken = self.left.min(bytes.len() as u64);
                self.left -= taken;
                self.data += taken;
                bytes = &bytes[taken as usize..];
            } else {
                bytes = self.feed_line(bytes)?;
            }
        }
        Some(bytes)
    }

    fn feed_line<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let (part, rest) = bytes.split_at(end.map_or(bytes.len(), |end| end + 1));
        self.line.extend_from_slice(part);
        if end.is_some() {
            self.end_line()?;
            self.line.clear();
        }
        (self.line.len() <= LINE_LIMIT).then_some(rest)
    }

    fn end_line(&mut self) -> Option<()> {
        let empty = self.line == b"\r\n";
        match self.expect {
            // httparse takes a line without digits for a 0.
            Line::Size if !self.line[0].is_ascii_hexdigit() => return None,
            Line::Size => {
                let Ok(httparse::Status::Complete((_, size))) =
                    httparse::parse_chunk_size(&self.line)
                else {
                    return None;
                };
                self.left = size;
                self.expect = if size == 0 {
                    Line::Trailer
                } else {
                    Line::ChunkEnd
                };
            }
            Line::ChunkEnd if empty => self.expect = Line::Size,
            Line::ChunkEnd => return None,
            Line::Trailer => self.done = empty,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = b"4\r\nWiki\r\n6;x=y\r\npedia \r\n0\r\nX-T: 1\r\n\r\n";

    #[test]
    fn every_split_gives_the_same_body() {
        for at in 0..=BODY.len() {
            let mut chunked = Chunked::default();
            assert_eq!(chunked.feed(&BODY[..at]), Some(&b""[..]));
            assert_eq!(chunked.done, at == BODY.len());
            assert_eq!(chunked.feed(&BODY[at..]), Some(&b""[..]));
            assert_eq!((chunked.data, chunked.done), (10, true));
        }
    }

    #[test]
    fn bytes_beyond_the_end_are_given_back() {
        let bytes = [BODY, b"HTTP/1.1"].concat();
        let mut chunked = Chunked::default();
        assert_eq!(chunked.feed(&bytes), Some(&b"HTTP/1.1"[..]));
    }

    #[test]
    fn broken_framing_is_refused() {
        let endless = vec![b'0'; LINE_LIMIT + 1];
        for bytes in [
            &b"x\r\n"[..],
            b"\r\n",
            b"-1\r\n",
            b"fffffffffffffffff\r\n",
            b"1\r\nab\r\n",
            &endless,
        ] {
            assert_eq!(Chunked::default().feed(bytes), None, "{bytes:?}");
        }
    }
}
