//! Why an experiment could not be run.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Shorthand.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an experiment could not be run or scored.
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {path}: {source}")]
    Write { path: PathBuf, source: io::Error },
    #[error("{path} is not an experiment: {reason}")]
    Spec { path: PathBuf, reason: String },
    #[error("{path} line {line}: {source}")]
    Line {
        path: PathBuf,
        line: usize,
        source: serde_json::Error,
    },
    #[error(transparent)]
    Lab(#[from] tierscope_stack::Error),
    #[error(transparent)]
    Record(#[from] tierscope_tracer::recorder::RecordError),
    #[error("the load generator {what}: see {log}")]
    Load { what: String, log: PathBuf },
    #[error(
        "the app does not understand the fault {header:?}: it knows db_ms=N, handler_ms=N, cpu_ms=N, file_ms=N, n_plus_one, file_per_row, cache_bypass and panic, comma-separated"
    )]
    FaultRefused { header: String },
    #[error("{fault} cannot be injected on this host: {reason}")]
    Refused { fault: &'static str, reason: String },
    #[error("{fault}: {reason}")]
    Inject { fault: &'static str, reason: String },
    #[error("the lab took no request: no trace was assembled from {recording}; see {logs}")]
    NoTraces { recording: PathBuf, logs: PathBuf },
    #[error("{path}: expected a run folder, a .jsonl of traces or a .tsrec recording")]
    NoSource { path: PathBuf },
    #[error("cannot read the baseline {path}: {reason}")]
    Baseline { path: PathBuf, reason: String },
    #[error(transparent)]
    Recording(#[from] tierscope_tracer::recording::ReadError),
}

impl Error {
    /// For `map_err` on writes.
    pub(crate) fn write(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Error {
        let path = path.into();
        move |source| Error::Write { path, source }
    }

    /// For `map_err` on reads.
    pub(crate) fn read(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Error {
        let path = path.into();
        move |source| Error::Read { path, source }
    }
}
