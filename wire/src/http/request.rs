//! A request's head.

use httparse::Status;
use tierscope_model::RequestId;

use super::fields::{Coding, Fields};
use super::{BodyLength, Headers, NotHttp, Traceparent};

/// What a request's head says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead {
    /// Method, as written.
    pub method: String,
    /// Path without query string, fragment and, in an absolute target, scheme and authority.
    pub path: String,
    /// HTTP/1 minor version: 0 or 1.
    pub version: u8,
    /// Bytes from the start of what was parsed through the blank line; `None` where the capture was cut.
    pub len: Option<usize>,
    /// How the body's end is told.
    pub body: BodyLength,
    /// `X-Request-ID`, where it is 32 hex digits.
    pub request_id: Option<RequestId>,
    /// `traceparent`, where it is valid and the only one.
    pub traceparent: Option<Traceparent>,
    /// `X-Client-Request-ID`, up to 128 bytes of visible ASCII.
    pub client_request_id: Option<String>,
    /// `X-Client-Trace-Id`, up to 128 bytes of visible ASCII.
    pub client_trace_id: Option<String>,
    /// The connection stays open behind the answer.
    pub keep_alive: bool,
    /// The request asks for another protocol.
    pub upgrade: bool,
}

impl RequestHead {
    /// The same, of a head whose end was not captured.
    pub(super) fn cut(mut self) -> RequestHead {
        self.len = None;
        if self.body == BodyLength::None && self.method != "CONNECT" {
            self.body = BodyLength::Unknown;
        }
        self
    }
}

/// A whole request head; `None` where its end is not there.
pub(super) fn parse<'a>(
    bytes: &'a [u8],
    headers: &mut Headers<'a>,
) -> Result<Option<RequestHead>, NotHttp> {
    let mut request = httparse::Request::new(&mut []);
    let parsed = request.parse_with_uninit_headers(bytes, headers);
    let Status::Complete(len) = parsed.map_err(|_| NotHttp)? else {
        return Ok(None);
    };
    let fields = Fields::read(request.headers)?;
    let method = request.method.unwrap_or_default();
    let version = request.version.unwrap_or_default();
    Ok(Some(RequestHead {
        method: method.to_owned(),
        path: path(method, request.path.unwrap_or_default()).to_owned(),
        version,
        len: Some(len),
        body: body(method, &fields)?,
        request_id: fields.request_id,
        keep_alive: fields.keep_alive(version),
        upgrade: fields.upgrade(),
        traceparent: fields.traceparent(),
        client_request_id: fields.client_request_id,
        client_trace_id: fields.client_trace_id,
    }))
}

fn body(method: &str, fields: &Fields) -> Result<BodyLength, NotHttp> {
    match (fields.coding, fields.content_length) {
        _ if method == "CONNECT" => Ok(BodyLength::None),
        (Some(Coding::Chunked), _) => Ok(BodyLength::Chunked),
        // A request cannot run until the connection ends: servers answer 400.
        (Some(Coding::Other), _) => Err(NotHttp),
        (None, Some(length)) => Ok(BodyLength::Fixed(length)),
        (None, None) => Ok(BodyLength::None),
    }
}

fn path<'a>(method: &str, target: &'a str) -> &'a str {
    if method == "CONNECT" {
        return target;
    }
    let end = target.find(['?', '#']).unwrap_or(target.len());
    let path = &target[..end];
    match authority(path.as_bytes()) {
        Some(authority) if authority.end == path.len() => "/",
        Some(authority) => &path[authority.end..],
        None => path,
    }
}

/// Where user, host and port stand in an absolute target (`http://user:password@host/path`).
pub(super) fn authority(target: &[u8]) -> Option<std::ops::Range<usize>> {
    if target.starts_with(b"/") {
        return None;
    }
    let start = target.windows(3).position(|three| three == b"://")? + 3;
    let len = target[start..]
        .iter()
        .position(|byte| b"/?#".contains(byte))
        .unwrap_or(target.len() - start);
    Some(start..start + len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_the_targets_own() {
        for (target, expected) in [
            ("/a/b?c=d", "/a/b"),
            ("/a#b", "/a"),
            ("/r?to=http://x/y", "/r"),
            ("*", "*"),
            ("http://user:word@host:80/p?q", "/p"),
            ("http://host", "/"),
            ("http://host?q", "/"),
        ] {
            assert_eq!(path("GET", target), expected);
        }
        assert_eq!(path("CONNECT", "host:443"), "host:443");
    }
}
