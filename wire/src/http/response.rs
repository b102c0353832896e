//! A response's head.

use httparse::{ParserConfig, Status};
use tierscope_model::RequestId;

use super::fields::{Coding, Fields};
use super::{BodyLength, Headers, NotHttp};

/// What a response's head says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    /// Status code.
    pub status: u16,
    /// HTTP/1 minor version: 0 or 1.
    pub version: u8,
    /// Bytes from the start of what was parsed through the blank line; `None` where the capture was cut.
    pub len: Option<usize>,
    /// `X-Request-ID`, where it is 32 hex digits.
    pub request_id: Option<RequestId>,
    /// The connection stays open behind it, as far as the head tells.
    pub keep_alive: bool,
    /// `Content-Length`, unless a `Transfer-Encoding` overrides it.
    pub content_length: Option<u64>,
    /// The body comes in the chunked coding.
    pub chunked: bool,
}

impl ResponseHead {
    /// How the body's end is told, given the method of the request that this answers (RFC 9112, 6.3).
    pub fn body(&self, request_method: Option<&str>) -> BodyLength {
        let bodiless = matches!(self.status, 100..=199 | 204 | 304)
            || request_method == Some("HEAD")
            || (request_method == Some("CONNECT") && matches!(self.status, 200..=299));
        match self.content_length {
            _ if bodiless => BodyLength::None,
            _ if self.chunked => BodyLength::Chunked,
            Some(length) => BodyLength::Fixed(length),
            None if self.len.is_none() => BodyLength::Unknown,
            None => BodyLength::UntilClose,
        }
    }

    /// The same, of a head whose end was not captured.
    pub(super) fn cut(mut self) -> ResponseHead {
        self.len = None;
        self
    }
}

/// A whole response head; `None` where its end is not there.
pub(super) fn parse<'a>(
    bytes: &'a [u8],
    headers: &mut Headers<'a>,
) -> Result<Option<ResponseHead>, NotHttp> {
    let mut response = httparse::Response::new(&mut []);
    let config = ParserConfig::default();
    let parsed = config.parse_response_with_uninit_headers(&mut response, bytes, headers);
    let Status::Complete(len) = parsed.map_err(|_| NotHttp)? else {
        return Ok(None);
    };
    let fields = Fields::read(response.headers)?;
    let version = response.version.unwrap_or_default();
    Ok(Some(ResponseHead {
        status: response.code.unwrap_or_default(),
        version,
        len: Some(len),
        request_id: fields.request_id,
        keep_alive: fields.keep_alive(version),
        content_length: fields.content_length.filter(|_| fields.coding.is_none()),
        chunked: fields.coding == Some(Coding::Chunked),
    }))
}

#[cfg(test)]
mod tests {
    use super::super::{Head, parse_head};
    use super::*;

    fn body(head: &str, method: Option<&str>) -> BodyLength {
        match parse_head(head.as_bytes()) {
            Head::Response(head) => head.body(method),
            other => panic!("{head:?}: {other:?}"),
        }
    }

    #[test]
    fn the_request_and_the_status_decide_before_the_headers() {
        let ok = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
        assert_eq!(body(ok, Some("GET")), BodyLength::Fixed(5));
        assert_eq!(body(ok, None), BodyLength::Fixed(5));
        assert_eq!(body(ok, Some("HEAD")), BodyLength::None);
        assert_eq!(body(ok, Some("CONNECT")), BodyLength::None);
        for status in [
            "100 Continue",
            "101 Switching Protocols",
            "204 No Content",
            "304 Not Modified",
        ] {
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: 5\r\n\r\n");
            assert_eq!(body(&head, Some("GET")), BodyLength::None, "{status}");
        }
    }

    #[test]
    fn without_a_length_the_connection_ends_the_body() {
        assert_eq!(
            body("HTTP/1.0 200 OK\r\n\r\n", None),
            BodyLength::UntilClose
        );
        let coded = "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nContent-Length: 5\r\n\r\n";
        assert_eq!(body(coded, None), BodyLength::UntilClose);
        assert_eq!(
            body("HTTP/1.1 200 OK\r\nServer: a\r\nConte", None),
            BodyLength::Unknown
        );
    }
}
