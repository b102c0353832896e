//! Short texts out of words and numbers: most spans have some, and `format!` costs as much as the rest of them.

use arrayvec::ArrayString;
use tierscope_model::{SmolStr, Timestamp};

/// A piece of such a text.
pub(crate) enum Part<'a> {
    Word(&'a str),
    Number(u64),
}

impl Part<'_> {
    fn with<R>(&self, take: impl FnOnce(&str) -> R) -> R {
        match self {
            Part::Word(word) => take(word),
            Part::Number(number) => take(itoa::Buffer::new().format(*number)),
        }
    }
}

impl<'a> From<&'a str> for Part<'a> {
    fn from(word: &'a str) -> Part<'a> {
        Part::Word(word)
    }
}

impl From<u64> for Part<'_> {
    fn from(number: u64) -> Self {
        Part::Number(number)
    }
}

impl From<u32> for Part<'_> {
    fn from(number: u32) -> Self {
        Part::Number(number.into())
    }
}

impl From<u8> for Part<'_> {
    fn from(number: u8) -> Self {
        Part::Number(number.into())
    }
}

/// Nearly all are shorter.
const USUAL: usize = 96;

/// The parts, one behind the other.
pub(crate) fn joined<const N: usize>(parts: [Part<'_>; N]) -> SmolStr {
    let mut short = ArrayString::<USUAL>::new();
    if parts
        .iter()
        .all(|part| part.with(|text| short.try_push_str(text).is_ok()))
    {
        return SmolStr::new(short);
    }
    let mut long = String::new();
    for part in parts {
        part.with(|text| long.push_str(text));
    }
    long.into()
}

/// What a thread did at a time, as evidence: `tid@ns`.
pub(crate) fn poll(tid: u32, time: Timestamp) -> SmolStr {
    joined([tid.into(), "@".into(), time.0.into()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stand_behind_each_other() {
        let parts = ["a → ".into(), u64::MAX.into(), ":".into(), 0_u8.into()];
        assert_eq!(joined(parts), "a → 18446744073709551615:0");
        let long = "ä".repeat(USUAL);
        assert_eq!(
            joined([7_u32.into(), long.as_str().into()]),
            format!("7{long}")
        );
        assert_eq!(poll(7, Timestamp(12)), "7@12");
    }
}
