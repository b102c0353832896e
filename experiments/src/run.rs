//! Runs one experiment: lab up, load with faults, record, assemble, score.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tierscope_analyzer::{Change, Judge, Tally, Verdict};
use tierscope_assembler::{Assembled, Options};
use tierscope_loadgen::Record;
use tierscope_model::{Event, Nanos, RequestId, Trace};
use tierscope_report::{SvgOptions, render_svg};
use tierscope_stack::{Lab, LabOptions};
use tierscope_tracer::recorder::{Closing, RecordError, RecordOptions, Recorder};
use tierscope_tracer::{Keep, Service, Tracer, TracerOptions};

use crate::assembly::{Sink, assemble};
use crate::changed::changed;
use crate::detection::{Detection, detection};
use crate::error::{Error, Result};
use crate::folder::{Folder, TRACES, private_file, read_lines, write_json};
use crate::inject::{Held, Site, hold, plan};
use crate::kept::normal_of;
use crate::load::LoadProcess;
use crate::normal::Normal;
use crate::progress::Progress;
use crate::reach;
use crate::said::Said;
use crate::score::{Score, Scorer, id_of};
use crate::score_checks::checks;
use crate::sources::{self, Before, CpuTimes, Outside, Sources};
use crate::spec::Experiment;
use crate::stitch::Truth;
use crate::trace_log::{Pair, TraceLog};
use crate::traces::each_trace;
use crate::truth::{Line, injected, refused};
use crate::usual::Learned;

/// After the load's last answer, what is still on its way to the ring buffer comes in.
const SETTLE: Duration = Duration::from_millis(300);

/// Length of the windows in which changes are looked for.
const WINDOW: Nanos = 5_000_000_000;

/// How a run is made.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Where run folders are made.
    pub runs: PathBuf,
    /// The program whose verb `load` is the load generator: tierscope itself.
    pub program: PathBuf,
    /// Command line, for the recording's header.
    pub command_line: Vec<String>,
    /// Shown on the terminal or not.
    pub progress: Progress,
    /// What its requests are compared with: runs and kept baselines; with itself if empty.
    pub baseline: Vec<PathBuf>,
}

/// A finished run.
#[derive(Debug)]
pub struct Outcome {
    /// Where everything is.
    pub folder: Folder,
    /// The two traces to show.
    pub pair: Pair,
    /// How good it is.
    pub score: Score,
    /// How many requests had an injected fault.
    pub faulty: usize,
    /// How the recording closed.
    pub closing: Closing,
    /// What is normal of it, for an experiment that tells that to others.
    pub baseline: Option<PathBuf>,
}

/// Runs an experiment from lab up to score.
///
/// # Errors
/// Whatever kept it from being run; the lab is taken down in any case.
pub fn run(experiment: &Experiment, options: &RunOptions) -> Result<Outcome> {
    // One that cannot be read is told of before the load, not after.
    let normal = Normal::new(&options.baseline, WINDOW)?;
    check_host()?;
    let step = options.progress.step("starting the lab");
    let lab = Lab::up(lab_options(experiment))?;
    step.finish();
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let folder = Folder::create(&options.runs, now, &experiment.name)?;
    let recorded = record(experiment, options, &folder, &lab);
    keep_logs(&lab, &folder)?;
    // What the sources need may end the app's connections, which its log need not tell.
    let recorded = recorded.map(|recorded| recorded.ask(&lab, &folder));
    let versions = versions(&lab);
    lab.down()?;
    let (closing, outside, held) = recorded?;
    let told = serde_json::to_string_pretty(&outside).unwrap_or_default();
    folder.write("outside.json", &(told + "\n"))?;
    let told = Told {
        closing,
        outside,
        held,
        versions,
    };
    finish(experiment, options, folder, told, normal)
}

/// A recording that is closed, and what was asked outside around the load.
struct Recorded {
    closing: Closing,
    before: Before,
    cpus: sources::Said<(CpuTimes, CpuTimes)>,
    /// The windows in which faults held.
    held: Vec<Held>,
}

