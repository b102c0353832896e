//! The app's probes as `tracing` spans: the same names and moments as `lab/app/src/probes.rs`.
//!
//! Every guard holds its span, which ends when it is dropped. The request's span is the current one while
//! its handling is polled, so all others become its children.

use std::{future::Future, thread};

use tracing::{
    Instrument as _, Span as Spanned, field::Empty, info_span, instrument::Instrumented,
};

use crate::request_id::RequestId;

/// Status reported for a request whose client went away before the answer.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// Status reported for a request whose handling panicked.
const INTERNAL_SERVER_ERROR: u16 = 500;

/// One request, from its head to its response's status.
#[must_use]
pub struct Request {
    span: Spanned,
    status: Option<u16>,
}

/// Begins the server's span. `path` is without the query string.
pub fn request(id: RequestId, method: &str, path: &str) -> Request {
    Request {
        span: info_span!(
            "request",
            otel.kind = "server",
            http.request.method = method,
            url.path = path,
            http.response.status_code = Empty,
            request.id = %id,
        ),
        status: None,
    }
}

impl Request {
    /// The handling of the request, with its span as the current one.
    pub fn around<F: Future>(&self, handling: F) -> Instrumented<F> {
        handling.instrument(self.span.clone())
    }

    /// Ends the span with the response's status.
    pub fn finish(mut self, status: u16) {
        self.status = Some(status);
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let status = match self.status {
            Some(status) => status,
            None if thread::panicking() => INTERNAL_SERVER_ERROR,
            None => CLIENT_CLOSED_REQUEST,
        };
        self.span.record("http.response.status_code", status);
    }
}

/// A span that needs nothing at its end.
#[must_use]
pub struct Span {
    _span: Spanned,
}

/// The wait for a pooled connection.
pub fn acquire(_: RequestId) -> Span {
    Span {
        _span: info_span!("db pool wait"),
    }
}

/// One statement, from just before its bytes are written to its last row.
#[must_use]
pub struct Query {
    span: Spanned,
}

/// Begins the span of a statement.
pub fn query(_: RequestId, text: &str) -> Query {
    Query {
        span: info_span!(
            "db query",
            otel.kind = "client",
            db.system.name = "postgresql",
            db.query.text = text,
            db.response.returned_rows = Empty,
        ),
    }
}

impl Query {
    /// Ends the span with the number of rows returned.
    pub fn finish(self, rows: u64) {
        self.span.record("db.response.returned_rows", rows);
    }
}

/// A value was found in a cache.
pub fn cache_hit<K: AsRef<str>>(_: RequestId, key: impl FnOnce() -> K) {
    drop(info_span!(
        "cache",
        cache.key = key().as_ref(),
        cache.hit = true
    ));
}

/// A value was not found in a cache.
pub fn cache_miss<K: AsRef<str>>(_: RequestId, key: impl FnOnce() -> K) {
    drop(info_span!(
        "cache",
        cache.key = key().as_ref(),
        cache.hit = false
    ));
}

/// Work of the current request on another thread, which knows no current span of its own.
pub fn on_another_thread<T>(work: impl FnOnce() -> T) -> impl FnOnce() -> T {
    let span = Spanned::current();
    move || span.in_scope(work)
}

/// One file operation.
#[must_use]
pub struct FileIo {
    span: Spanned,
}

/// Begins the span of a file operation.
pub fn file_io(_: RequestId, path: &str, op: &str) -> FileIo {
    FileIo {
        span: info_span!(
            "file",
            file.path = path,
            file.operation = op,
            file.bytes = Empty
        ),
    }
}

impl FileIo {
    /// Ends the span with the bytes moved.
    pub fn finish(self, bytes: u64) {
        self.span.record("file.bytes", bytes);
    }
}

/// A phase of the app's own work.
pub fn span(_: RequestId, name: &str) -> Span {
    Span {
        _span: info_span!("phase", otel.name = name),
    }
}
