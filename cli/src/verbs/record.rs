//! `tierscope record`: what the kernel sees of some processes, into a file.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use tierscope_experiments::{Progress, RECORDING};
use tierscope_model::Sample;
use tierscope_stack::{Lab, LabOptions};
use tierscope_tracer::recorder::{RecordOptions, Recorder};
use tierscope_tracer::{Detail, Keep, Service};

use crate::container::main_pid;
use crate::exit::Done;
use crate::terminal::{print, print_json};

/// Record what the kernel sees of the lab, or of the processes given; Ctrl-C closes the file.
#[derive(clap::Args)]
pub struct Args {
    /// The file to make.
    #[arg(long, value_name = "FILE", default_value = RECORDING)]
    out: PathBuf,
    /// A process to trace with all it forks, e.g. nginx=1234; the running lab if left out.
    #[arg(long, value_name = "NAME=PID", value_parser = parse_service)]
    process: Vec<Service>,
    /// A running container to trace, by its name or id at the engine that `docker` asks: its main process with
    /// all it forks, e.g. nginx=shop-nginx-1.
    #[arg(long, value_name = "NAME=CONTAINER", value_parser = parse_container)]
    container: Vec<(String, String)>,
    /// The lab's private directory, where no process and no container is given.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["process", "container"])]
    lab: Option<PathBuf>,
    /// Stop after so many seconds.
    #[arg(long, value_name = "SECONDS")]
    duration: Option<f64>,
    /// Size of the ring buffer in MiB, a power of two.
    #[arg(long, value_name = "MIB", default_value_t = 8)]
    ring: u32,
    /// How much to attach: `lean` leaves out PostgreSQL's own probes and the calls on files.
    #[arg(long, value_name = "LEVEL", default_value = "full", value_parser = detail())]
    detail: Detail,
    /// Record this share of the requests, above 0 and below 1, chosen by their ids in the kernel.
    #[arg(long, value_name = "SHARE")]
    sample: Option<Sample>,
    /// Keep captured text as it is: header lines, query strings, SQL literals and bound values.
    #[arg(long)]
    keep_text: bool,
    /// Print the closing counts as JSON.
    #[arg(long)]
    json: bool,
}

/// Its words.
pub fn detail() -> impl TypedValueParser<Value = Detail> {
    PossibleValuesParser::new(["lean", "full"]).map(|level| match level.as_str() {
        "lean" => Detail::Lean,
        _ => Detail::Full,
    })
}

fn parse_service(text: &str) -> Result<Service, String> {
    let (name, pid) = text
        .split_once('=')
        .ok_or("expected NAME=PID, e.g. nginx=1234")?;
    let pid = pid
        .parse()
        .map_err(|_| format!("{pid:?} is not a process id"))?;
    Ok(service(name, pid))
}

fn parse_container(text: &str) -> Result<(String, String), String> {
    let (name, container) = text
        .split_once('=')
        .ok_or("expected NAME=CONTAINER, e.g. nginx=shop-nginx-1")?;
    Ok((name.to_owned(), container.to_owned()))
}

fn service(name: &str, pid: u32) -> Service {
    Service {
        name: name.to_owned(),
        pids: vec![pid],
        binary: None,
    }
}

/// Runs the verb.
pub fn run(args: Args) -> anyhow::Result<Done> {
    check(&args)?;
    let stop = stop_signal()?;
    let recorder = start(&args)?;
    for hook in recorder.unattached() {
        eprintln!("tierscope: not measured: {}: {}", hook.event, hook.detail);
    }
    wait(&args, &stop, &recorder);
    let closing = recorder.finish()?;
    if args.json {
        print_json(&closing)?
    } else {
        print(&format!("{}: {closing}\n", args.out.display()))?
    }
    Ok(Done::Well)
}

fn check(args: &Args) -> anyhow::Result<()> {
    if args.keep_text {
        eprintln!(
            "tierscope: --keep-text: the file will hold what users sent and what queries carried"
        );
    }
    ensure!(
        args.ring.is_power_of_two() && args.ring <= 1024,
        "--ring {}: expected a power of two up to 1024",
        args.ring
    );
    ensure!(
        !args.out.exists(),
        "{} is there already: remove it, or name another file with --out",
        args.out.display()
    );
    Ok(())
}

fn start(args: &Args) -> anyhow::Result<Recorder> {
    let keep = Keep {
        values: args.keep_text,
        text: args.keep_text,
    };
    let recorder = Recorder::start(RecordOptions {
        services: services(args)?,
        ring_bytes: args.ring << 20,
        detail: args.detail,
        sample: args.sample,
        keep,
        command_line: std::env::args().collect(),
        ..RecordOptions::new(&args.out)
    })?;
    Ok(recorder)
}

/// Until a signal, the time asked for, or the recording's failure.
fn wait(args: &Args, stop: &AtomicBool, recorder: &Recorder) {
    let what = format!("recording to {}, Ctrl-C to stop", args.out.display());
    let step = Progress::on_terminal().step(&what);
    let begun = Instant::now();
    let due = |limit: f64| begun.elapsed().as_secs_f64() >= limit;
    while !stop.load(Ordering::Relaxed) && !recorder.has_failed() && !args.duration.is_some_and(due)
    {
        std::thread::sleep(Duration::from_millis(50));
    }
    step.finish();
}

pub(crate) fn stop_signal() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, stop.clone()).context("cannot catch signals")?;
    }
    Ok(stop)
}

fn services(args: &Args) -> anyhow::Result<Vec<Service>> {
    if args.process.is_empty() && args.container.is_empty() {
        let dir = args.lab.clone().unwrap_or_else(LabOptions::default_dir);
        let lab = Lab::open(&dir)
            .context("no --process and no --container given, and no lab to record")?;
        let processes = lab.processes().iter();
        return Ok(processes
            .map(|process| service(&process.role.to_string(), process.pid))
            .collect());
    }
    let mut given = args.process.clone();
    for (name, container) in &args.container {
        given.push(service(name, main_pid(container)?));
    }
    Ok(merged(given))
}

/// One service for each name, with all its processes.
fn merged(given: Vec<Service>) -> Vec<Service> {
    let mut services: Vec<Service> = Vec::new();
    for given in given {
        match services
            .iter_mut()
            .find(|service| service.name == given.name)
        {
            Some(service) => service.pids.extend(given.pids),
            None => services.push(given),
        }
    }
    services
}