impl Recorded {
    fn ask(self, lab: &Lab, folder: &Folder) -> (Closing, Outside, Vec<Held>) {
        let outside = self.before.after(lab, self.cpus, &folder.load_log());
        (self.closing, outside, self.held)
    }
}

/// What is known of a run beside its recording.
struct Told {
    closing: Closing,
    outside: Outside,
    held: Vec<Held>,
    versions: BTreeMap<String, String>,
}

/// A host that cannot trace says so before anything is started.
fn check_host() -> Result<()> {
    let nothing = TracerOptions {
        ring_bytes: 4096,
        ..TracerOptions::default()
    };
    Tracer::start(nothing).map_err(RecordError::from)?;
    Ok(())
}

fn lab_options(experiment: &Experiment) -> LabOptions {
    // On disk, and not in the run folder: that is private to its owner, while PostgreSQL refuses root.
    let dir = format!("/var/tmp/tierscope-run-{}", std::process::id());
    let mut options = LabOptions {
        truth: true,
        faults: true,
        owned: true,
        shared_buffers: experiment.lab.shared_buffers.clone(),
        ..LabOptions::new(dir)
    };
    for window in &experiment.window {
        window.inject.prepare(&mut options);
    }
    options
}

fn record(
    experiment: &Experiment,
    options: &RunOptions,
    folder: &Folder,
    lab: &Lab,
) -> Result<Recorded> {
    let windows = plan(&experiment.window, Site { lab })?;
    let before = Before::ask(lab, !experiment.load.read_only);
    let mut load = LoadProcess::start(experiment, &options.program, folder, lab.nginx_addr()?)?;
    let mut services: Vec<Service> = lab
        .processes()
        .iter()
        .map(|p| service(p.role.to_string(), p.pid))
        .collect();
    services.push(service("loadgen".to_owned(), load.pid()));
    let recorder = Recorder::start(RecordOptions {
        services,
        command_line: options.command_line.clone(),
        // The score reads the bound ids from the recording; the seed data are no one's secrets.
        keep: Keep {
            values: true,
            ..Keep::default()
        },
        settings: BTreeMap::from([("run".to_owned(), settings(experiment).to_string())]),
        time_programs: true,
        detail: experiment.detail,
        sample: experiment.sample,
        ..RecordOptions::new(folder.recording())
    });
    // A load generator that is gone is why it could not be traced.
    let recorder = recorder.map_err(|error| load.early_end().unwrap_or(error.into()))?;
    let begun = CpuTimes::read();
    let loaded = load
        .let_go()
        .and_then(|start_ns| hold(windows, start_ns, |alarm| load.wait(alarm)));
    let cpus = begun.and_then(|begun| Ok((begun, CpuTimes::read()?)));
    std::thread::sleep(SETTLE);
    let closing = recorder.finish()?;
    loaded.map(|held| Recorded {
        closing,
        before,
        cpus,
        held,
    })
}

fn service(name: String, pid: u32) -> Service {
    Service {
        name,
        pids: vec![pid],
        binary: None,
    }
}

/// Everything that a second run needs to be the same: the experiment, the lab and the tracer.
fn settings(experiment: &Experiment) -> serde_json::Value {
    let LabOptions {
        truth,
        pool_size,
        app_workers,
        nginx_workers,
        ..
    } = lab_options(experiment);
    serde_json::json!({
        "experiment": experiment,
        "lab": {
            "truth": truth,
            "pool_size": pool_size,
            "app_workers": app_workers,
            "nginx_workers": nginx_workers,
        },
        "ring_bytes": TracerOptions::default().ring_bytes,
    })
}

fn keep_logs(lab: &Lab, folder: &Folder) -> Result<()> {
    let logs = lab.logs();
    for entry in std::fs::read_dir(&logs)
        .map_err(Error::read(&logs))?
        .flatten()
    {
        let to = folder.path("logs").join(entry.file_name());
        let mut from = File::open(entry.path()).map_err(Error::read(entry.path()))?;
        io::copy(&mut from, &mut private_file(&to)?).map_err(Error::write(&to))?;
    }
    Ok(())
}

