//! Message boundaries by our heads and body lengths, against those that llhttp's own test cases expect.

use serde_json::Value;
use tierscope_wire::http::{BodyLength, ChunkedEnd, Head, chunked_end, parse_head};

const SAMPLES: &str = include_str!("data/llhttp-sample.json");

/// Where we differ from llhttp, and why.
const DIFFERENCES: &[(&str, &str)] = &[
    (
        "Setting flag / Resetting flags when keep-alive is off (1.0, lenient)",
        "lenient mode: a message behind one that closes",
    ),
    (
        "HTTP/1.1 with keep-alive disabled and 204 status (lenient)",
        "lenient mode: a message behind one that closes",
    ),
    (
        "Parsing multiple tokens / Multiple tokens with folding",
        "lenient mode: obs-fold",
    ),
    ("X-SSL-Nonsense", "lenient mode: obs-fold"),
    (
        "Invalid whitespace token with `Content-Length` header field (lenient)",
        "lenient mode: white space before the colon",
    ),
    (
        "Control char in header value (relaxed)",
        "lenient mode: a control character",
    ),
    (
        "Second request header value (lenient)",
        "lenient mode: a control character",
    ),
    (
        "Invalid space after start line / Only LFs present (lenient)",
        "lenient mode: bare LF",
    ),
    ("Invalid HTTP version (lenient)", "lenient mode: HTTP/5.6"),
    (
        "POST with `chunked` before other transfer-coding (lenient)",
        "lenient mode: a request that runs until the connection ends",
    ),
    (
        "Invalid OBS fold after chunked value / Chunk header not terminated by CRLF (lenient)",
        "lenient mode: CR for CRLF behind a chunk's size",
    ),
    (
        "Content-Length reset when no body is received",
        "the caller tells llhttp to skip the bodies",
    ),
    (
        "CONNECT request / SOURCE request with ICE",
        "ICE is not HTTP",
    ),
    ("RTSP response", "RTSP is not HTTP"),
    (
        "ICE protocol, but not really / HTTP protocol and ANNOUNCE method",
        "httparse takes any token for a method",
    ),
    (
        "CONNECT request / PRI request HTTP2",
        "httparse takes any token for a method; what follows is refused",
    ),
    (
        "Parsing and setting flag / No extension after semicolon",
        "httparse reads a chunk's size and passes over its extensions",
    ),
    (
        "Unbalanced chunk extensions quoting",
        "httparse reads a chunk's size and passes over its extensions",
    ),
    (
        "Space after chunk header",
        "httparse takes white space behind a chunk's size",
    ),
];

/// What became of a stream.
#[derive(Debug, Default, PartialEq)]
struct Cut {
    /// Begin and end of each whole message.
    whole: Vec<(usize, usize)>,
    /// A message had begun when the stream ended.
    open: bool,
    /// Bytes that are no message, or a message that no server may send or take.
    refused: bool,
}

#[test]
fn boundaries_agree_with_llhttp() {
    let samples: Vec<Value> = serde_json::from_str(SAMPLES).expect("JSON");
    assert_eq!(samples.len(), 84);
    let mut listed = Vec::new();
    let mut wrong = Vec::new();
    for sample in &samples {
        let name = sample["name"].as_str().expect("a name");
        let kind = sample["meta"]["type"].as_str().expect("a type");
        let (ours, theirs) = (cut(&input(sample)), expected(sample));
        let agree = if theirs.refused {
            ours.refused
        } else {
            ours == theirs
        };
        let known = DIFFERENCES.iter().any(|(known, _)| *known == name);
        match (agree, known) {
            (true, false) => {}
            (false, true) => listed.push(name),
            _ => wrong.push(format!(
                "{name} ({kind}):\n  ours {ours:?}\n  theirs {theirs:?}\n {:?}",
                String::from_utf8_lossy(&input(sample))
            )),
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    for (name, _) in DIFFERENCES {
        assert!(listed.contains(name), "{name} does not differ any more");
    }
}

/// Cuts a whole stream into messages.
fn cut(bytes: &[u8]) -> Cut {
    let mut cut = Cut::default();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let begin = at
            + rest
                .iter()
                .take_while(|byte| b"\r\n".contains(byte))
                .count();
        if begin == bytes.len() {
            break;
        }
        let (len, body, stays, upgrade) = match parse_head(rest) {
            Head::Request(head) => (head.len, head.body, head.keep_alive, head.upgrade),
            Head::Response(head) => (head.len, head.body(None), head.keep_alive, false),
            Head::NeedMore => (None, BodyLength::Unknown, true, false),
            Head::NotHttp => {
                cut.refused = true;
                return cut;
            }
        };
        let Some(end) = len.and_then(|len| body_end(rest, len, body, &mut cut)) else {
            cut.open = !cut.refused;
            return cut;
        };
        cut.whole.push((begin, at + end));
        at += end;
        if upgrade || !stays {
            cut.refused = !upgrade && at < bytes.len();
            return cut;
        }
    }
    cut
}

fn body_end(message: &[u8], head: usize, body: BodyLength, cut: &mut Cut) -> Option<usize> {
    match body {
        BodyLength::None => Some(head),
        BodyLength::Fixed(length) => {
            Some(head + length as usize).filter(|&end| end <= message.len())
        }
        BodyLength::Chunked => match chunked_end(&message[head..]) {
            ChunkedEnd::At(end) => Some(head + end),
            ChunkedEnd::NeedMore => None,
            ChunkedEnd::Malformed => {
                cut.refused = true;
                None
            }
        },
        BodyLength::UntilClose | BodyLength::Unknown => None,
    }
}

/// What llhttp's log says.
fn expected(sample: &Value) -> Cut {
    let log = sample["expected_log"].as_str().expect("a log");
    let offsets = |what: &str| -> Vec<usize> {
        log.lines()
            .filter(|line| line.ends_with(what))
            .filter_map(|line| line.strip_prefix("off=")?.split(' ').next()?.parse().ok())
            .collect()
    };
    let (begins, ends) = (offsets(" message begin"), offsets(" message complete"));
    let paused = sample["error"]["reason"]
        .as_str()
        .is_some_and(|reason| reason.starts_with("Pause on"));
    Cut {
        open: begins.len() > ends.len(),
        whole: begins.into_iter().zip(ends).collect(),
        refused: !sample["error"].is_null() && !paused,
    }
}

/// The sample's bytes.
fn input(sample: &Value) -> Vec<u8> {
    let text = sample["input_md"]
        .as_str()
        .expect("an input")
        .replace("\\\n", "");
    let mut bytes = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match (char, chars.peek().copied()) {
            ('\n', _) => bytes.extend(b"\r\n"),
            ('\\', Some(escape @ ('r' | 'n' | 't' | 'f'))) => {
                chars.next();
                bytes.push(match escape {
                    'r' => b'\r',
                    'n' => b'\n',
                    't' => b'\t',
                    _ => 0x0c,
                });
            }
            ('\\', Some('0'..='7')) => {
                let digits: String = chars.by_ref().take(3).collect();
                bytes.push(u16::from_str_radix(&digits, 8).expect("octal") as u8);
            }
            _ => bytes.extend(char.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    bytes
}
