//! Fields as tools write them: ids that are not hex, times as numbers or text, values of any type.

use std::fmt;
use std::hash::Hasher;

use fnv::FnvHasher;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;
use tierscope_model::{SpanId, TraceId, Value};

/// A span id, and its text where that is not hex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Id {
    pub(super) id: SpanId,
    pub(super) text: Option<String>,
}

impl Id {
    /// Up to 16 hex digits are the number they are, anything else is hashed.
    pub(super) fn new(text: &str) -> Id {
        match hex(text, 16) {
            Some(number) => Id {
                id: SpanId(number as u64),
                text: None,
            },
            None => Id {
                id: SpanId(hash(text.as_bytes(), 0)),
                text: Some(text.to_owned()),
            },
        }
    }

    /// The id of bytes; none where there are none, or only zeros, as OTLP has it.
    pub(super) fn of_bytes(bytes: &[u8]) -> Option<Id> {
        let set = bytes.iter().any(|byte| *byte != 0);
        set.then(|| Id::new(&hex_text(bytes)))
    }

    /// As it came.
    pub(super) fn stated(&self) -> String {
        self.text.clone().unwrap_or_else(|| self.id.to_string())
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Id, D::Error> {
        String::deserialize(deserializer).map(|text| Id::new(&text))
    }
}

/// A trace id: up to 32 hex digits, anything else hashed.
pub(super) fn trace_id(text: &str) -> TraceId {
    let wide = |seed| u128::from(hash(text.as_bytes(), seed));
    TraceId(hex(text, 32).unwrap_or_else(|| wide(0) << 64 | wide(1)))
}

/// Bytes as hex digits.
pub(super) fn hex_text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hex(text: &str, digits: usize) -> Option<u128> {
    let is_hex = text.bytes().all(|b| b.is_ascii_hexdigit());
    let fits = (1..=digits).contains(&text.len()) && is_hex;
    fits.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

/// A number made of bytes: the same on every machine and in every release.
pub(super) fn hash(bytes: &[u8], seed: u64) -> u64 {
    let mut hasher = FnvHasher::default();
    hasher.write_u8(seed as u8);
    hasher.write(bytes);
    hasher.finish()
}

/// Microseconds as nanoseconds; none where there are none, or a number that is no time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Micros(pub(super) Option<u64>);

impl<'de> Deserialize<'de> for Micros {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Micros, D::Error> {
        deserializer.deserialize_any(MicrosVisitor)
    }
}

struct MicrosVisitor;

impl Visitor<'_> for MicrosVisitor {
    type Value = Micros;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of microseconds")
    }

    fn visit_unit<E>(self) -> Result<Micros, E> {
        Ok(Micros(None))
    }

    fn visit_u64<E>(self, micros: u64) -> Result<Micros, E> {
        Ok(Micros(micros.checked_mul(1_000)))
    }

    fn visit_i64<E>(self, micros: i64) -> Result<Micros, E> {
        let micros = u64::try_from(micros).ok();
        Ok(Micros(micros.and_then(|n| n.checked_mul(1_000))))
    }

    fn visit_f64<E>(self, micros: f64) -> Result<Micros, E> {
        let nanos = (micros * 1_000.0).round();
        // Above 2^63 an f64 is no longer anywhere near a nanosecond.
        let is_time = (0.0..9.2e18).contains(&nanos);
        Ok(Micros(is_time.then_some(nanos as u64)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Micros, E> {
        match text.parse() {
            Ok(micros) => self.visit_u64(micros),
            Err(_) => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
        }
    }
}

/// An attribute of any JSON type; what has none of ours becomes its JSON text.
pub(super) fn value(json: Json) -> Value {
    match json {
        Json::Bool(flag) => flag.into(),
        Json::String(text) => text.into(),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(int), _) => int.into(),
            (None, Some(float)) if !number.is_u64() => Value::Float(float),
            _ => number.to_string().into(),
        },
        other => other.to_string().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_hex_of_any_length_or_hashed() {
        assert_eq!(Id::new("4b52eb0cabcb50a"), Id::new("04B52EB0CABCB50A"));
        assert_eq!(Id::new("A").stated(), "000000000000000a");
        let odd = Id::new("span-A");
        assert_eq!(odd.stated(), "span-A");
        assert_ne!(odd.id, Id::new("span-B").id);
        assert_eq!(trace_id("1B10163CD1FB2219").0, 0x1b10_163c_d1fb_2219);
        assert_ne!(trace_id("trace-abc"), trace_id("trace-abd"));
        assert_ne!(Id::new("+1"), Id::new("1"));
        assert_eq!(Id::of_bytes(&[0; 8]), None);
    }

    #[test]
    fn times_are_numbers_or_digits_and_else_missing() {
        let read = |json: &str| serde_json::from_str::<Micros>(json).map(|m| m.0);
        for (json, nanos) in [
            ("7", Some(7_000)),
            ("\"7\"", Some(7_000)),
            ("1.5", Some(1_500)),
            ("-7", None),
            ("null", None),
            ("18446744073709551615", None),
            ("1e300", None),
        ] {
            assert_eq!(read(json).expect(json), nanos, "{json}");
        }
        let said = read("\"soon\"").expect_err("no number").to_string();
        assert!(
            said.contains("microseconds") && said.contains("column"),
            "{said}"
        );
    }
}
