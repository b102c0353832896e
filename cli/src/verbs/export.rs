//! `tierscope export`: traces for Jaeger, Zipkin or any OTLP backend.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use tierscope_experiments::private_file;
use tierscope_interchange::{to_jaeger, to_otlp, to_zipkin};

use crate::exit::Done;
use crate::select::Selection;
use crate::terminal::print;

/// Write traces as a file that Jaeger's UI, Zipkin or an OTLP receiver takes as it is.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    selection: Selection,
    /// The form.
    #[arg(long, value_enum)]
    format: Format,
    /// Where it goes; standard output if left out.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    /// Jaeger's UI: "JSON file".
    Jaeger,
    /// Zipkin v2 JSON.
    Zipkin,
    /// OTLP JSON (`ExportTraceServiceRequest`).
    Otlp,
}

/// Runs the verb.
pub fn run(args: &Args) -> anyhow::Result<Done> {
    let traces = args.selection.traces()?;
    let clock = args.selection.clock(&traces)?;
    let json = match args.format {
        Format::Jaeger => serde_json::to_string(&to_jaeger(&traces, &clock)),
        Format::Zipkin => serde_json::to_string(&to_zipkin(&traces, &clock)),
        Format::Otlp => serde_json::to_string(&to_otlp(&traces, &clock)),
    }?;
    match &args.out {
        Some(path) => {
            private_file(path)?
                .write_all((json + "\n").as_bytes())
                .with_context(|| format!("cannot write {}", path.display()))?;
            eprintln!("{}: {} traces", path.display(), traces.len());
        }
        None => print(&(json + "\n"))?,
    }
    Ok(Done::Well)
}
