//! Takes out of captured HTTP bytes what must not reach a disk, in place, each byte at its offset.

use super::chunked::{Step, last_chunk, step};
use super::fields::{is_needed, may_be_needed};
use super::request::authority;
use super::{BodyLength, Head, empty_lines, parse_head, starts_like_head};

/// Scrubs the captured start of a send.
///
/// Of a head stay the request or status line and the fields that the assembler needs; the values of a
/// query string become `?`, other header lines `xxx:`, bodies 0, of chunks the sizes stay. Bytes that begin
/// no message become 0, but for a last chunk at the end. A head parses as before. A body in a send of its
/// own that begins as a head does is taken for one: its first line and needed fields would stay.
///
/// Says where the head begins that these bytes end within, if they do.
pub fn scrub(bytes: &mut [u8]) -> Option<usize> {
    let mut at = 0;
    while at < bytes.len() {
        let rest = &mut bytes[at..];
        if !starts_like_head(rest) {
            zero_body(rest);
            return None;
        }
        let (len, body) = match parse_head(rest) {
            Head::Request(head) => (head.len, head.body),
            Head::Response(head) => (head.len, head.body(None)),
            Head::NeedMore => (None, BodyLength::Unknown),
            Head::NotHttp => {
                zero_body(rest);
                return None;
            }
        };
        let (head, behind) = rest.split_at_mut(len.unwrap_or(rest.len()));
        scrub_head(head);
        if len.is_none() {
            return Some(at);
        }
        at += head.len() + scrub_body(behind, body);
    }
    None
}

/// Scrubs the last bytes of a send: a last chunk stays, all else becomes 0.
pub fn scrub_tail(tail: &mut [u8]) {
    zero_body(tail);
}

/// Scrubs a body and says how much of `bytes` it is.
fn scrub_body(bytes: &mut [u8], body: BodyLength) -> usize {
    // The answer to a HEAD has no body whatever its head says.
    if bytes.starts_with(b"HTTP/1.") {
        return 0;
    }
    match body {
        BodyLength::None => 0,
        BodyLength::Fixed(length) => {
            let len = usize::try_from(length)
                .unwrap_or(usize::MAX)
                .min(bytes.len());
            bytes[..len].fill(0);
            len
        }
        BodyLength::Chunked => scrub_chunks(bytes),
        BodyLength::UntilClose | BodyLength::Unknown => {
            bytes.fill(0);
            bytes.len()
        }
    }
}

fn scrub_chunks(bytes: &mut [u8]) -> usize {
    let mut at = 0;
    while at < bytes.len() {
        let rest = &mut bytes[at..];
        match step(rest) {
            Step::Chunk { line, data } if line.saturating_add(data) < rest.len() => {
                mask_extension(&mut rest[..line]);
                rest[line..line + data].fill(0);
                at += line + data + 2;
            }
            Step::Last(len) => {
                scrub_trailers(&mut rest[..len]);
                return at + len;
            }
            _ => {
                zero_body(rest);
                return bytes.len();
            }
        }
    }
    bytes.len()
}

/// Keeps a chunk's size; what follows it in its line becomes `x`.
fn mask_extension(line: &mut [u8]) {
    if let Some(at) = line.iter().position(|&byte| byte == b';') {
        let end = line.len() - 2;
        line[at + 1..end].fill(b'x');
    }
}

fn scrub_trailers(bytes: &mut [u8]) {
    let line = line_len(bytes);
    mask_extension(&mut bytes[..line]);
    scrub_fields(&mut bytes[line..]);
}

/// Zeroes bytes of a body, but for the last chunk at their end.
fn zero_body(bytes: &mut [u8]) {
    let kept = last_chunk(bytes);
    let end = bytes.len() - kept;
    bytes[..end].fill(0);
}

/// Scrubs a head's lines; the last may be cut.
fn scrub_head(head: &mut [u8]) {
    let start = empty_lines(head);
    let first_len = line_len(&head[start..]);
    let (first, fields) = head[start..].split_at_mut(first_len);
    if !first.starts_with(b"HTTP/") {
        mask_target(first);
    }
    scrub_fields(fields);
}

fn scrub_fields(mut fields: &mut [u8]) {
    while !fields.is_empty() {
        let len = line_len(fields);
        let (line, rest) = fields.split_at_mut(len);
        match line.strip_suffix(b"\r\n").map(<[u8]>::len) {
            Some(len) => mask_field(&mut line[..len]),
            None => mask_cut_field(line),
        }
        fields = rest;
    }
}

/// Length of the first line with its CRLF; all there is where none ends.
fn line_len(bytes: &[u8]) -> usize {
    let mut ends = memchr::memchr_iter(b'\n', bytes);
    let end = ends.find(|at| bytes[..*at].ends_with(b"\r"));
    end.map_or(bytes.len(), |at| at + 1)
}

fn mask_field(line: &mut [u8]) {
    let name = line.split(|&byte| byte == b':').next().unwrap_or_default();
    if is_needed(name) {
        return;
    }
    // The colon comes last, so that a line that two sends share is a field however it was cut.
    if let [name @ .., colon] = line {
        name.fill(b'x');
        *colon = b':';
    }
}

fn mask_cut_field(line: &mut [u8]) {
    let len = line.strip_suffix(b"\r").map_or(line.len(), <[u8]>::len);
    match &mut line[..len] {
        line if !line.contains(&b':') && may_be_needed(line) => {}
        [only] => *only = b'x',
        line => mask_field(line),
    }
}

/// Masks what a request line's target says beyond its path.
fn mask_target(line: &mut [u8]) {
    let Some(space) = line.iter().position(|&byte| byte == b' ') else {
        return;
    };
    let target = &mut line[space + 1..];
    let end = target
        .iter()
        .position(|&byte| byte == b' ' || byte == b'\r');
    let end = end.unwrap_or(target.len());
    let target = &mut target[..end];
    if let Some(authority) = authority(target) {
        target[authority].fill(b'x');
    }
    if let Some(query) = target.iter().position(|&byte| byte == b'?' || byte == b'#') {
        mask_query(&mut target[query + 1..]);
    }
}

/// Masks the values; a part without `=` may be one.
fn mask_query(query: &mut [u8]) {
    for part in query.split_mut(|&byte| byte == b'&') {
        let name = part
            .iter()
            .position(|&byte| byte == b'=')
            .map_or(0, |at| at + 1);
        part[name..].fill(b'?');
    }
}
