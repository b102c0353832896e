//! `tierscope compare`: two traces side by side, and what differs.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tierscope_analyzer::{Comparison, compare};
use tierscope_experiments::private_file;
use tierscope_model::Trace;
use tierscope_report::{Sides, human, render_comparison, render_comparison_svg, sentence};

use crate::endpoints::{self, Endpoint, endpoints};
use crate::exit::Done;
use crate::select::{Selection, newest_run};
use crate::terminal::{print, print_json, tree_options};

/// Show two requests side by side: what differs, and what of it is on the critical path.
#[derive(clap::Args)]
#[command(
    after_help = "A and B are ids of requests or traces (their first few digits do), runs, or \
    RUN:ID. A run stands for the median request of the other's endpoint; two runs for the endpoint \
    that differs most between them. Without B, A is compared with its endpoint's median request."
)]
pub struct Args {
    /// A request, or a run.
    a: String,
    /// Another; the median one of A's endpoint if left out.
    b: Option<String>,
    /// Where ids are looked for: a run folder, a traces.jsonl, or a recording (.tsrec); the newest run in
    /// ./runs if left out.
    #[arg(long, value_name = "RUN")]
    run: Option<PathBuf>,
    /// The endpoint of which two runs are compared.
    #[arg(long, value_name = "NAME")]
    endpoint: Option<String>,
    /// Write a picture here instead.
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    svg: Option<PathBuf>,
    /// Print the comparison as JSON instead.
    #[arg(long)]
    json: bool,
}

/// What an argument names.
#[derive(Clone, Debug)]
struct Named {
    source: PathBuf,
    /// None: the median request.
    id: Option<String>,
}

/// A trace, and what it is in words.
struct Side {
    trace: Trace,
    words: String,
}

/// Runs the verb.
pub fn run(args: &Args) -> anyhow::Result<Done> {
    let (a, b) = named(args)?;
    let found = [by_id(&a)?, by_id(&b)?];
    let of_a = endpoints(&a.source)?;
    let is_second = a.source != b.source && found[1].is_none();
    let of_b = is_second.then(|| endpoints(&b.source)).transpose()?;
    let name = match (&args.endpoint, found.iter().flatten().last()) {
        (Some(name), _) => name.clone(),
        (None, Some(side)) => side.trace.endpoint.clone(),
        (None, None) => most_different(&of_a, of_b.as_ref().unwrap_or(&of_a))?,
    };
    let (usual, median) = endpoints::usual(&a.source, &name, of_a.get(&name))?;
    let second = match &of_b {
        Some(of_b) => endpoints::usual(&b.source, &name, of_b.get(&name))?.1,
        None => median.clone(),
    };
    let [found_a, found_b] = found;
    let of_b = of_b.as_ref().unwrap_or(&of_a);
    let a = found_a.map_or_else(|| of_run(&a.source, &name, of_a.get(&name), median), Ok)?;
    let b = found_b.map_or_else(|| of_run(&b.source, &name, of_b.get(&name), second), Ok)?;
    let comparison = compare(&a.trace, &b.trace, Some(&usual));
    let sides = Sides {
        a: a.words,
        b: b.words,
    };
    show(args, &comparison, &sides)
}

/// What both arguments name; one alone is compared with the median one of its run.
fn named(args: &Args) -> anyhow::Result<(Named, Named)> {
    let first = parse(&args.a, args)?;
    match &args.b {
        Some(b) => Ok((first, parse(b, args)?)),
        None if first.id.is_none() => bail!(
            "{}: a run alone has nothing to be compared with; name a request of it, or a second run",
            args.a
        ),
        None => {
            let median = Named {
                id: None,
                ..first.clone()
            };
            Ok((median, first))
        }
    }
}

/// A run, a run and an id, or an id.
fn parse(text: &str, args: &Args) -> anyhow::Result<Named> {
    if Path::new(text).exists() {
        return Ok(Named {
            source: text.into(),
            id: None,
        });
    }
    if let Some((run, id)) = text.rsplit_once(':') {
        let (source, id) = (PathBuf::from(run), Some(id.to_owned()));
        return Ok(Named { source, id });
    }
    let is_id = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_id {
        bail!("{text}: neither a run nor the beginning of an id");
    }
    let source = args.run.clone().map_or_else(newest_run, Ok)?;
    let id = Some(text.to_owned());
    Ok(Named { source, id })
}

fn by_id(named: &Named) -> anyhow::Result<Option<Side>> {
    let Some(id) = &named.id else {
        return Ok(None);
    };
    let selection = Selection {
        source: Some(named.source.clone()),
        id: Some(id.clone()),
        endpoint: None,
        slowest: true,
    };
    let trace = selection.slowest()?;
    let request = trace.request_id.map(|id| format!("request {id}"));
    let words = request.unwrap_or_else(|| format!("trace {}", trace.trace_id));
    Ok(Some(Side { trace, words }))
}

fn of_run(
    source: &Path,
    name: &str,
    endpoint: Option<&Endpoint>,
    median: Option<Trace>,
) -> anyhow::Result<Side> {
    let source = source.display();
    let trace = median.with_context(|| format!("{source}: no whole trace of {name}"))?;
    let count = endpoint.map_or(0, Endpoint::count);
    let request = trace.request_id.map(|id| id.to_string());
    let id = request.unwrap_or_else(|| trace.trace_id.to_string());
    let words = format!("median of {count} in {source} ({}…)", &id[..8]);
    Ok(Side { trace, words })
}

/// The endpoint of two runs whose medians differ most; tells all.
fn most_different(
    a: &BTreeMap<String, Endpoint>,
    b: &BTreeMap<String, Endpoint>,
) -> anyhow::Result<String> {
    let both = a
        .iter()
        .filter_map(|(name, one)| Some((name, one, b.get(name)?)));
    let both: Vec<_> = both.collect();
    for (name, one, two) in &both {
        let (n, m) = (one.count(), two.count());
        let (from, to) = (human(one.median()), human(two.median()));
        eprintln!("{name}: median {from} of {n} → {to} of {m}");
    }
    let most = both
        .into_iter()
        .max_by_key(|(_, one, two)| one.median().abs_diff(two.median()));
    let most = most.map(|(name, ..)| name.clone());
    most.context("the two runs have no endpoint in common")
}

fn show(args: &Args, comparison: &Comparison<'_>, sides: &Sides) -> anyhow::Result<Done> {
    if args.json {
        print_json(&serde_json::json!({
            "a": {"what": sides.a, "duration_ns": comparison.a.duration()},
            "b": {"what": sides.b, "duration_ns": comparison.b.duration()},
            "sentence": sentence(comparison),
            "comparison": comparison,
        }))?;
    } else if let Some(path) = &args.svg {
        private_file(path)?
            .write_all(render_comparison_svg(comparison, sides).as_bytes())
            .with_context(|| format!("cannot write {}", path.display()))?;
        print(&format!("{}\n", path.display()))?;
    } else {
        print(&render_comparison(comparison, sides, &tree_options()))?;
    }
    Ok(Done::Well)
}
