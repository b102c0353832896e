//! The values of a Bind message.

use std::ops::Range;

use super::{Message, text};

/// Values bound by a Bind message in order, `None` for NULL; those that were captured whole. Empty for
/// other messages.
pub fn bind_params<'a>(message: &Message<'a>) -> Vec<Option<&'a [u8]>> {
    if message.tag != b'B' {
        return Vec::new();
    }
    Values::of(message.body)
        .map(|range| range.map(|range| &message.body[range]))
        .collect()
}

/// Where the values of a Bind message stand in its body.
pub(super) struct Values<'a> {
    body: &'a [u8],
    /// One past the last value that was walked.
    pub(super) at: usize,
    left: u16,
}

impl<'a> Values<'a> {
    /// Values of a Bind message's captured body; none where it is cut before them.
    pub(super) fn of(body: &'a [u8]) -> Values<'a> {
        let portal = text::len(body);
        let names = portal + text::len(&body[portal..]);
        let formats = u16_at(body, names).unwrap_or(0);
        let count = names + 2 + 2 * usize::from(formats);
        match u16_at(body, count) {
            Some(left) => Values {
                body,
                at: count + 2,
                left,
            },
            None => Values {
                body,
                at: names.min(body.len()),
                left: 0,
            },
        }
    }
}

impl Iterator for Values<'_> {
    type Item = Option<Range<usize>>;

    fn next(&mut self) -> Option<Option<Range<usize>>> {
        self.left = self.left.checked_sub(1)?;
        let length = self.body.get(self.at..)?.first_chunk()?;
        let start = self.at + 4;
        let value = match i32::from_be_bytes(*length) {
            -1 => None,
            length => {
                let end = start.checked_add(usize::try_from(length).ok()?)?;
                self.body.get(start..end)?;
                Some(start..end)
            }
        };
        self.at = value.as_ref().map_or(start, |range| range.end);
        Some(value)
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|two| u16::from_be_bytes(*two))
}