fn versions(lab: &Lab) -> BTreeMap<String, String> {
    let kernel = nix::sys::utsname::uname().map(|u| u.release().to_string_lossy().into_owned());
    let mut versions: BTreeMap<_, _> = lab
        .processes()
        .iter()
        .map(|p| (p.role.to_string(), p.version.clone()))
        .collect();
    versions.insert("kernel".to_owned(), kernel.unwrap_or_default());
    versions.insert("tierscope".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    versions
}

fn finish(
    experiment: &Experiment,
    options: &RunOptions,
    folder: Folder,
    told: Told,
    normal: Normal,
) -> Result<Outcome> {
    let Told {
        closing,
        outside,
        held,
        versions,
    } = told;
    let mut client: Vec<Record> = read_lines(&folder.client())?;
    if let Some(header) = refused(&client) {
        return Err(Error::FaultRefused {
            header: header.to_owned(),
        });
    }
    let injected = injected(experiment, &client);
    if let Some(sample) = experiment.sample {
        // What the sample leaves out is not asked for. What has no id was not left out.
        client.retain(|record| id_of(record).is_none_or(|id| sample.keeps(id)));
    }
    let scored = reach::requests(&client);
    let reaches = reach::reaches(experiment, &held, &scored);
    let truth = injected.iter().cloned().map(Line::Request);
    folder.write_lines(
        "truth.jsonl",
        truth.chain(held.iter().cloned().map(Line::Window)),
    )?;
    let faulty: HashSet<_> = injected.iter().map(|fault| fault.id).collect();
    let sources = Sources::new(&outside, &folder.path("logs/access.jsonl"));
    let judges = Judges::new(
        &client,
        sources,
        &folder,
        normal,
        experiment.sample.is_some(),
    )?;
    let (pair, mut score, judge) = judges.judge(&folder, &faulty, &options.progress)?;
    let baseline = experiment.baseline.then(|| folder.path("baseline.json"));
    let known = match options.baseline.is_empty() {
        true => HashMap::new(),
        false => scored.iter().map(|r| (r.id, r.endpoint)).collect(),
    };
    let judged = analyze(&folder, judge, baseline.as_deref(), &known)?;
    let start_ns = scored.iter().map(|r| r.from).min().unwrap_or(0);
    let (changes, false_changes) = changed(experiment, &held, start_ns, WINDOW, &judged.changes);
    score.findings = Some(Detection {
        baseline: names(&options.baseline),
        changes,
        false_changes,
        ..detection(&scored, &reaches, &judged.said, &judged.learned)
    });
    score.versions = versions;
    score.settings = settings(experiment);
    score.events_filtered = closing.filtered.clone();
    let text = serde_json::to_string_pretty(&score).unwrap_or_default();
    folder.write("score.json", &(text + "\n"))?;
    let Some(pair) = pair else {
        return Err(Error::NoTraces {
            recording: folder.recording(),
            logs: folder.path("logs"),
        });
    };
    for (name, trace) in [("median", &pair.median), ("slow", &pair.slow)] {
        let picture = render_svg(trace, &SvgOptions::default());
        folder.write(&format!("waterfalls/{name}.svg"), &picture)?;
    }
    Ok(Outcome {
        folder,
        pair,
        score,
        faulty: faulty.len(),
        closing,
        baseline,
    })
}

/// What was said of a run.
struct Judged {
    said: HashMap<RequestId, Said>,
    changes: Vec<Change>,
    learned: Learned,
}

/// Judges a run's traces, and keeps the findings. What is normal of the run goes to `kept`. `known`: what the
/// client calls the endpoints of requests, where another run tells what is normal of them.
fn analyze(
    folder: &Folder,
    mut judge: Judge,
    kept: Option<&Path>,
    known: &HashMap<RequestId, &str>,
) -> Result<Judged> {
    let (mut said, mut learned) = (HashMap::new(), Learned::new());
    let mut tally = Tally::default();
    let mut flagged = HashSet::new();
    each_trace(folder.root(), &mut |trace: Trace| {
        let verdict = judge.judge(&trace);
        if matches!(verdict, Verdict::Flagged(_)) {
            flagged.insert(trace.trace_id);
        }
        if let Some(id) = trace.request_id {
            said.insert(id, Said::from(&verdict));
            let name = known.get(&id).filter(|name| !learned.contains_key(**name));
            let normal = name.and_then(|name| Some((name, judge.duration(&trace.endpoint)?)));
            learned.extend(normal.map(|(name, usual)| (name.to_string(), (usual.p50, usual.p99))));
        }
        tally.add(&trace.endpoint, verdict);
    })?;
    let findings = judge.conclude(tally);
    if let Some(path) = kept {
        write_json(path, &normal_of(folder.root(), &mut judge, &flagged)?)?;
    }
    for flagged in &findings.together {
        said.extend(flagged.request_id.map(|id| (id, Said::together(flagged))));
    }
    write_json(&folder.path("findings.json"), &findings)?;
    Ok(Judged {
        said,
        changes: findings.changes,
        learned,
    })
}

fn names(sources: &[PathBuf]) -> String {
    let names: Vec<_> = sources.iter().map(|p| p.display().to_string()).collect();
    match names.as_slice() {
        [] => "itself".to_owned(),
        names => names.join(", "),
    }
}

/// Who looks at a recording's events and traces, and where the traces go.
struct Judges<'a> {
    scorer: Scorer<'a>,
    sources: Sources<'a>,
    log: TraceLog,
    apart: TraceLog,
    normal: Normal,
    sampled: bool,
}

