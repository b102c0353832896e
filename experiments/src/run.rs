//! Runs one experiment: lab up, load with faults, record, assemble, score.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use tierscope_assembler::Options;
use tierscope_loadgen::Record;
use tierscope_report::{SvgOptions, render_svg};
use tierscope_stack::{Lab, LabOptions};
use tierscope_tracer::recorder::{Closing, RecordOptions, Recorder};
use tierscope_tracer::{Keep, Service};

use crate::assembly::Assembly;
use crate::choose::choose;
use crate::error::{Error, Result};
use crate::folder::{Folder, read_lines};
use crate::progress::Progress;
use crate::score::{Evidence, Score};
use crate::spec::Experiment;
use crate::truth::injected;

/// After the load's last answer, what is still on its way to the ring buffer comes in.
const SETTLE: Duration = Duration::from_millis(300);

/// How a run is made.
#[derive(Debug)]
pub struct RunOptions {
    /// Where run folders are made.
    pub runs: PathBuf,
    /// The program whose verb `load` is the load generator: tierscope itself.
    pub program: PathBuf,
    /// Command line, for the recording's header.
    pub command_line: Vec<String>,
    /// Shown on the terminal or not.
    pub progress: Progress,
}

/// A finished run.
#[derive(Debug)]
pub struct Outcome {
    /// Where everything is.
    pub folder: Folder,
    /// What was recorded and assembled.
    pub assembly: Assembly,
    /// How good it is.
    pub score: Score,
    /// Requests with an injected fault.
    pub faulty: HashSet<tierscope_model::RequestId>,
    /// How the recording closed.
    pub closing: Closing,
}

/// Runs an experiment from lab up to score.
///
/// # Errors
/// Whatever kept it from being run; the lab is taken down in any case.
pub fn run(experiment: &Experiment, options: &RunOptions) -> Result<Outcome> {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let folder = Folder::create(&options.runs, now, &experiment.name)?;
    let step = options.progress.step("starting the lab");
    let lab = Lab::up(lab_options())?;
    step.finish();
    let recorded = record(experiment, options, &folder, &lab);
    keep_logs(&lab, &folder)?;
    let versions = versions(&lab);
    lab.down()?;
    let closing = recorded?;
    finish(experiment, options, folder, closing, versions)
}

fn lab_options() -> LabOptions {
    // On disk, and not in the run folder: that is private to its owner, while PostgreSQL refuses root.
    let dir = format!("/var/tmp/tierscope-run-{}", std::process::id());
    LabOptions {
        truth: true,
        faults: true,
        owned: true,
        ..LabOptions::new(dir)
    }
}

fn record(
    experiment: &Experiment,
    options: &RunOptions,
    folder: &Folder,
    lab: &Lab,
) -> Result<Closing> {
    let mut load = start_load(experiment, options, folder, lab)?;
    let mut services: Vec<Service> = lab
        .processes()
        .iter()
        .map(|p| Service {
            name: p.role.to_string(),
            pids: vec![p.pid],
            binary: None,
        })
        .collect();
    services.push(Service {
        name: "loadgen".to_owned(),
        pids: vec![load.id()],
        binary: None,
    });
    let recorder = Recorder::start(RecordOptions {
        services,
        command_line: options.command_line.clone(),
        // The score reads the bound ids from the recording; the seed data are no one's secrets.
        keep: Keep {
            values: true,
            ..Keep::default()
        },
        settings: settings(experiment),
        ..RecordOptions::new(folder.recording())
    });
    let recorder = match recorder {
        Ok(recorder) => recorder,
        Err(error) => {
            end(&mut load);
            return Err(error.into());
        }
    };
    let loaded = let_go(&mut load, folder);
    std::thread::sleep(SETTLE);
    let closing = recorder.finish()?;
    loaded.map(|()| closing)
}

fn settings(experiment: &Experiment) -> BTreeMap<String, String> {
    let Experiment {
        name, load, fault, ..
    } = experiment;
    let faults: Vec<_> = fault
        .iter()
        .map(|f| format!("{} in {} of {}", f.header, f.share, f.endpoint))
        .collect();
    BTreeMap::from([
        ("experiment".to_owned(), name.clone()),
        ("rate".to_owned(), load.rate.to_string()),
        ("duration_s".to_owned(), load.duration_s.to_string()),
        ("connections".to_owned(), load.connections.to_string()),
        ("seed".to_owned(), load.seed.to_string()),
        ("faults".to_owned(), faults.join(", ")),
    ])
}

