//! A recording, assembled as it is read: memory does not grow with its length.

use std::io::Read;
use std::path::Path;

use tierscope_assembler::{Assembled, Assembler, Counts, Options};
use tierscope_model::{Event, Trace, attr};
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
    /// The recorder finished it: it was not killed.
    pub finished: bool,
}

/// What comes of reading a recording.
#[derive(Debug)]
pub enum Piece<'a> {
    /// An event, in the recording's order.
    Seen(&'a Event),
    /// A finished trace.
    Made(Assembled),
}

/// Who takes what a recording holds.
pub trait Sink {
    /// An event, in the recording's order; the assembler gets the same.
    fn event(&mut self, _event: &Event) {}

    /// A finished trace, with the bound request ids seen so far (all that concern it are among them).
    ///
    /// # Errors
    /// It could not be taken; the assembly ends.
    fn made(&mut self, made: Assembled, truth: &Truth) -> Result<()>;
}

impl<F: FnMut(Assembled, &Truth) -> Result<()>> Sink for F {
    fn made(&mut self, made: Assembled, truth: &Truth) -> Result<()> {
        self(made, truth)
    }
}

/// Reads a recording and hands over its events and each trace when it is finished.
///
/// # Errors
/// The recording cannot be read or is damaged before its end; or `sink` failed.
pub fn assemble(
    recording: &Path,
    options: Options,
    progress: &Progress,
    sink: &mut dyn Sink,
) -> Result<Ending> {
    let mut truth = Truth::default();
    assemble_from(
        Reader::open(recording)?,
        options,
        progress,
        &mut |step| match step {
            Piece::Seen(event) => {
                truth.note(event);
                sink.event(event);
                Ok(())
            }
            Piece::Made(made) => sink.made(made, &truth),
        },
    )
}

/// The same, for a recording that is open already, and without what statements carry.
///
/// # Errors
/// The recording cannot be read or is damaged before its end; or `sink` failed.
pub fn assemble_from<R: Read>(
    mut reader: Reader<R>,
    mut options: Options,
    progress: &Progress,
    sink: &mut dyn FnMut(Piece<'_>) -> Result<()>,
) -> Result<Ending> {
    let header = reader.header();
    options.unmeasured = header.unmeasured();
    options.sample = header.sample();
    let services = header.services.iter().map(|s| s.name.clone()).collect();
    let mut assembler = Assembler::new(services, header.hostname.clone(), options);
    let step = progress.count("assembling", "events");
    for event in reader.by_ref() {
        let event = event?;
        sink(Piece::Seen(&event))?;
        assembler.push(event);
        for made in assembler.take() {
            sink(Piece::Made(made))?;
        }
        step.inc(1);
    }
    let (rest, counts) = assembler.finish();
    for made in rest {
        sink(Piece::Made(made))?;
    }
    step.finish();
    Ok(Ending {
        counts,
        torn: reader.torn(),
        finished: reader.is_finished(),
    })
}

/// Whether a trace is of a health check: recorded, but no part of baselines and findings.
pub(crate) fn is_health(trace: &Trace) -> bool {
    trace
        .root()
        .and_then(|root| root.attributes.text(attr::URL_PATH))
        == Some("/health")
}
