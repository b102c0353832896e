//! The service as a process of its own.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

use super::{
    http::{Response, exchange},
    package_file,
    postgres::Postgres,
};

/// The binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_tierscope-lab-app");

/// A running service and what it stands on.
pub struct Service {
    process: Child,
    directory: TempDir,
    pub postgres: Arc<Postgres>,
    pub address: String,
}

impl Service {
    /// Starts the service with more arguments and waits for its ready line; `None` where
    /// PostgreSQL is not installed.
    pub fn start(arguments: &[&str]) -> Option<Self> {
        let postgres = Postgres::shared()?;
        let directory = TempDir::new().expect("temporary directory");
        let mut process = Command::new(BINARY)
            .args(["--listen", "127.0.0.1:0", "--pool-size", "4"])
            .args(["--database-url", &postgres.url()])
            .arg("--template")
            .arg(package_file("templates/report.html"))
            .arg("--audit-log")
            .arg(directory.path().join("audit.log"))
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("start the service");
        let stdout = process.stdout.take().expect("piped");
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let address = line
            .trim()
            .strip_prefix("ready ")
            .expect("ready")
            .to_owned();
        Some(Self {
            process,
            directory,
            postgres,
            address,
        })
    }

    /// The answer to `GET target` with more header lines.
    pub fn get(&self, target: &str, headers: &[&str]) -> Response {
        exchange(&self.address, "GET", target, headers, "")
    }

    /// The answer to a `POST` of a JSON body.
    pub fn post(&self, target: &str, headers: &[&str], body: &str) -> Response {
        let headers = [headers, &["Content-Type: application/json"]].concat();
        exchange(&self.address, "POST", target, &headers, body)
    }

    /// The lines of the audit log.
    pub fn audit_log(&self) -> Vec<String> {
        let text = fs::read_to_string(self.directory.path().join("audit.log"));
        text.unwrap_or_default()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.process.id()).expect("a pid");
        kill(Pid::from_raw(pid), signal).expect("kill");
    }

    /// Waits for the end.
    pub fn wait(mut self) -> ExitStatus {
        self.process.wait().expect("wait")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Fails when it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
