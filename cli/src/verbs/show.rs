//! `tierscope show`: one trace as a tree, a waterfall or JSON.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use tierscope_experiments::private_file;
use tierscope_report::{SvgOptions, render_svg, render_tree};

use crate::exit::Done;
use crate::select::Selection;
use crate::terminal::{print, print_json, tree_options};

/// Show where one request's time went (the slowest of those meant).
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    selection: Selection,
    /// Write a waterfall here instead.
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    svg: Option<PathBuf>,
    /// Print the trace as JSON instead.
    #[arg(long)]
    json: bool,
}

/// Runs the verb.
pub fn run(args: &Args) -> anyhow::Result<Done> {
    let trace = &args.selection.slowest()?;
    if args.json {
        print_json(trace)?;
    } else if let Some(path) = &args.svg {
        private_file(path)?
            .write_all(render_svg(trace, &SvgOptions::default()).as_bytes())
            .with_context(|| format!("cannot write {}", path.display()))?;
        print(&format!("{}\n", path.display()))?;
    } else {
        print(&render_tree(trace, &tree_options()))?;
    }
    Ok(Done::Well)
}
