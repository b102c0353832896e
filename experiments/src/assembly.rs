//! A recording, assembled.

use std::path::Path;

use tierscope_assembler::{Assembled, Assembler, Counts, Options};
use tierscope_model::{Trace, attr};
use tierscope_tracer::recording::{Header, Reader};

use crate::error::Result;
use crate::progress::Progress;
use crate::stitch::Truth;

/// Everything that a recording holds, as trees.
#[derive(Debug)]
pub struct Assembly {
    /// The recording's header.
    pub header: Header,
    /// Requests, in the order in which they were finished.
    pub traces: Vec<Trace>,
    /// What belongs to no request.
    pub apart: Vec<Trace>,
    /// The assembler's counts.
    pub counts: Counts,
    /// Bound request ids, where the lab was in truth mode.
    pub truth: Truth,
    /// The file's end is torn: (offset, bytes skipped).
    pub torn: Option<(u64, u64)>,
}

impl Assembly {
    /// Reads a recording from start to end and assembles it.
    ///
    /// # Errors
    /// The recording cannot be read or is damaged before its end.
    pub fn read(recording: &Path, options: Options, progress: &Progress) -> Result<Assembly> {
        let mut reader = Reader::open(recording)?;
        let header = reader.header().clone();
        let services = header.services.iter().map(|s| s.name.clone()).collect();
        let mut assembler = Assembler::new(services, header.hostname.clone(), options);
        let mut truth = Truth::default();
        let (mut traces, mut apart) = (Vec::new(), Vec::new());
        let mut sort = |made: Vec<Assembled>| {
            for made in made {
                match made {
                    Assembled::Request(trace) => traces.push(trace),
                    Assembled::Apart(trace) => apart.push(trace),
                }
            }
        };
        let step = progress.count("assembling", "events");
        for event in reader.by_ref() {
            let event = event?;
            truth.note(&event);
            assembler.push(event);
            sort(assembler.take());
            step.inc(1);
        }
        let (rest, counts) = assembler.finish();
        sort(rest);
        step.finish();
        let torn = reader.torn().map(|torn| (torn.offset, torn.bytes));
        Ok(Assembly {
            header,
            traces,
            apart,
            counts,
            truth,
            torn,
        })
    }
}

/// Whether a trace is of a health check: recorded, but no part of baselines and findings.
pub fn is_health(trace: &Trace) -> bool {
    trace
        .root()
        .and_then(|root| root.attributes.text(attr::URL_PATH))
        == Some("/health")
}
