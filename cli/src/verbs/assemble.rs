//! `tierscope assemble`: a recording becomes traces.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use tierscope_assembler::Options;
use tierscope_experiments::{Assembly, Progress};

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
    let assembly = Assembly::read(&args.recording, options(args)?, &Progress::on_terminal())?;
    let path = args
        .out
        .clone()
        .unwrap_or_else(|| args.recording.with_file_name("traces.jsonl"));
    let file =
        std::fs::File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    let mut file = std::io::BufWriter::new(file);
    for trace in &assembly.traces {
        serde_json::to_writer(&mut file, trace)?;
        file.write_all(b"\n")?;
    }
    file.flush()
        .with_context(|| format!("cannot write {}", path.display()))?;
    if let Some((offset, bytes)) = assembly.torn {
        eprintln!("tierscope: the recording's end is torn at byte {offset}: {bytes} bytes skipped");
    }
    if args.json {
        print_json(&assembly.counts)?;
    } else {
        let counts = &assembly.counts;
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
