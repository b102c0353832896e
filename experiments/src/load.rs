//! The load generator as a process of its own, so that it is traced like the others.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::folder::{Folder, private_file};
use crate::inject::Alarm;
use crate::spec::{Experiment, Load, Rate};

/// How the line begins in which a held load says when its first request is due (CLOCK_MONOTONIC, ns).
pub const BEGINS: &str = "begins ";
/// How often it is looked whether it has ended.
const LOOK: Duration = Duration::from_millis(20);

/// `tierscope load`, which waits to be let go before it connects. Dropped, it is killed; it also
/// ends when its starter dies (`--hold`).
pub(crate) struct LoadProcess {
    child: Child,
    log: PathBuf,
    begins: Receiver<u64>,
    /// Ends with the process.
    copy: Option<JoinHandle<io::Result<()>>>,
}

impl LoadProcess {
    /// Starts it; what it says of its run goes to `logs/load.json`.
    pub(crate) fn start(
        experiment: &Experiment,
        program: &Path,
        folder: &Folder,
        target: SocketAddr,
    ) -> Result<LoadProcess> {
        let log = folder.load_log();
        let summary = private_file(&log)?;
        let failed = |source| Error::Load {
            what: format!("could not be started: {source}"),
            log: log.clone(),
        };
        let mut child = command(experiment, program, target)
            .arg("--records")
            .arg(folder.client())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let (sender, begins) = channel();
        let copy = child
            .stdout
            .take()
            .map(|said| thread::spawn(move || copy(said, &sender, summary)));
        Ok(LoadProcess {
            child,
            log,
            begins,
            copy,
        })
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Lets it go and returns when its first request is due (CLOCK_MONOTONIC, ns).
    pub(crate) fn let_go(&mut self) -> Result<u64> {
        let go = self.child.stdin.take();
        let told = go.map_or(Ok(()), |mut stdin| stdin.write_all(b"go\n"));
        // The line comes, or the process ends and with it the channel.
        match told.map(|()| self.begins.recv()) {
            Ok(Ok(begins)) => Ok(begins),
            _ => Err(self
                .wait(&Alarm::default())
                .err()
                .unwrap_or_else(|| Error::Load {
                    what: "did not say when it began".to_owned(),
                    log: self.log.clone(),
                })),
        }
    }

    /// Waits until all is sent and answered; an alarm ends it.
    pub(crate) fn wait(&mut self, alarm: &Alarm) -> Result<()> {
        let lost = |what: String, log: &Path| Error::Load {
            what,
            log: log.to_path_buf(),
        };
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if alarm.is_rung() => {
                    let _ = self.child.kill();
                    return Err(lost("was stopped".to_owned(), &self.log));
                }
                Ok(None) => thread::sleep(LOOK),
                Err(error) => return Err(lost(format!("was lost: {error}"), &self.log)),
            }
        };
        let copied = self.copy.take().map(JoinHandle::join);
        match copied {
            _ if !status.success() => Err(self.ended(status)),
            Some(Ok(Err(error))) => Err(Error::write(&self.log)(error)),
            _ => Ok(()),
        }
    }

    /// The error where it has ended before it was let go.
    pub(crate) fn early_end(&mut self) -> Option<Error> {
        let status = self.child.try_wait().ok()??;
        Some(self.ended(status))
    }

    fn ended(&self, status: ExitStatus) -> Error {
        Error::Load {
            what: format!("ended with {status}"),
            log: self.log.clone(),
        }
    }
}

impl Drop for LoadProcess {
    fn drop(&mut self) {
        // It may have ended by itself: both then fail, rightly.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(experiment: &Experiment, program: &Path, target: SocketAddr) -> Command {
    let load = &experiment.load;
    let mut command = Command::new(program);
    command
        .args(["load", "--hold", "--json"])
        .args(["--target", &target.to_string()])
        .args(pace(load.rate))
        .args(load.read_only.then_some("--read-only"))
        .args(["--duration", &load.duration_s.to_string()])
        .args(["--connections", &load.connections.to_string()])
        .args(receive_buffer(load))
        .args(["--seed", &load.seed.to_string()])
        .args(faults(experiment));
    if let Some(mix) = &load.mix {
        command.arg("--mix").arg(mix);
    }
    for step in &load.steps {
        command.args(["--step", &format!("{}:{}", step.at_s, step.rate)]);
    }
    command
}

/// Takes out the line that says when it begins; the rest is its summary.
fn copy(said: impl Read, begins: &Sender<u64>, mut summary: File) -> io::Result<()> {
    let mut said = BufReader::new(said);
    let mut line = String::new();
    said.read_line(&mut line)?;
    match line.strip_prefix(BEGINS).map(|at| at.trim_end().parse()) {
        // Nobody may wait for it any more.
        Some(Ok(at)) => drop(begins.send(at)),
        _ => summary.write_all(line.as_bytes())?,
    }
    io::copy(&mut said, &mut summary).map(drop)
}

fn receive_buffer(load: &Load) -> impl Iterator<Item = String> {
    let bytes = load.receive_buffer.into_iter();
    bytes.flat_map(|bytes| ["--receive-buffer".to_owned(), bytes.to_string()])
}

fn pace(rate: Rate) -> Vec<String> {
    match rate {
        Rate::Open(rate) => vec!["--rate".to_owned(), rate.to_string()],
        Rate::Closed(_) => vec!["--closed".to_owned()],
    }
}

fn faults(experiment: &Experiment) -> impl Iterator<Item = String> {
    experiment.fault.iter().flat_map(|f| {
        let fault = format!("{}:{}:{}", f.endpoint, f.share, f.header);
        ["--fault".to_owned(), fault]
    })
}
