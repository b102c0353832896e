//! `tierscope assemble`: a recording becomes traces.

use std::collections::HashSet;
use std::path::PathBuf;

use anyhow::ensure;
use tierscope_assembler::{Assembled, Options};
use tierscope_experiments::{Piece, Progress, TRACES, TraceLog, assemble_from};
use tierscope_tracer::recording::Reader;

use crate::exit::Done;
use crate::terminal::{print, print_json};

/// Assemble a recording into traces, one JSON line each.
#[derive(clap::Args)]
pub struct Args {
    /// The recording (.tsrec).
    recording: PathBuf,
    /// Where the traces go; beside the recording, as traces.jsonl, if left out.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// A request whose answer does not come within so many seconds is closed as failed.
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    response_timeout: f64,
    /// Print the counts as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the verb.
pub fn run(args: &Args) -> anyhow::Result<Done> {
    let path = args
        .out
        .clone()
        .unwrap_or_else(|| args.recording.with_file_name(TRACES));
    let options = options(args)?;
    let mut log = TraceLog::create(path.clone())?;
    let mut sink = |step: Piece<'_>| match step {
        Piece::Made(Assembled::Request(trace)) => log.add(&trace),
        _ => Ok(()),
    };
    let ending = assemble_from(
        Reader::open(&args.recording)?,
        options,
        &Progress::on_terminal(),
        &mut sink,
    )?;
    log.finish(&HashSet::new())?;
    if let Some(torn) = ending.torn {
        eprintln!(
            "tierscope: the recording's end is torn at byte {}: {} bytes skipped",
            torn.offset, torn.bytes
        );
    }
    let counts = &ending.counts;
    if args.json {
        print_json(counts)?;
    } else {
        print(&format!(
            "{}: {} traces, {} spans, {} orphans, {} lost events, from {} events\n",
            path.display(),
            counts.traces,
            counts.spans,
            counts.orphan_spans,
            counts.lost_events,
            counts.events
        ))?;
    }
    Ok(Done::Well)
}

fn options(args: &Args) -> anyhow::Result<Options> {
    let seconds = args.response_timeout;
    ensure!(
        seconds > 0.0 && seconds < 86_400.0,
        "--response-timeout {seconds}: expected seconds, above 0 and under a day"
    );
    Ok(Options {
        response_timeout: (seconds * 1e9) as u64,
        ..Options::default()
    })
}
