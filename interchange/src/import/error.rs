//! What a file can be wrong in, and where.

use thiserror::Error;

/// A file that cannot be read as traces.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ImportError {
    /// Not JSON, or JSON in which something is not what the format says.
    #[error("line {line}, column {column}: {message}")]
    Json {
        /// From 1.
        line: usize,
        /// From 1, in bytes; 0 at the very start of a line.
        column: usize,
        /// What is wrong.
        message: String,
    },
    /// Not OTLP protobuf.
    #[error("byte {byte}: neither JSON nor OTLP protobuf ({message})")]
    Protobuf {
        /// Where reading stopped, from 0.
        byte: usize,
        /// What is wrong.
        message: String,
    },
    /// JSON of some other kind.
    #[error(
        "line {line}: {found} is neither Jaeger's JSON (data, or traceID and spans), \
         Zipkin's v2 (traceId and id) nor OTLP's (resourceSpans)"
    )]
    Unknown {
        /// The value's first line, from 1.
        line: usize,
        /// What stands there.
        found: String,
    },
    /// Nothing in it.
    #[error("the file is empty")]
    Empty,
}

impl ImportError {
    /// A JSON error in a piece of a file, told by its place in the whole file.
    pub(super) fn json(error: &serde_json::Error, before: &[u8]) -> ImportError {
        let said = error.to_string();
        let end = said.rfind(" at line ").unwrap_or(said.len());
        let (lines, columns) = place(before);
        let column = match error.line() {
            0 | 1 => columns + error.column(),
            _ => error.column(),
        };
        ImportError::Json {
            line: lines + error.line().max(1),
            column,
            message: said[..end].to_owned(),
        }
    }

    /// JSON that is well-formed, and none of the formats.
    pub(super) fn unknown(found: String, before: &[u8]) -> ImportError {
        let line = place(before).0 + 1;
        ImportError::Unknown { line, found }
    }
}

/// How many lines end in a text, and how long the one is that does not.
fn place(before: &[u8]) -> (usize, usize) {
    let lines = before.iter().filter(|byte| **byte == b'\n').count();
    let last = before.iter().rev().take_while(|byte| **byte != b'\n');
    (lines, last.count())
}
