//! `tierscope report`: a run as one HTML file, and its waterfalls as pictures.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use tierscope_analyzer::{Findings, Group, Tally, Verdict, compare};
use tierscope_experiments::{each_trace, private_file};
use tierscope_model::Trace;
use tierscope_report::{
    Key, Latencies, Median, Report, Sides, SvgOptions, WATERFALLS, render_comparison_svg,
    render_html, render_svg,
};

use crate::endpoints::{Endpoint, Endpoints, Usuals};
use crate::exit::Done;
use crate::normal::Normal;
use crate::select::newest_run;
use crate::terminal::print;

/// Write a run's findings, latencies and waterfalls as one HTML file that needs nothing from outside.
///
/// In a run folder it is report.html, and each waterfall in it becomes a picture in waterfalls/, too.
#[derive(clap::Args)]
pub struct Args {
    /// A run folder, a traces.jsonl, or a recording (.tsrec); the newest run in ./runs if left out.
    run: Option<PathBuf>,
    #[command(flatten)]
    normal: Normal,
    /// Where to write it [default: report.html in the run folder, else beside the file].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Runs the verb.
pub fn run(args: &Args) -> anyhow::Result<Done> {
    let run = args.run.clone().map_or_else(newest_run, Ok)?;
    let judged = Judged::of(&run, &args.normal)?;
    let shown = Shown::of(&run, &judged)?;
    let report = Report {
        name: name(&run),
        title: title(&run).unwrap_or_default(),
        judged_by: args.normal.to_string(),
        findings: &judged.findings,
        latencies: &judged.latencies,
        medians: &shown.medians,
        traces: &shown.traces,
    };
    let out = args.out.clone().unwrap_or_else(|| beside(&run));
    write(&out, &render_html(&report))?;
    if run.is_dir() {
        pictures(&run.join("waterfalls"), &judged.findings, &shown)?;
    }
    print(&format!("{}\n", out.display()))?;
    Ok(Done::Well)
}

/// A run's verdicts.
struct Judged {
    findings: Findings,
    latencies: Latencies,
    endpoints: BTreeMap<String, Endpoint>,
}

impl Judged {
    fn of(run: &Path, normal: &Normal) -> anyhow::Result<Judged> {
        let mut judge = normal.judge(run)?;
        let (mut tally, mut latencies) = (Tally::default(), Latencies::default());
        let mut endpoints = Endpoints::default();
        each_trace(run, &mut |trace: Trace| {
            let is_whole = trace.incomplete.is_empty();
            endpoints.add(&trace.endpoint, trace.duration(), is_whole);
            let verdict = judge.judge(&trace);
            latencies.add(&trace, matches!(verdict, Verdict::Flagged(_)));
            tally.add(&trace.endpoint, verdict);
        })?;
        Ok(Judged {
            findings: judge.conclude(tally),
            latencies,
            endpoints: endpoints.sorted(),
        })
    }

    fn groups(&self) -> &[Group] {
        let groups = &self.findings.groups;
        &groups[..groups.len().min(WATERFALLS)]
    }
}

/// The traces that the report shows.
struct Shown {
    medians: BTreeMap<String, Median>,
    traces: BTreeMap<Key, Trace>,
}

impl Shown {
    fn of(run: &Path, judged: &Judged) -> anyhow::Result<Shown> {
        let wanted: BTreeSet<Key> = judged.groups().iter().map(key).collect();
        let known = judged.endpoints.iter();
        let known = known.filter(|(name, _)| judged.latencies.shows(name));
        let mut usuals = Usuals::of(known.map(|(name, one)| (name.as_str(), Some(one))));
        let mut traces = BTreeMap::new();
        each_trace(run, &mut |trace: Trace| {
            let key = (trace.request_id, trace.trace_id);
            if wanted.contains(&key) {
                traces.insert(key, trace.clone());
            }
            usuals.add(trace);
        })?;
        let medians = usuals.found.into_iter().map(|(name, (usual, trace))| {
            let count = judged.endpoints.get(&name).map_or(0, Endpoint::count);
            (
                name,
                Median {
                    usual,
                    trace,
                    count,
                },
            )
        });
        Ok(Shown {
            medians: medians.collect(),
            traces,
        })
    }
}

fn key(group: &Group) -> Key {
    (group.request_id, group.trace_id)
}

/// Each finding's waterfall and comparison, and a median waterfall per endpoint, each a file of its own.
fn pictures(folder: &Path, findings: &Findings, shown: &Shown) -> anyhow::Result<()> {
    clear(folder)?;
    let svg = |trace: &Trace| render_svg(trace, &SvgOptions::default());
    for (place, (endpoint, median)) in shown.medians.iter().enumerate() {
        if let Some(trace) = &median.trace {
            let file = format!("endpoint-{:02}-{}.svg", place + 1, slug(endpoint));
            write(&folder.join(file), &svg(trace))?;
        }
    }
    for (place, group) in findings.groups.iter().enumerate() {
        let Some(trace) = shown.traces.get(&key(group)) else {
            continue;
        };
        let stem = format!("finding-{:02}-{}", place + 1, slug(group.kind.name()));
        write(&folder.join(format!("{stem}.svg")), &svg(trace))?;
        if let Some(picture) = compared(shown.medians.get(&group.endpoint), trace) {
            write(&folder.join(format!("{stem}-compared.svg")), &picture)?;
        }
    }
    Ok(())
}

fn compared(median: Option<&Median>, trace: &Trace) -> Option<String> {
    let median = median?;
    let other = median.trace.as_ref()?;
    let sides = Sides {
        a: format!("median of {}", median.count),
        b: format!("request {}", trace.trace_id),
    };
    let comparison = compare(other, trace, Some(&median.usual));
    Some(render_comparison_svg(&comparison, &sides))
}

/// Takes away what an earlier report wrote.
fn clear(folder: &Path) -> anyhow::Result<()> {
    let named = || format!("cannot write into {}", folder.display());
    std::fs::create_dir_all(folder).with_context(named)?;
    for entry in std::fs::read_dir(folder).with_context(named)?.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let ours = ["finding-", "endpoint-"]
            .iter()
            .any(|p| name.starts_with(p));
        if ours && name.ends_with(".svg") {
            std::fs::remove_file(entry.path()).with_context(named)?;
        }
    }
    Ok(())
}

/// Letters, digits and single dashes, for a file's name.
fn slug(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    let words: Vec<String> = words
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    words.join("-").chars().take(80).collect()
}

fn name(run: &Path) -> String {
    let whole = run.canonicalize().unwrap_or_else(|_| run.to_owned());
    let name = whole.file_name().map(|name| name.to_string_lossy());
    name.map_or_else(|| run.display().to_string(), |name| name.into_owned())
}

/// What the experiment of a run folder says that it is.
fn title(run: &Path) -> Option<String> {
    let score = std::fs::read(run.join("score.json")).ok()?;
    let score: serde_json::Value = serde_json::from_slice(&score).ok()?;
    let title = score["settings"]["experiment"]["title"].as_str();
    title.map(str::to_owned)
}

fn beside(run: &Path) -> PathBuf {
    match run.is_dir() {
        true => run.join("report.html"),
        false => run.with_extension("html"),
    }
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let written = private_file(path)?.write_all(text.as_bytes());
    written.with_context(|| format!("cannot write {}", path.display()))
}
