//! Traces from wherever they are kept.

use std::path::Path;

use serde::de::DeserializeOwned;
use tierscope_assembler::{Assembled, Options};
use tierscope_model::Trace;
use tierscope_tracer::recording::Reader;

use crate::assembly::{Piece, assemble_from};
use crate::error::{Error, Result};
use crate::folder::{RECORDING, TRACES, each_line_if};
use crate::progress::Progress;

/// Hands over every request's trace of a run folder, a traces.jsonl or a recording, or what is wanted
/// of it.
///
/// # Errors
/// It is none of these, or cannot be read.
pub fn each_trace<T: DeserializeOwned + From<Trace>>(
    source: &Path,
    sink: &mut dyn FnMut(T),
) -> Result<()> {
    each_trace_if(source, &mut || Ok(true), sink)
}

/// The same; `is_wanted` is asked before each trace, and those that are not wanted are passed over.
///
/// # Errors
/// As [`each_trace`], or what `is_wanted` says.
pub(crate) fn each_trace_if<T: DeserializeOwned + From<Trace>>(
    source: &Path,
    is_wanted: &mut dyn FnMut() -> Result<bool>,
    sink: &mut dyn FnMut(T),
) -> Result<()> {
    if source.is_dir() {
        let (traces, recording) = (source.join(TRACES), source.join(RECORDING));
        // `verify` keeps no traces: they are made again.
        let kept = traces.exists() || !recording.exists();
        return each_trace_if(if kept { &traces } else { &recording }, is_wanted, sink);
    }
    match source.extension().and_then(|e| e.to_str()) {
        Some("jsonl") => each_line_if(source, is_wanted, sink),
        Some("tsrec") => {
            let (reader, progress) = (Reader::open(source)?, Progress::on_terminal());
            let mut requests = |step: Piece<'_>| {
                match step {
                    Piece::Made(Assembled::Request(trace)) if is_wanted()? => sink(trace.into()),
                    _ => {}
                }
                Ok(())
            };
            assemble_from(reader, Options::default(), &progress, &mut requests).map(drop)
        }
        _ => Err(Error::NoSource {
            path: source.into(),
        }),
    }
}

/// Whether it is a run, a file of traces, or one that traces are made from.
pub(crate) fn holds_traces(source: &Path) -> bool {
    let extension = source.extension();
    source.is_dir() || extension.is_some_and(|e| e == "jsonl" || e == "tsrec")
}
