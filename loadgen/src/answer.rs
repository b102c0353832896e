//! One HTTP/1 answer, taken in as it comes.

use httparse::Status;

use crate::chunked::Chunked;

/// Longest head, and most header fields of one head.
const HEAD_LIMIT: usize = 16 * 1024;
const FIELD_LIMIT: usize = 64;

/// Not an HTTP/1 answer, or more bytes than one.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed;

#[derive(Debug, Default)]
enum Body {
    /// The head is not complete.
    #[default]
    Unknown,
    Length(u64),
    Chunked(Chunked),
    UntilClose,
}

/// An answer being read.
#[derive(Debug, Default)]
pub struct Answer {
    /// Status of the final answer.
    pub status: Option<u16>,
    /// `X-Request-ID`, if it is 32 hex digits.
    pub id: Option<Box<str>>,
    /// `X-Lab-Queries`, if it is a number.
    pub queries: Option<u32>,
    /// Whether the server will close the connection.
    pub close: bool,
    /// Body bytes so far.
    pub bytes: u64,
    head: Vec<u8>,
    body: Body,
}

impl Answer {
    /// Takes in what one read returned; true when the answer is complete.
    ///
    /// # Errors
    /// [`Malformed`] when this is no HTTP/1 answer, or when bytes follow it.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<bool, Malformed> {
        if !matches!(self.body, Body::Unknown) {
            return self.feed_body(bytes);
        }
        self.head.extend_from_slice(bytes);
        while let Some(length) = self.parse_head()? {
            let rest = self.head.split_off(length);
            // An interim answer (1xx): the next head follows it.
            if matches!(self.body, Body::Unknown) {
                self.head = rest;
                continue;
            }
            return self.feed_body(&rest);
        }
        Ok(false)
    }

    /// The server closed the connection: true when that is how this answer ends.
    pub fn ends_by_close(&self) -> bool {
        matches!(self.body, Body::UntilClose)
    }

    fn feed_body(&mut self, bytes: &[u8]) -> Result<bool, Malformed> {
        let (done, rest) = match &mut self.body {
            Body::Unknown => return Err(Malformed),
            Body::UntilClose => {
                self.bytes += bytes.len() as u64;
                (false, &[][..])
            }
            Body::Length(left) => {
                let taken = (*left).min(bytes.len() as u64);
                *left -= taken;
                self.bytes += taken;
                (*left == 0, &bytes[taken as usize..])
            }
            Body::Chunked(chunked) => {
                let rest = chunked.feed(bytes).ok_or(Malformed)?;
                self.bytes = chunked.data;
                (chunked.done, rest)
            }
        };
        if rest.is_empty() {
            Ok(done)
        } else {
            Err(Malformed)
        }
    }

    /// Length of the head if it is complete; then status and body are known, except after 1xx.
    fn parse_head(&mut self) -> Result<Option<usize>, Malformed> {
        let mut fields = [httparse::EMPTY_HEADER; FIELD_LIMIT];
        let mut head = httparse::Response::new(&mut fields);
        let Status::Complete(length) = head.parse(&self.head).map_err(|_| Malformed)? else {
            let fits = self.head.len() <= HEAD_LIMIT;
            return if fits { Ok(None) } else { Err(Malformed) };
        };
        match head.code {
            None | Some(101) => return Err(Malformed),
            Some(100..=199) => return Ok(Some(length)),
            status => self.status = status,
        }
        self.close = head.version == Some(0);
        let mut framing = Framing::default();
        for field in head.headers.iter() {
            let value = str::from_utf8(field.value).unwrap_or("").trim();
            match field.name.to_ascii_lowercase().as_str() {
                "content-length" => framing.length(value)?,
                "transfer-encoding" => framing.coding = Some(value.to_ascii_lowercase()),
                "connection" => self.close = closes(value, self.close),
                "x-request-id" => self.id = request_id(value),
                "x-lab-queries" => self.queries = value.parse().ok(),
                _ => {}
            }
        }
        self.body = framing.body(self.status);
        self.close |= self.ends_by_close();
        Ok(Some(length))
    }
}

/// What the head says about the body's end.
#[derive(Default)]
struct Framing {
    length: Option<u64>,
    coding: Option<String>,
}

impl Framing {
    fn length(&mut self, value: &str) -> Result<(), Malformed> {
        // `parse` alone would take a sign.
        let digits = value.bytes().all(|byte| byte.is_ascii_digit());
        let length = value.parse().ok().filter(|_| digits).ok_or(Malformed)?;
        match self.length.replace(length) {
            Some(earlier) if earlier != length => Err(Malformed),
            _ => Ok(()),
        }
    }

    fn body(self, status: Option<u16>) -> Body {
        match (status, self.coding, self.length) {
            (Some(204 | 304), ..) => Body::Length(0),
            (_, Some(coding), _) if coding.ends_with("chunked") => {
                Body::Chunked(Chunked::default())
            }
            (_, None, Some(length)) => Body::Length(length),
            _ => Body::UntilClose,
        }
    }
}

fn closes(connection: &str, otherwise: bool) -> bool {
    let mut options = connection.split(',').map(str::trim);
    match options.find(|o| {
        ["close", "keep-alive"]
            .iter()
            .any(|k| o.eq_ignore_ascii_case(k))
    }) {
        Some(option) => option.eq_ignore_ascii_case("close"),
        None => otherwise,
    }
}

fn request_id(value: &str) -> Option<Box<str>> {
    let valid = value.len() == 32 && value.bytes().all(|byte| byte.is_ascii_hexdigit());
    valid.then(|| value.into())
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
