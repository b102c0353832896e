//! HTTP/1 heads in captured bytes, and where the body behind a head ends.

use std::mem::MaybeUninit;

mod chunked;
mod fields;
mod request;
mod response;
mod scrub;
mod traceparent;

pub use chunked::{ChunkedEnd, chunked_end, ends_chunked};
pub use request::RequestHead;
pub use response::ResponseHead;
pub use scrub::{scrub, scrub_tail};
pub use traceparent::Traceparent;

/// More header lines than servers take.
const MAX_HEADERS: usize = 128;

/// Room for header lines; clearing it would take longer than reading a head does.
type Headers<'a> = [MaybeUninit<httparse::Header<'a>>; MAX_HEADERS];

/// IANA's methods that a browser, an API client or WebDAV sends.
const METHODS: [&[u8]; 25] = [
    b"GET",
    b"POST",
    b"PUT",
    b"PATCH",
    b"DELETE",
    b"HEAD",
    b"OPTIONS",
    b"CONNECT",
    b"TRACE",
    b"QUERY",
    b"LINK",
    b"UNLINK",
    b"PURGE",
    b"REPORT",
    b"SEARCH",
    b"PROPFIND",
    b"PROPPATCH",
    b"MKCOL",
    b"MKCALENDAR",
    b"COPY",
    b"MOVE",
    b"LOCK",
    b"UNLOCK",
    b"ACL",
    b"CHECKOUT",
];

/// What stands at the start of some bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Head {
    /// A request's head, whole or cut after a complete line.
    Request(RequestHead),
    /// A response's head, whole or cut after a complete line.
    Response(ResponseHead),
    /// Nothing that a strict HTTP/1 server takes: a bare LF, an obs-fold, an unusable Content-Length or
    /// Transfer-Encoding, more than 128 header lines, another protocol.
    NotHttp,
    /// Right so far, but not one complete line.
    NeedMore,
}

/// How a body's end is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// There is no body.
    None,
    /// So many bytes.
    Fixed(u64),
    /// By the chunked coding.
    Chunked,
    /// By the end of the connection.
    UntilClose,
    /// The head was cut before it was told.
    Unknown,
}

/// Reads the head at the start of `bytes`; empty lines before it are passed over.
///
/// A head that the capture cuts is read up to its last complete line, and its `len` is `None`.
pub fn parse_head(bytes: &[u8]) -> Head {
    match parse(bytes) {
        Ok(Some(head)) => head,
        Ok(None) => parse_cut(bytes),
        Err(NotHttp) => Head::NotHttp,
    }
}

/// Whether `bytes` begin as a head does, as far as they go: a known method and a space, or `HTTP/1.`,
/// after empty lines. A quick look that body bytes rarely pass.
pub fn starts_like_head(bytes: &[u8]) -> bool {
    let bytes = &bytes[empty_lines(bytes)..];
    let begins = |word: &[u8], end: &[u8]| {
        word.iter()
            .chain(end)
            .zip(bytes)
            .all(|(expected, byte)| expected == byte)
    };
    let Some(first) = bytes.first() else {
        return false;
    };
    let mut methods = METHODS.iter().filter(|method| method[0] == *first);
    methods.any(|method| begins(method, b" ")) || begins(b"HTTP/1.", b"")
}

/// Bytes that no strict server takes for a head.
struct NotHttp;

/// A whole head; `None` where its end is not there.
fn parse(bytes: &[u8]) -> Result<Option<Head>, NotHttp> {
    let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let response = bytes[empty_lines(bytes)..].starts_with(b"HTTP/");
    let head = if response {
        response::parse(bytes, &mut headers)?.map(|head| (head.len, Head::Response(head)))
    } else {
        request::parse(bytes, &mut headers)?.map(|head| (head.len, Head::Request(head)))
    };
    let Some((len, head)) = head else {
        return Ok(None);
    };
    let lines = len.and_then(|len| bytes.get(..len)).unwrap_or(bytes);
    if has_bare_lf(lines) {
        return Err(NotHttp);
    }
    Ok(Some(head))
}

