//! Takes out of captured PostgreSQL bytes what must not reach a disk, in place, each byte at its offset.
//!
//! Tags, lengths, names of statements and portals, completion tags and SQLSTATEs stay, where they read as
//! such; literals of SQL become `?`; everything else becomes 0.

use super::params::Values;
use super::{
    BACKEND_TAGS, FRONTEND_TAGS, Frame, HEADER, frame, ready_tail, startup, sync_tail, text,
};
use crate::{Keep, sql};

/// A message over 16 MiB is taken for the middle of one: a send may begin within a row, and text never has
/// the 0 in its second place that the length of a shorter message begins with.
const LONGEST: usize = 1 << 24;

/// Scrubs the captured start of a client's send, of which the first `skip` bytes belong to an earlier
/// message. Says where the message begins that follows all that were seen, maybe beyond the captured
/// bytes; `None` where the walk was lost.
pub fn scrub_frontend(bytes: &mut [u8], skip: usize, keep: Keep) -> Option<usize> {
    let first = startup(bytes).filter(|_| skip == 0);
    let at = match first {
        Some(first) => zero(bytes, 8, first.len),
        None => zero(bytes, 0, skip),
    };
    walk(bytes, at, FRONTEND_TAGS, |tag, body| match tag {
        b'P' if !keep.text => {
            let name = text::len(body);
            mask_sql(&mut body[name..]);
        }
        b'Q' if !keep.text => mask_sql(body),
        b'B' if !keep.values => zero_values(body),
        b'P' | b'Q' | b'B' => {}
        b'E' | b'D' | b'C' if is_name(body) => {}
        _ => body.fill(0),
    })
}

/// Scrubs the captured start of a server's send; `skip` and the answer as in [`scrub_frontend`].
pub fn scrub_backend(bytes: &mut [u8], skip: usize, keep: Keep) -> Option<usize> {
    let at = zero(bytes, 0, skip);
    walk(bytes, at, BACKEND_TAGS, |tag, body| match tag {
        b'E' | b'N' if !keep.text => mask_notice(body),
        b'E' | b'N' => {}
        b'Z' if matches!(body, [] | [b'I' | b'T' | b'E']) => {}
        b'C' if is_command_tag(body) => {}
        _ => body.fill(0),
    })
}

/// Scrubs the last bytes of a send: Sync and ReadyForQuery stay.
pub fn scrub_tail(tail: &mut [u8]) {
    let kept = match ready_tail(tail) {
        Some(_) => 6,
        None if sync_tail(tail) => 5,
        None => 0,
    };
    let end = tail.len() - kept;
    tail[..end].fill(0);
}

/// Zeroes `bytes[from..to]` as far as it was captured; says where it ends.
fn zero(bytes: &mut [u8], from: usize, to: usize) -> usize {
    let end = to.min(bytes.len());
    bytes[from..end].fill(0);
    to
}

/// Scrubs message by message from `at`; says where the next one begins.
fn walk(
    bytes: &mut [u8],
    mut at: usize,
    tags: &[u8],
    mut scrub: impl FnMut(u8, &mut [u8]),
) -> Option<usize> {
    let captured = bytes.len();
    while at < captured {
        let rest = &mut bytes[at..];
        match frame(rest, tags) {
            Frame::Message(total) if total <= LONGEST => {
                let end = total.min(rest.len());
                scrub(rest[0], &mut rest[HEADER..end]);
                at += total;
            }
            // A tag and part of a length say nothing.
            Frame::NeedMore => return None,
            Frame::Message(_) | Frame::Malformed => {
                rest.fill(0);
                return None;
            }
        }
    }
    Some(at)
}

/// Masks a statement up to its NUL, or all there is of it.
fn mask_sql(body: &mut [u8]) {
    let len = text::len(body);
    let text = body[..len].strip_suffix(b"\0").map_or(len, <[u8]>::len);
    sql::mask_bytes(&mut body[..text]);
}

/// Zeroes a Bind's values and what follows them; names, formats and lengths stay.
fn zero_values(body: &mut [u8]) {
    let mut values = Values::of(body);
    let ranges: Vec<_> = values.by_ref().flatten().collect();
    let end = values.at;
    for range in ranges {
        body[range].fill(0);
    }
    body[end..].fill(0);
}

/// Whether it reads as the name of a statement or portal, with what a row limit adds behind it.
fn is_name(body: &[u8]) -> bool {
    let len = text::len(body);
    let name = body[..len].strip_suffix(b"\0").unwrap_or(body);
    name.iter().all(u8::is_ascii_graphic) && body.len() - len <= 4
}

/// Whether it reads as what a command says when it is done, not as the middle of a row that was taken for it.
fn is_command_tag(body: &[u8]) -> bool {
    let tag = body.strip_suffix(b"\0").unwrap_or(body);
    tag.iter()
        .all(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b' '))
}

/// Keeps severity and SQLSTATE of an error or notice, where they read as such; all else becomes `?`.
fn mask_notice(body: &mut [u8]) {
    let mut at = 0;
    while let Some(&field) = body.get(at).filter(|&&field| field != 0) {
        let len = text::len(&body[at + 1..]);
        let value = &mut body[at + 1..at + 1 + len];
        let end = value.strip_suffix(b"\0").map_or(len, <[u8]>::len);
        let is_code = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
        if !b"SVC".contains(&field) || !value[..end].iter().all(is_code) {
            value[..end].fill(b'?');
        }
        at += 1 + len;
    }
    let rest = body.len().min(at);
    body[rest..].fill(0);
}
