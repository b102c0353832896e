//! Identities: request, trace, span and socket.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// Text that is not the fixed number of hex digits an id has.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{text:?} is not an id of {digits} hex digits")]
pub struct IdError {
    text: String,
    digits: usize,
}

/// Reads an id from text without keeping the text.
struct FromText<T>(PhantomData<T>);

impl<T: FromStr<Err = IdError>> de::Visitor<'_> for FromText<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id in hex digits")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $int:ty, $digits:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $int);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!("{:0", $digits, "x}"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let error = || IdError { text: text.chars().take(64).collect(), digits: $digits };
                if text.len() != $digits {
                    return Err(error());
                }
                let digit = |id: $int, byte: u8| {
                    Some(id << 4 | <$int>::from(char::from(byte).to_digit(16)?))
                };
                text.bytes().try_fold(0, digit).map($name).ok_or_else(error)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(FromText(PhantomData))
            }
        }
    };
}

hex_id!(
    /// The id nginx gave to one request (`$request_id`): what keys a request. 128 bits.
    RequestId, u128, 32
);
hex_id!(
    /// W3C trace id: a client's valid `traceparent`, else the request id. Several requests may share one. 128 bits.
    TraceId, u128, 32
);
hex_id!(
    /// W3C span id, derived from what the span is, so that the same input gives the same id. 64 bits.
    SpanId, u64, 16
);

/// The kernel's socket cookie: unique per socket and boot, never reused (a descriptor is).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct SocketCookie(pub u64);

impl fmt::Display for SocketCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl From<RequestId> for TraceId {
    fn from(id: RequestId) -> TraceId {
        TraceId(id.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_exactly_its_hex_digits() {
        let text = "00f067aa0ba902b74bf92f3577b34da6";
        let id: RequestId = text.parse().expect("32 hex digits");
        assert_eq!(id.to_string(), text);
        for bad in ["", "zz", "+0f067aa0ba902b74bf92f3577b34da6", &text[1..]] {
            assert!(bad.parse::<RequestId>().is_err(), "{bad}");
        }
    }
}
