//! A recording assembled again and again, as if it went on.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};
use tierscope_assembler::{Assembled, Assembler, Options};
use tierscope_model::Timestamp;
use tierscope_tracer::recording::Reader;

use crate::again::again;

/// Between two repetitions: the requests of one are built by then. Nanoseconds.
const PAUSE: u64 = 5_000_000_000;

/// What was made.
#[derive(Debug, Serialize, Deserialize)]
pub struct Made {
    /// Events taken in.
    pub events: u64,
    /// Spans made, those of requests.
    pub spans: u64,
}

/// Assembles `recording` so many times, writes the traces to `out`, and says what was made.
pub fn run(recording: &Path, times: u64, out: Option<&Path>) -> anyhow::Result<()> {
    let mut out = out
        .map(|path| File::create(path).map(BufWriter::new))
        .transpose()?;
    let header = Reader::open(recording)?.header().clone();
    let services = header.services.iter().map(|s| s.name.clone()).collect();
    let options = Options {
        unmeasured: header.unmeasured(),
        ..Options::default()
    };
    let mut assembler = Assembler::new(services, header.hostname, options);
    let (mut last, mut shift) = (Timestamp(0), 0);
    for turn in 0..times {
        let mut first = None;
        for event in Reader::open(recording)? {
            let mut event = event?;
            let first = *first.get_or_insert(event.time);
            if turn > 0 && event.time == first {
                shift = (last + PAUSE).since(first);
            }
            again(&mut event, shift, turn);
            last = last.max(event.time);
            assembler.push(event);
            write(assembler.take(), out.as_mut())?;
        }
    }
    let (rest, counts) = assembler.finish();
    write(rest, out.as_mut())?;
    let (events, spans) = (counts.events, counts.spans);
    println!("{}", serde_json::to_string(&Made { events, spans })?);
    Ok(())
}

fn write(made: Vec<Assembled>, out: Option<&mut BufWriter<File>>) -> anyhow::Result<()> {
    let Some(out) = out else { return Ok(()) };
    for one in made {
        if let Assembled::Request(trace) = one {
            serde_json::to_writer(&mut *out, &trace)?;
            out.write_all(b"\n")?;
        }
    }
    Ok(())
}
