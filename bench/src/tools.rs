//! The programs that are run, all beside this one, and how they are ended.

use std::{
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
};

use anyhow::{Context as _, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// A program in this one's directory.
pub fn beside(name: &str) -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe().context("cannot tell where this program is")?;
    let path = this.with_file_name(name);
    ensure!(
        path.is_file(),
        "{} is missing: build all of it (`make bench-overhead` does)",
        path.display()
    );
    Ok(path)
}

/// This program with other arguments.
pub fn this(part: &str) -> anyhow::Result<Command> {
    let this = std::env::current_exe().context("cannot tell where this program is")?;
    let mut command = Command::new(this);
    command.arg(part);
    Ok(command)
}

/// A child that is killed where it is forgotten.
pub struct Running(Option<Child>);

impl Running {
    /// Starts it with its output piped.
    pub fn start(command: &mut Command) -> anyhow::Result<Self> {
        let child = command
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        Ok(Self(Some(child)))
    }

    /// The child.
    pub fn child(&mut self) -> &mut Child {
        self.0.as_mut().expect("there until it is ended")
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.0.as_ref().map_or(0, Child::id)
    }

    /// Asks it to end.
    pub fn interrupt(&self) -> anyhow::Result<()> {
        kill(Pid::from_raw(self.pid() as i32), Signal::SIGINT).context("cannot signal a child")
    }

    /// Waits for its end and returns what it printed.
    pub fn end(mut self) -> anyhow::Result<Vec<u8>> {
        let Some(child) = self.0.take() else {
            return Ok(Vec::new());
        };
        let Output { status, stdout, .. } = child.wait_with_output()?;
        ensure!(
            status.success(),
            "a part of the benchmark ended with {status}"
        );
        Ok(stdout)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            // It may have ended by itself: both then fail, rightly.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