/// The complete lines of a head whose end is not there.
fn parse_cut(bytes: &[u8]) -> Head {
    let end = bytes
        .windows(2)
        .rposition(|pair| pair == b"\r\n")
        .map_or(0, |at| at + 2);
    if end <= empty_lines(bytes) {
        return Head::NeedMore;
    }
    let mut lines = bytes[..end].to_vec();
    lines.extend_from_slice(b"\r\n");
    match parse(&lines) {
        Ok(Some(Head::Request(head))) => Head::Request(head.cut()),
        Ok(Some(Head::Response(head))) => Head::Response(head.cut()),
        _ => Head::NotHttp,
    }
}

/// Length of the empty lines that `bytes` begin with.
fn empty_lines(bytes: &[u8]) -> usize {
    bytes
        .chunks_exact(2)
        .take_while(|pair| *pair == b"\r\n")
        .count()
        * 2
}

fn has_bare_lf(lines: &[u8]) -> bool {
    // All of them: a loop that may stop is read byte by byte.
    let pairs = lines.iter().zip(lines.iter().skip(1));
    let bare = pairs.fold(0, |bare, (a, b)| {
        bare | (u8::from(*b == b'\n') & u8::from(*a != b'\r'))
    });
    bare != 0 || lines.first() == Some(&b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_head_says_what_its_complete_lines_say() {
        let head = b"POST /orders?item=7 HTTP/1.1\r\nContent-Length: 12\r\nX-Request-ID: 4bf92f3577b34da6a3ce929d0e0e4736\r\n\r\n";
        let Head::Request(whole) = parse_head(head) else {
            panic!("a request")
        };
        assert_eq!(
            (whole.len, whole.body),
            (Some(head.len()), BodyLength::Fixed(12))
        );
        assert!(whole.request_id.is_some());
        for cut in 0..head.len() {
            match parse_head(&head[..cut]) {
                Head::NeedMore => assert!(cut < 30, "{cut}"),
                Head::Request(part) => {
                    assert_eq!((part.len, part.path.as_str()), (None, "/orders"));
                    let told = if cut < 50 {
                        BodyLength::Unknown
                    } else {
                        BodyLength::Fixed(12)
                    };
                    assert_eq!(part.body, told, "{cut}");
                    assert_eq!(part.request_id.is_some(), cut >= 98, "{cut}");
                }
                other => panic!("{cut}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_a_strict_server_refuses_is_not_http() {
        for bad in [
            "GET / HTTP/1.1\nHost: a\n\n",
            "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
            "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "GET / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "HTTP/1.1 20x OK\r\n\r\n",
            "\0\0\0\x08\x04",
        ] {
            assert_eq!(parse_head(bad.as_bytes()), Head::NotHttp, "{bad:?}");
        }
    }

    #[test]
    fn transfer_encoding_wins_over_content_length() {
        let head =
            "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n";
        let Head::Request(head) = parse_head(head.as_bytes()) else {
            panic!("a request")
        };
        assert_eq!(head.body, BodyLength::Chunked);
    }

    #[test]
    fn the_quick_look_takes_the_start_of_a_head_only() {
        for yes in [
            "G",
            "GET",
            "GET ",
            "GET /",
            "\r\nPOST /a",
            "HT",
            "HTTP/1.1 200",
        ] {
            assert!(starts_like_head(yes.as_bytes()), "{yes:?}");
        }
        for no in [
            "",
            "\r\n",
            "GETX",
            "get /",
            "{\"a\":1}",
            "HTTP/2",
            "0\r\n\r\n",
            "SECRET",
            "\0\0",
        ] {
            assert!(!starts_like_head(no.as_bytes()), "{no:?}");
        }
    }
}
