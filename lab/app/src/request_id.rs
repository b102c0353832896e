//! The 128-bit id of a request: nginx's `$request_id`, 32 hex digits.

use std::fmt;

use axum::http::{HeaderMap, HeaderName};

/// The header that carries the id in and out.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// What keys a request everywhere. Displayed as 32 lower-case hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestId(u128);

impl RequestId {
    /// The id that the caller sent, or a fresh random one where it sent none or an invalid one.
    pub fn of(headers: &HeaderMap) -> Self {
        headers
            .get(HEADER)
            .and_then(|value| value.to_str().ok())
            .and_then(Self::parse)
            .unwrap_or_else(|| Self(rand::random()))
    }

    fn parse(text: &str) -> Option<Self> {
        // `from_str_radix` alone would take a sign.
        let digits = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        u128::from_str_radix(text, 16)
            .ok()
            .filter(|_| digits)
            .map(Self)
    }

    /// The upper 64 bits.
    pub fn hi(self) -> u64 {
        (self.0 >> 64) as u64
    }

    /// The lower 64 bits.
    pub fn lo(self) -> u64 {
        self.0 as u64
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_splits_into_halves_and_prints_its_digits() {
        let text = "0123456789abcdeffedcba9876543210";
        let id = RequestId::parse(text).expect("32 digits");
        assert_eq!((id.hi(), id.lo()), (0x0123456789abcdef, 0xfedcba9876543210));
        assert_eq!(id.to_string(), text);
    }

    #[test]
    fn only_32_hex_digits_are_an_id() {
        for text in [
            "",
            "12",
            "+123456789abcdeffedcba9876543210",
            &"g".repeat(32),
        ] {
            assert_eq!(RequestId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn missing_id_is_made() {
        assert_ne!(
            RequestId::of(&HeaderMap::new()),
            RequestId::of(&HeaderMap::new())
        );
    }
}
