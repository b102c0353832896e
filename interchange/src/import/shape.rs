//! Which format a JSON value is in, by the names at its top.

use std::fmt;

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Names that are told of a value that is in no known format.
const TOLD: usize = 5;

/// The outside of a JSON value.
#[derive(Debug)]
pub(super) enum Shape {
    /// An object's names.
    Object(Vec<String>),
    /// A list, by its first value.
    List(Option<Box<Shape>>),
    /// A single value.
    Other,
}

/// A form of a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Jaeger's file: traces under `data`.
    JaegerFile,
    /// A Jaeger trace or several.
    JaegerTraces,
    /// Zipkin spans: one, a list, or a list of lists.
    Zipkin,
    /// An OTLP export request.
    Otlp,
}

impl Shape {
    /// The form that a value of this shape has; an empty list is a list of no Zipkin spans.
    pub(super) fn form(&self) -> Option<Form> {
        match self {
            Shape::Object(names) => form_of_object(names),
            Shape::List(None) => Some(Form::Zipkin),
            Shape::List(Some(first)) => match first.form()? {
                form @ (Form::JaegerTraces | Form::Zipkin) => Some(form),
                Form::JaegerFile | Form::Otlp => None,
            },
            Shape::Other => None,
        }
    }

    /// The value in words.
    pub(super) fn describe(&self) -> String {
        match self {
            Shape::Object(names) if names.is_empty() => "an empty object".to_owned(),
            Shape::Object(names) => {
                let some: Vec<String> = names.iter().take(TOLD).map(|n| short(n)).collect();
                let more = if names.len() > TOLD { ", …" } else { "" };
                format!("an object with {}{more}", some.join(", "))
            }
            Shape::List(first) => match first {
                Some(first) => format!("a list that begins with {}", first.describe()),
                None => "an empty list".to_owned(),
            },
            Shape::Other => "a single value".to_owned(),
        }
    }
}

fn short(name: &str) -> String {
    let head: String = name.chars().take(24).collect();
    format!("{head:?}")
}

fn form_of_object(names: &[String]) -> Option<Form> {
    let has = |wanted: &str| names.iter().any(|name| name == wanted);
    let form = if has("resourceSpans") {
        Form::Otlp
    } else if has("data") {
        Form::JaegerFile
    } else if has("traceID") && has("spans") {
        Form::JaegerTraces
    } else if has("traceId") && has("id") {
        Form::Zipkin
    } else {
        return None;
    };
    Some(form)
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Shape, D::Error> {
        deserializer.deserialize_any(ShapeVisitor)
    }
}

struct ShapeVisitor;

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
        let mut names = Vec::new();
        while let Some((name, IgnoredAny)) = map.next_entry()? {
            names.push(name);
        }
        Ok(Shape::Object(names))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Shape, A::Error> {
        let first = seq.next_element()?;
        while let Some(IgnoredAny) = seq.next_element()? {}
        Ok(Shape::List(first.map(Box::new)))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Shape, E> {
        Ok(Shape::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Shape, E> {
        Ok(Shape::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Shape, E> {
        Ok(Shape::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Shape, E> {
        Ok(Shape::Other)
    }

    fn visit_str<E>(self, _: &str) -> Result<Shape, E> {
        Ok(Shape::Other)
    }

    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::Other)
    }
}
