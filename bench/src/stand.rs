//! What stays up during the whole measurement: the lab, a second one beside it, a third one whose app has
//! OpenTelemetry's spans, and the collector that these go to.

use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
};

use anyhow::{Context as _, ensure};
use tempfile::TempDir;
use tierscope_stack::{Lab, LabOptions};

use crate::tools::{Running, beside, this};

/// All of it; taken down when this process ends, however that is.
pub struct Stand {
    /// The lab as it is.
    pub plain: Lab,
    /// Another such lab, which is not measured.
    pub beside: Lab,
    /// The lab with the other app.
    pub otel: Lab,
    sink: Running,
    /// Removed when they are down.
    _dir: TempDir,
}

impl Stand {
    /// Starts it.
    pub fn up() -> anyhow::Result<Self> {
        let dir = directory()?;
        let sink = collector()?;
        let mut other = options(&dir, "otel");
        other.app = Some(beside("tierscope-lab-otel")?);
        Ok(Self {
            plain: Lab::up(options(&dir, "plain"))?,
            beside: Lab::up(options(&dir, "beside"))?,
            otel: Lab::up(other)?,
            sink,
            _dir: dir,
        })
    }

    /// The collector's process.
    pub fn sink(&self) -> u32 {
        self.sink.pid()
    }

    /// Takes it down. A collector that was sent nothing would have made a peer look cheap.
    pub fn down(mut self) -> anyhow::Result<()> {
        self.otel.down()?;
        self.beside.down()?;
        self.plain.down()?;
        drop(self.sink.child().stdin.take());
        let said = String::from_utf8(self.sink.end()?)?;
        let bytes: u64 = said
            .trim()
            .parse()
            .context("the collector said something else")?;
        ensure!(
            bytes > 0,
            "no span came to the collector: the peer was not measured"
        );
        Ok(())
    }
}

/// PostgreSQL's user must get into it.
fn directory() -> anyhow::Result<TempDir> {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = TempDir::with_prefix_in("tierscope-bench-", "/var/tmp")
        .context("cannot make a directory for the labs")?;
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o711))?;
    Ok(dir)
}

fn options(dir: &TempDir, name: &str) -> LabOptions {
    LabOptions {
        owned: true,
        ..LabOptions::new(dir.path().join(name))
    }
}

fn collector() -> anyhow::Result<Running> {
    let mut command = this("sink")?;
    command.stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut sink = Running::start(&mut command)?;
    let said = sink.child().stderr.take().context("no pipe")?;
    let mut first = String::new();
    BufReader::new(said).read_line(&mut first)?;
    ensure!(first == "ready\n", "the collector did not start: {first}");
    Ok(sink)
}