/// Starts the load generator, which waits to be traced before it connects.
fn start_load(
    experiment: &Experiment,
    options: &RunOptions,
    folder: &Folder,
    lab: &Lab,
) -> Result<Child> {
    let log = folder.path("logs/load.json");
    let summary = File::create(&log).map_err(Error::write(&log))?;
    let load = &experiment.load;
    let mut command = Command::new(&options.program);
    command.args(["load", "--hold", "--json"]);
    command.arg("--target").arg(lab.nginx_addr()?.to_string());
    command.arg("--rate").arg(load.rate.to_string());
    command.arg("--duration").arg(load.duration_s.to_string());
    command
        .arg("--connections")
        .arg(load.connections.to_string());
    command.arg("--seed").arg(load.seed.to_string());
    command.arg("--records").arg(folder.client());
    for fault in &experiment.fault {
        command.arg("--fault").arg(format!(
            "{}:{}:{}",
            fault.endpoint, fault.share, fault.header
        ));
    }
    command.stdin(Stdio::piped()).stdout(summary);
    command.spawn().map_err(|source| Error::Load {
        what: format!("could not be started: {source}"),
        log,
    })
}

fn let_go(load: &mut Child, folder: &Folder) -> Result<()> {
    let log = folder.path("logs/load.json");
    let failed = |what: String| Error::Load {
        what,
        log: log.clone(),
    };
    let go = load.stdin.take().map(|mut stdin| stdin.write_all(b"go\n"));
    if let Some(Err(error)) = go {
        end(load);
        return Err(failed(format!("ended before it began: {error}")));
    }
    let status = load
        .wait()
        .map_err(|error| failed(format!("was lost: {error}")))?;
    if status.success() {
        Ok(())
    } else {
        Err(failed(format!("ended with {status}")))
    }
}

fn end(child: &mut Child) {
    // It may have ended by itself: both then fail, rightly.
    let _ = child.kill();
    let _ = child.wait();
}

fn keep_logs(lab: &Lab, folder: &Folder) -> Result<()> {
    let logs = lab.logs();
    for entry in std::fs::read_dir(&logs)
        .map_err(Error::read(&logs))?
        .flatten()
    {
        let to = folder.path("logs").join(entry.file_name());
        std::fs::copy(entry.path(), &to).map_err(Error::write(&to))?;
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
    closing: Closing,
    versions: BTreeMap<String, String>,
) -> Result<Outcome> {
    let assembly = Assembly::read(&folder.recording(), Options::default(), &options.progress)?;
    let client: Vec<Record> = read_lines(&folder.client())?;
    let injected = injected(experiment, &client);
    let faulty: HashSet<_> = injected.iter().map(|fault| fault.id).collect();
    let mut score = Score::of(&Evidence {
        client: &client,
        traces: &assembly.traces,
        apart: &assembly.apart,
        truth: &assembly.truth,
        counts: &assembly.counts,
    });
    score.versions = versions;
    score.settings = serde_json::to_value(experiment).unwrap_or_default();
    score.events_filtered = closing.filtered.clone();
    write_all(&folder, &assembly, &injected, &score)?;
    write_waterfalls(&folder, &assembly, &faulty)?;
    if assembly.traces.is_empty() {
        return Err(Error::NoTraces {
            recording: folder.recording(),
            logs: folder.path("logs"),
        });
    }
    Ok(Outcome {
        folder,
        assembly,
        score,
        faulty,
        closing,
    })
}

fn write_all(
    folder: &Folder,
    assembly: &Assembly,
    truth: &[crate::truth::Injected],
    score: &Score,
) -> Result<()> {
    folder.write_lines("traces.jsonl", &assembly.traces)?;
    folder.write_lines(
        "apart.jsonl",
        assembly.apart.iter().filter(|t| !t.incomplete.is_empty()),
    )?;
    folder.write_lines("truth.jsonl", truth)?;
    let text = serde_json::to_string_pretty(score).unwrap_or_default();
    folder.write("score.json", &(text + "\n"))?;
    Ok(())
}

fn write_waterfalls(
    folder: &Folder,
    assembly: &Assembly,
    faulty: &HashSet<tierscope_model::RequestId>,
) -> Result<()> {
    let Some(pair) = choose(&assembly.traces, faulty) else {
        return Ok(());
    };
    for (name, trace) in [("typical", pair.typical), ("slow", pair.slow)] {
        folder.write(
            &format!("waterfalls/{name}.svg"),
            &render_svg(trace, &SvgOptions::default()),
        )?;
    }
    Ok(())
}

/// The waterfalls that a run wrote.
pub fn waterfalls(folder: &Folder) -> Vec<PathBuf> {
    let in_folder = |name: &str| folder.path(&format!("waterfalls/{name}.svg"));
    ["typical", "slow"]
        .map(in_folder)
        .into_iter()
        .filter(|path: &PathBuf| Path::exists(path))
        .collect()
}
