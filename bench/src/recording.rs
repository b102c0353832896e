//! `tierscope record` beside a load, and what it cost.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use serde::Deserialize;
use tempfile::TempDir;

use crate::{
    cpu::Snapshot,
    sample::TracerCost,
    tools::{Running, beside},
};

/// How long attaching may take.
const LIMIT: Duration = Duration::from_secs(20);

/// A recording under way.
pub struct Recording {
    process: Running,
    before: Snapshot,
    /// Removed with the recording in it.
    _dir: TempDir,
}

/// How `tierscope record --json` closes.
#[derive(Deserialize)]
struct Closing {
    records: BTreeMap<String, u64>,
    lost: BTreeMap<String, u64>,
    filtered: BTreeMap<String, u64>,
    bytes: u64,
}

impl Recording {
    /// Records the lab in `lab`; everything is attached when this returns.
    pub fn of_lab(lab: &Path, options: &[&str]) -> anyhow::Result<Self> {
        let mut command = Command::new(beside("tierscope")?);
        command.args(["record", "--json"]).args(options);
        command.arg("--lab").arg(lab);
        Self::start(command)
    }

    /// Records one process.
    pub fn of_process(pid: u32) -> anyhow::Result<Self> {
        let mut command = Command::new(beside("tierscope")?);
        command.args(["record", "--json"]);
        command.args(["--process", &format!("bench={pid}")]);
        Self::start(command)
    }

    fn start(mut command: Command) -> anyhow::Result<Self> {
        // On disk, as a user's recording is.
        let dir = TempDir::with_prefix_in("tierscope-bench-", "/var/tmp")
            .context("cannot make a directory for recordings")?;
        let file = dir.path().join("bench.tsrec");
        // What it does not measure it says every time: that is shown where it fails.
        let said = dir.path().join("said");
        command.stderr(File::create(&said).context("cannot write beside the recording")?);
        let mut process = Running::start(command.arg("--out").arg(&file))?;
        wait_for(&mut process, &file)
            .with_context(|| fs::read_to_string(&said).unwrap_or_default())?;
        Ok(Self {
            before: Snapshot::of(&[process.pid()]),
            process,
            _dir: dir,
        })
    }

    /// Ends it. Its CPU time counts from when everything was attached.
    pub fn finish(self) -> anyhow::Result<TracerCost> {
        let pid = self.process.pid();
        let cpu_ns = Snapshot::of(&[pid]).since(&self.before);
        let peak_rss_bytes = peak_rss(pid)?;
        self.process.interrupt()?;
        let closing: Closing = serde_json::from_slice(&self.process.end()?)
            .context("`tierscope record --json` said something else")?;
        Ok(TracerCost {
            cpu_ns,
            peak_rss_bytes,
            bytes: closing.bytes,
            records: closing.records,
            lost: closing.lost,
            filtered: closing.filtered,
        })
    }
}

/// The file is made once everything is attached.
fn wait_for(process: &mut Running, file: &Path) -> anyhow::Result<()> {
    let begun = Instant::now();
    while !file.exists() {
        if let Some(status) = process.child().try_wait()? {
            bail!("`tierscope record` ended with {status}");
        }
        if begun.elapsed() > LIMIT {
            bail!("`tierscope record` is not ready after {LIMIT:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Largest resident size of a process so far (bytes).
pub fn peak_rss(pid: u32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))
        .context("the tracer has ended by itself")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|rest| rest.split_ascii_whitespace().next()?.parse::<u64>().ok());
    Ok(kib.context("/proc tells no VmHWM")? * 1024)
}
