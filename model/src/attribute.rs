//! Span attributes: a small ordered map with OpenTelemetry's value types.

use std::fmt;
use std::sync::Arc;

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smol_str::SmolStr;

/// A value: text, a signed integer, a float (imported traces only) or a flag.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// A flag.
    Bool(bool),
    /// A count, a size in bytes or a time in nanoseconds.
    Int(i64),
    /// A measured fraction; the assembler makes none.
    Float(f64),
    /// Text, possibly from outside: never trusted when drawn.
    Text(SmolStr),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Bool(value) => value.fmt(f),
            Value::Int(value) => value.fmt(f),
            Value::Float(value) => value.fmt(f),
            Value::Text(value) => value.fmt(f),
        }
    }
}

// By hand: an untagged enum would be buffered and tried form by form.
impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl Visitor<'_> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a flag, a number or text")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        let whole = i64::try_from(value).map(Value::Int);
        Ok(whole.unwrap_or(Value::Float(value as f64)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(SmolStr::new(value)))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value.into()))
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Value {
        Value::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Value {
        Value::Int(value)
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Value {
        Value::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Value {
        Value::Int(i64::from(value))
    }
}

impl From<u16> for Value {
    fn from(value: u16) -> Value {
        Value::Int(i64::from(value))
    }
}

impl From<String> for Value {
    fn from(value: String) -> Value {
        Value::Text(value.into())
    }
}

impl From<&'static str> for Value {
    fn from(value: &'static str) -> Value {
        Value::Text(SmolStr::new_static(value))
    }
}

impl From<SmolStr> for Value {
    fn from(value: SmolStr) -> Value {
        Value::Text(value)
    }
}

impl From<Arc<str>> for Value {
    fn from(value: Arc<str>) -> Value {
        Value::Text(value.into())
    }
}

/// An attribute's name. Those that the program itself gives are `&'static str`: nothing is copied.
#[derive(Clone, Debug)]
pub struct Key(Name);

#[derive(Clone, Debug)]
enum Name {
    Given(&'static str),
    Read(SmolStr),
}

impl Key {
    fn as_str(&self) -> &str {
        match &self.0 {
            Name::Given(name) => name,
            Name::Read(name) => name,
        }
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Key) -> bool {
        self.as_str() == other.as_str()
    }
}

impl From<&'static str> for Key {
    fn from(key: &'static str) -> Key {
        Key(Name::Given(key))
    }
}

impl From<String> for Key {
    fn from(key: String) -> Key {
        Key(Name::Read(key.into()))
    }
}

/// Attributes in the order they were set; a key stands once. A JSON object in files.
#[derive(Debug, Default, PartialEq)]
pub struct Attributes(Vec<(Key, Value)>);

/// Most spans have no more.
const ROOM: usize = 8;

impl Clone for Attributes {
    /// A copy has room for more: it is made to be added to.
    fn clone(&self) -> Attributes {
        if self.is_empty() {
            return Attributes::new();
        }
        let mut pairs = Vec::with_capacity(self.0.len() + ROOM);
        pairs.extend_from_slice(&self.0);
        Attributes(pairs)
    }
}

impl Attributes {
    /// No attributes.
    pub const fn new() -> Attributes {
        Attributes(Vec::new())
    }

    /// None, with room for `count`.
    pub fn with_room(count: usize) -> Attributes {
        Attributes(Vec::with_capacity(count))
    }

    /// Sets `key`, replacing its earlier value.
    pub fn set(&mut self, key: impl Into<Key>, value: impl Into<Value>) {
        let (key, value) = (key.into(), value.into());
        let name = key.as_str();
        match self.0.iter_mut().find(|(k, _)| k.as_str() == name) {
            Some(slot) => slot.1 = value,
            None => {
                self.make_room(1);
                self.0.push((key, value));
            }
        }
    }

    /// For `count` more: at once for the usual number of them.
    fn make_room(&mut self, count: usize) {
        let usual = if self.0.capacity() == 0 { ROOM } else { 0 };
        self.0.reserve(count.max(usual));
    }

    /// Adds these, none of whose keys stands there yet: nothing is looked for.
    pub fn add<const N: usize>(&mut self, mut pairs: [(&'static str, Value); N]) {
        debug_assert!(pairs.iter().all(|(key, _)| self.get(key).is_none()));
        self.make_room(N);
        // Taken out where they stand: to move them all first costs as much as the rest.
        let taken = |(key, value): &mut (&'static str, Value)| {
            ((*key).into(), std::mem::replace(value, Value::Bool(false)))
        };
        self.0.extend(pairs.iter_mut().map(taken));
    }

    /// Adds all of `others`, none of whose keys stands there yet.
    pub fn append(&mut self, mut others: Attributes) {
        debug_assert!(others.iter().all(|(key, _)| self.get(key).is_none()));
        self.0.append(&mut others.0);
    }

    /// Takes `key` out, with its value.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let at = self.0.iter().position(|(k, _)| k.as_str() == key)?;
        Some(self.0.remove(at).1)
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0
            .iter()
            .find(|(k, _)| k.as_str() == key)
            .map(|(_, v)| v)
    }

    /// The value of `key` if it is text.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.get(key) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The value of `key` if it is an integer.
    pub fn int(&self, key: &str) -> Option<i64> {
        match self.get(key) {
            Some(Value::Int(value)) => Some(*value),
            _ => None,
        }
    }

    /// All pairs in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(k, v)| (k.as_str(), v))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Attributes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key.as_str(), value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Attributes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(AttributesVisitor)
    }
}

struct AttributesVisitor;

impl<'de> Visitor<'de> for AttributesVisitor {
    type Value = Attributes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of attributes")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Attributes, A::Error> {
        let mut attributes = Attributes::new();
        while let Some((key, value)) = map.next_entry::<SmolStr, Value>()? {
            attributes.set(Key(Name::Read(key)), value);
        }
        Ok(attributes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stands_once_and_survives_json() {
        let mut attributes = Attributes::new();
        attributes.set("a", 1i64);
        attributes.set("b", "x");
        attributes.set("a", true);
        let json = serde_json::to_string(&attributes).expect("serialises");
        assert_eq!(json, r#"{"a":true,"b":"x"}"#);
        let back: Attributes = serde_json::from_str(&json).expect("parses");
        assert_eq!(back, attributes);
        assert_eq!(attributes.remove("a"), Some(Value::Bool(true)));
        assert_eq!(attributes.remove("a"), None);
        assert_eq!(attributes.iter().count(), 1);
    }
}