impl<'a> Judges<'a> {
    fn new(
        client: &'a [Record],
        sources: Sources<'a>,
        folder: &Folder,
        normal: Normal,
        sampled: bool,
    ) -> Result<Judges<'a>> {
        Ok(Judges {
            scorer: Scorer::new(client),
            sources,
            log: TraceLog::create(folder.path(TRACES))?,
            apart: TraceLog::create(folder.path("apart.jsonl"))?,
            normal,
            sampled,
        })
    }

    fn judge(
        mut self,
        folder: &Folder,
        faulty: &HashSet<RequestId>,
        progress: &Progress,
    ) -> Result<(Option<Pair>, Score, Judge)> {
        let ending = assemble(&folder.recording(), Options::default(), progress, &mut self)?;
        self.apart.finish(faulty)?;
        let mut score = self.scorer.finish(&ending.counts);
        score.checks = checks(&score);
        let mut of_sources = self.sources.finish(&score);
        if self.sampled {
            of_sources
                .iter_mut()
                .for_each(|check| check.show_only("a sample of the requests was recorded"));
        }
        score.checks.extend(of_sources);
        Ok((self.log.finish(faulty)?, score, self.normal.judge()))
    }
}

impl Sink for Judges<'_> {
    fn event(&mut self, event: &Event) {
        self.sources.event(event);
    }

    fn made(&mut self, made: Assembled, truth: &Truth) -> Result<()> {
        match made {
            Assembled::Request(trace) => {
                self.sources.trace(&trace);
                self.scorer.trace(&trace, truth);
                self.normal.note(&trace);
                self.log.add(&trace)
            }
            Assembled::Apart(trace) => {
                self.sources.trace(&trace);
                // Upkeep is counted; one ping per request would double the folder.
                if trace.incomplete.is_empty() {
                    return Ok(());
                }
                self.scorer.trace(&trace, truth);
                self.apart.add(&trace)
            }
        }
    }
}

/// The waterfalls that a run wrote.
pub fn waterfalls(folder: &Folder) -> [PathBuf; 2] {
    ["median", "slow"].map(|name| folder.path(&format!("waterfalls/{name}.svg")))
}
