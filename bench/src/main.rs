//! What tracing costs: interleaved runs of the lab untraced, traced and under two peers, and what a
//! traced event costs in the kernel. Prints one line per target, and exits 1 where one is missed.

mod arm;
mod compare;
mod cpu;
mod hits;
mod interval;
mod line;
mod load;
mod neighbour;
mod outcome;
mod parser;
mod pipeline;
mod plan;
mod printer;
mod programs;
mod progress;
mod recording;
mod sample;
mod session;
mod sink;
mod stand;
mod svg;
mod table;
mod targets;
mod tools;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use crate::{
    outcome::Outcome,
    plan::Plan,
    progress::{Phase, Progress},
    stand::Stand,
};

/// Measure what tracing costs, in some 25 minutes, and say which targets are reached.
#[derive(Parser)]
struct Cli {
    /// Two short pairs of everything: whether it works, not what it costs.
    #[arg(long)]
    quick: bool,
    /// Pairs per arm and load.
    #[arg(long, value_name = "N", conflicts_with = "quick", value_parser = clap::value_parser!(u32).range(1..))]
    pairs: Option<u32>,
    /// Where overhead.json, overhead.txt and overhead.svg go.
    #[arg(long, value_name = "DIR", default_value = "bench-overhead")]
    out: PathBuf,
    #[command(subcommand)]
    part: Option<Part>,
}

/// The processes that a measurement is made of; started by the benchmark itself.
#[derive(Subcommand)]
#[command(hide = true)]
enum Part {
    /// Prints every event of the lab in DIR as a line of JSON.
    Print { dir: PathBuf },
    /// Reads such lines and drops them.
    Parse,
    /// Takes OTLP over HTTP and drops it.
    Sink,
    /// Fires probes.
    Hits { count: u64 },
}

fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    match cli.part {
        None => return measure(&cli),
        Some(Part::Print { dir }) => printer::run(&dir)?,
        Some(Part::Parse) => parser::run()?,
        Some(Part::Sink) => sink::run()?,
        Some(Part::Hits { count }) => hits::run(count)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn measure(cli: &Cli) -> anyhow::Result<ExitCode> {
    std::fs::create_dir_all(&cli.out)
        .with_context(|| format!("cannot make {}", cli.out.display()))?;
    let plan = Plan::new(cli.quick, cli.pairs);
    let progress = Progress::of(&plan);
    progress.phase(Phase::Labs);
    let stand = Stand::up()?;
    let outcome = Outcome::measure(&stand, &plan, &progress)?;
    drop(progress);
    stand.down()?;
    let text = table::whole(&outcome);
    outcome.write(&cli.out, &text)?;
    print!("{text}");
    Ok(if outcome.targets.iter().all(|target| target.reached) {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}
