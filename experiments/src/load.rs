//! The load generator as a process of its own, so that it is traced like the others.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::error::{Error, Result};
use crate::folder::{Folder, private_file};
use crate::spec::{Experiment, Rate};

/// `tierscope load`, which waits to be let go before it connects. Dropped, it is killed; it also
/// ends when its starter dies (`--hold`).
pub(crate) struct LoadProcess {
    child: Child,
    log: PathBuf,
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
        let load = &experiment.load;
        let child = Command::new(program)
            .args(["load", "--hold", "--json"])
            .args(["--target", &target.to_string()])
            .args(pace(load.rate))
            .args(load.read_only.then_some("--read-only"))
            .args(["--duration", &load.duration_s.to_string()])
            .args(["--connections", &load.connections.to_string()])
            .args(["--seed", &load.seed.to_string()])
            .args(faults(experiment))
            .arg("--records")
            .arg(folder.client())
            .stdin(Stdio::piped())
            .stdout(summary)
            .spawn();
        match child {
            Ok(child) => Ok(LoadProcess { child, log }),
            Err(source) => Err(Error::Load {
                what: format!("could not be started: {source}"),
                log,
            }),
        }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Lets it go and waits until all is sent and answered.
    pub(crate) fn run(mut self) -> Result<()> {
        let go = self
            .child
            .stdin
            .take()
            .map_or(Ok(()), |mut stdin| stdin.write_all(b"go\n"));
        let status = self.child.wait();
        match (go, status) {
            (Ok(()), Ok(status)) if status.success() => Ok(()),
            (_, Ok(status)) => Err(self.ended(status)),
            (_, Err(error)) => Err(Error::Load {
                what: format!("was lost: {error}"),
                log: self.log.clone(),
            }),
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
