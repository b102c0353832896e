//! All USDT probes, provider `tierscope_app`.
//!
//! Every start is fired by a function that returns a guard; the guard's drop fires the end, so an
//! error, a dropped (cancelled) future and a panic end what they interrupt. The request id goes as
//! two `u64`, upper half first. Disabled, a probe is a load and a branch: arguments, the clock
//! included, are taken inside the probe's closure. A duration is 0 when its start was not traced.

use std::{future::Future, thread, time::Instant};

use crate::request_id::RequestId;

/// The signatures. `&str` arrives as a pointer to a NUL-terminated copy, durations are in ns.
#[usdt::provider(provider = "tierscope_app")]
mod app {
    fn request_start(hi: u64, lo: u64, method: &str, path: &str) {}
    fn request_end(hi: u64, lo: u64, status_code: u64, duration_ns: u64) {}
    fn db_acquire_start(hi: u64, lo: u64) {}
    fn db_acquire_end(hi: u64, lo: u64) {}
    fn db_query_start(hi: u64, lo: u64, query: &str) {}
    fn db_query_end(hi: u64, lo: u64, duration_ns: u64, rows: u64) {}
    fn cache_hit(hi: u64, lo: u64, key: &str) {}
    fn cache_miss(hi: u64, lo: u64, key: &str) {}
    fn file_io_start(hi: u64, lo: u64, path: &str, op: &str) {}
    fn file_io_end(hi: u64, lo: u64, bytes: u64) {}
    fn span_start(hi: u64, lo: u64, name: &str) {}
    fn span_end(hi: u64, lo: u64) {}
}

/// Status reported for a request whose client went away before the answer.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// Status reported for a request whose handling panicked.
const INTERNAL_SERVER_ERROR: u16 = 500;

/// One request, from its head to its response's status.
#[must_use]
pub struct Request {
    id: RequestId,
    started: Option<Instant>,
    status: Option<u16>,
}

/// Fires `request_start`. `path` is without the query string.
pub fn request(id: RequestId, method: &str, path: &str) -> Request {
    let mut started = None;
    app::request_start!(|| {
        started = Some(Instant::now());
        (id.hi(), id.lo(), method, path)
    });
    Request {
        id,
        started,
        status: None,
    }
}

impl Request {
    /// The handling of the request. Its probes name it by its id, so nothing is added here.
    pub fn around<F: Future>(&self, handling: F) -> F {
        handling
    }

    /// Fires `request_end` with the response's status.
    pub fn finish(mut self, status: u16) {
        self.status = Some(status);
    }

    fn outcome(&self) -> u16 {
        match self.status {
            Some(status) => status,
            None if thread::panicking() => INTERNAL_SERVER_ERROR,
            None => CLIENT_CLOSED_REQUEST,
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        app::request_end!(|| (
            self.id.hi(),
            self.id.lo(),
            u64::from(self.outcome()),
            nanoseconds_since(self.started)
        ));
    }
}

/// The wait for a pooled connection.
#[must_use]
pub struct Acquire {
    id: RequestId,
}

/// Fires `db_acquire_start`; `db_acquire_end` follows when the guard drops.
pub fn acquire(id: RequestId) -> Acquire {
    app::db_acquire_start!(|| (id.hi(), id.lo()));
    Acquire { id }
}

impl Drop for Acquire {
    fn drop(&mut self) {
        app::db_acquire_end!(|| (self.id.hi(), self.id.lo()));
    }
}

/// One statement, from just before its bytes are written to its last row.
#[must_use]
pub struct Query {
    id: RequestId,
    started: Option<Instant>,
    rows: u64,
}

/// Fires `db_query_start`.
pub fn query(id: RequestId, text: &str) -> Query {
    let mut started = None;
    app::db_query_start!(|| {
        started = Some(Instant::now());
        (id.hi(), id.lo(), text)
    });
    Query {
        id,
        started,
        rows: 0,
    }
}

impl Query {
    /// Fires `db_query_end` with the number of rows returned; an interrupted query reports 0.
    pub fn finish(mut self, rows: u64) {
        self.rows = rows;
    }
}

impl Drop for Query {
    fn drop(&mut self) {
        app::db_query_end!(|| (
            self.id.hi(),
            self.id.lo(),
            nanoseconds_since(self.started),
            self.rows
        ));
    }
}

/// Fires `cache_hit`. The key is made only while the probe is enabled.
pub fn cache_hit<K: AsRef<str>>(id: RequestId, key: impl FnOnce() -> K) {
    app::cache_hit!(|| (id.hi(), id.lo(), key()));
}

/// Fires `cache_miss`. The key is made only while the probe is enabled.
pub fn cache_miss<K: AsRef<str>>(id: RequestId, key: impl FnOnce() -> K) {
    app::cache_miss!(|| (id.hi(), id.lo(), key()));
}

/// What a request's work on another thread has to be wrapped in: nothing, its probes name it.
pub fn on_another_thread<W>(work: W) -> W {
    work
}

/// One file operation, on the thread that does it.
#[must_use]
pub struct FileIo {
    id: RequestId,
    bytes: u64,
}

/// Fires `file_io_start`. `op` is `read`, `append` or `fsync`.
pub fn file_io(id: RequestId, path: &str, op: &str) -> FileIo {
    app::file_io_start!(|| (id.hi(), id.lo(), path, op));
    FileIo { id, bytes: 0 }
}

impl FileIo {
    /// Fires `file_io_end` with the bytes moved; a failed operation reports 0.
    pub fn finish(mut self, bytes: u64) {
        self.bytes = bytes;
    }
}

impl Drop for FileIo {
    fn drop(&mut self) {
        app::file_io_end!(|| (self.id.hi(), self.id.lo(), self.bytes));
    }
}

/// A phase of the app's own work.
#[must_use]
pub struct Span {
    id: RequestId,
}

/// Fires `span_start`; `span_end` follows when the guard drops.
pub fn span(id: RequestId, name: &str) -> Span {
    app::span_start!(|| (id.hi(), id.lo(), name));
    Span { id }
}

impl Drop for Span {
    fn drop(&mut self) {
        app::span_end!(|| (self.id.hi(), self.id.lo()));
    }
}

fn nanoseconds_since(started: Option<Instant>) -> u64 {
    started.map_or(0, |at| {
        u64::try_from(at.elapsed().as_nanos()).unwrap_or(u64::MAX)
    })
}
