//! Reads traces that other tools wrote: Jaeger's JSON, Zipkin's v2 JSON, OTLP as JSON or protobuf.
//!
//! Times become nanoseconds since 1970. What is odd (shared ids, missing times, unknown parents, clocks
//! that differ) is kept and flagged on its span; what cannot be read is an error with its place. What our
//! own exports carry beside the formats' fields is read back: exact times, evidence, request ids; what a
//! span's thread did is not exported. A file may hold several JSON values, as a collector writes them.

mod error;
mod field;
mod jaeger;
mod join;
mod many;
mod odd;
mod otlp;
mod own;
mod raw;
mod shape;
mod tree;
mod zipkin;

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use tierscope_model::{RequestId, Trace, TraceId};

pub use error::ImportError;
pub use odd::Odd;

use many::Many;
use raw::Raw;
use shape::{Form, Shape};

/// A format that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// Jaeger's JSON.
    Jaeger,
    /// Zipkin's v2 JSON.
    Zipkin,
    /// OTLP, as JSON or protobuf.
    Otlp,
}

impl Format {
    /// Its name in traces.
    pub fn name(self) -> &'static str {
        match self {
            Format::Jaeger => "jaeger",
            Format::Zipkin => "zipkin",
            Format::Otlp => "otlp",
        }
    }

    /// Nanoseconds that its times are whole multiples of.
    fn precision(self) -> u64 {
        match self {
            Format::Jaeger | Format::Zipkin => 1_000,
            Format::Otlp => 1,
        }
    }
}

/// Collects spans of one or several files: a trace's may be spread over them.
#[derive(Debug, Default)]
pub struct Importer {
    spans: Vec<Raw>,
}

/// All traces of the files.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Imported {
    /// In the order in which their first spans came.
    pub traces: Vec<Trace>,
    /// Spans with each oddity.
    pub odd: BTreeMap<Odd, u64>,
}

impl Importer {
    /// Takes a file's bytes and gives the number of its spans.
    ///
    /// # Errors
    /// They cannot be read as any of the formats. Nothing of them is kept then.
    pub fn add(&mut self, bytes: &[u8]) -> Result<usize, ImportError> {
        let spans = read(bytes)?;
        let count = spans.len();
        self.spans.extend(spans);
        Ok(count)
    }

    /// Joins the spans to traces; requests that share a trace id are told apart by their request ids.
    pub fn finish(self) -> Imported {
        let mut place: HashMap<(TraceId, Option<RequestId>), usize> = HashMap::new();
        let mut groups: Vec<Vec<Raw>> = Vec::new();
        for span in self.spans {
            let key = (span.trace, own::request(&span));
            let group = *place.entry(key).or_insert_with(|| {
                groups.push(Vec::new());
                groups.len() - 1
            });
            groups[group].push(span);
        }
        let traces: Vec<Trace> = groups.into_iter().filter_map(tree::build).collect();
        let odd = odd::count(&traces);
        Imported { traces, odd }
    }
}

fn read(bytes: &[u8]) -> Result<Vec<Raw>, ImportError> {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let first = text.iter().find(|byte| !byte.is_ascii_whitespace());
    if !matches!(first, Some(b'{' | b'[')) {
        let is_empty = first.is_none();
        return match protobuf(bytes) {
            Err(_) if is_empty => Err(ImportError::Empty),
            Ok(spans) if is_empty && spans.is_empty() => Err(ImportError::Empty),
            other => other,
        };
    }
    // A protobuf may begin like JSON: its first bytes are lengths.
    json(text).or_else(|error| match protobuf(bytes) {
        Ok(spans) if !spans.is_empty() => Ok(spans),
        _ => Err(error),
    })
}

fn protobuf(bytes: &[u8]) -> Result<Vec<Raw>, ImportError> {
    otlp::decode(bytes).map(otlp::spans)
}

/// Every JSON value of a text, by its form.
fn json(text: &[u8]) -> Result<Vec<Raw>, ImportError> {
    let mut spans = Vec::new();
    let mut values = serde_json::Deserializer::from_slice(text).into_iter::<Shape>();
    let mut begin = 0;
    while let Some(shape) = values.next() {
        // The stream counts lines over the whole text.
        let shape = shape.map_err(|error| ImportError::json(&error, &[]))?;
        let (before, value) = (&text[..begin], &text[begin..values.byte_offset()]);
        let Some(form) = shape.form() else {
            return Err(ImportError::unknown(
                shape.describe(),
                skip_space(text, begin),
            ));
        };
        spans.extend(of_form(form, value).map_err(|error| ImportError::json(&error, before))?);
        begin = values.byte_offset();
    }
    Ok(spans)
}

/// The text up to where the next value begins.
fn skip_space(text: &[u8], from: usize) -> &[u8] {
    let space = text[from..]
        .iter()
        .take_while(|byte| byte.is_ascii_whitespace());
    &text[..from + space.count()]
}

fn of_form(form: Form, value: &[u8]) -> serde_json::Result<Vec<Raw>> {
    Ok(match form {
        Form::JaegerFile => jaeger_spans(parse::<jaeger::File>(value)?.data),
        Form::JaegerTraces => jaeger_spans(parse(value)?),
        Form::Zipkin => {
            let Many(spans) = parse(value)?;
            spans.into_iter().map(zipkin::span).collect()
        }
        Form::Otlp => otlp::spans(parse(value)?),
    })
}

fn parse<'a, T: Deserialize<'a>>(value: &'a [u8]) -> serde_json::Result<T> {
    serde_json::from_slice(value)
}

fn jaeger_spans(Many(traces): Many<jaeger::Trace>) -> Vec<Raw> {
    traces.into_iter().flat_map(jaeger::spans).collect()
}
