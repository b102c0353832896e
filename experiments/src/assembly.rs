//! A recording, assembled as it is read: memory does not grow with its length.

use std::path::Path;

use tierscope_assembler::{Assembled, Assembler, Counts, Options};
use tierscope_model::{Trace, attr};
use tierscope_tracer::recording::{Reader, Torn};

use crate::error::Result;
use crate::progress::Progress;
use crate::stitch::Truth;

/// What is known once a recording was read to its end.
#[derive(Debug)]
pub struct Ending {
    /// The assembler's counts.
    pub counts: Counts,
    /// The file's torn end, if it has one.
    pub torn: Option<Torn>,
}

/// Reads a recording and hands over each trace when it is finished, with the bound request ids seen so
/// far (all that concern the trace are among them).
///
/// # Errors
/// The recording cannot be read or is damaged before its end; or `sink` failed.
pub fn assemble(
    recording: &Path,
    options: Options,
    progress: &Progress,
    sink: &mut dyn FnMut(Assembled, &Truth) -> Result<()>,
) -> Result<Ending> {
    let mut reader = Reader::open(recording)?;
    let header = reader.header();
    let services = header.services.iter().map(|s| s.name.clone()).collect();
    let mut assembler = Assembler::new(services, header.hostname.clone(), options);
    let mut truth = Truth::default();
    let step = progress.count("assembling", "events");
    for event in reader.by_ref() {
        let event = event?;
        truth.note(&event);
        assembler.push(event);
        for made in assembler.take() {
            sink(made, &truth)?;
        }
        step.inc(1);
    }
    let (rest, counts) = assembler.finish();
    for made in rest {
        sink(made, &truth)?;
    }
    step.finish();
    Ok(Ending {
        counts,
        torn: reader.torn(),
    })
}

/// Whether a trace is of a health check: recorded, but no part of baselines and findings.
pub(crate) fn is_health(trace: &Trace) -> bool {
    trace
        .root()
        .and_then(|root| root.attributes.text(attr::URL_PATH))
        == Some("/health")
}
