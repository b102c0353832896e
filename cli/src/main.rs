//! tierscope: where one request's time goes, tier by tier, down to the kernel.

mod container;
mod endpoints;
mod exit;
mod follow;
mod found;
mod normal;
mod select;
mod terminal;
mod verbs;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use mimalloc::MiMalloc;

/// Traces are many small pieces, made by the million: this one gives and takes them faster.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// See where one request's time goes, tier by tier, down to the kernel, and why this one was slow.
#[derive(Parser)]
#[command(
    version,
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong use, 3 the host cannot do it."
)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Doctor(verbs::doctor::Args),
    Lab(verbs::lab::Args),
    Load(verbs::load::Args),
    Record(verbs::record::Args),
    Assemble(verbs::assemble::Args),
    Show(verbs::show::Args),
    Compare(verbs::compare::Args),
    Analyze(verbs::analyze::Args),
    Report(verbs::report::Args),
    Export(verbs::export::Args),
    Import(verbs::import::Args),
    Run(verbs::run::Args),
    Verify(verbs::verify::Args),
}

fn main() -> ExitCode {
    exit::code(match Cli::parse().verb {
        Verb::Doctor(args) => verbs::doctor::run(&args),
        Verb::Lab(args) => verbs::lab::run(args),
        Verb::Load(args) => verbs::load::run(args),
        Verb::Record(args) => verbs::record::run(args),
        Verb::Assemble(args) => verbs::assemble::run(&args),
        Verb::Show(args) => verbs::show::run(&args),
        Verb::Compare(args) => verbs::compare::run(&args),
        Verb::Analyze(args) => verbs::analyze::run(&args),
        Verb::Report(args) => verbs::report::run(&args),
        Verb::Export(args) => verbs::export::run(&args),
        Verb::Import(args) => verbs::import::run(&args),
        Verb::Run(args) => verbs::run::run(&args),
        Verb::Verify(args) => verbs::verify::run(&args),
    })
}
