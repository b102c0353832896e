//! Traces from wherever they are kept.

use std::path::Path;

use serde::de::DeserializeOwned;
use tierscope_assembler::{Assembled, Options};
use tierscope_model::Trace;

use crate::assembly::assemble;
use crate::error::{Error, Result};
use crate::folder::each_line;
use crate::progress::Progress;
use crate::stitch::Truth;

/// Hands over every request's trace of a run folder, a traces.jsonl or a recording, or what is wanted
/// of it.
///
/// # Errors
/// It is none of these, or cannot be read.
pub fn each_trace<T: DeserializeOwned + From<Trace>>(
    source: &Path,
    sink: &mut dyn FnMut(T),
) -> Result<()> {
    if source.is_dir() {
        return each_line(&source.join("traces.jsonl"), sink);
    }
    match source.extension().and_then(|e| e.to_str()) {
        Some("jsonl") => each_line(source, sink),
        Some("tsrec") => {
            let mut requests = |made, _: &Truth| {
                if let Assembled::Request(trace) = made {
                    sink(trace.into());
                }
                Ok(())
            };
            let progress = Progress::on_terminal();
            assemble(source, Options::default(), &progress, &mut requests).map(drop)
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
