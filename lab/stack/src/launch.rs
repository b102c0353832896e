//! Starts a process as a daemon and waits until it is ready.

use std::{
    fs::OpenOptions,
    io,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use crate::{
    account::Account,
    error::{Error, Result},
    process::Role,
};

const PAUSE: Duration = Duration::from_millis(10);
/// Lines of a log or of a helper's output that an error shows.
const TAIL: usize = 10;

/// Starts `command` in a process group of its own, so that a Ctrl-C does not reach it, with its
/// output in `log` and in directory `dir`, by which the take-down script knows it.
pub fn daemon(account: &Account, mut command: Command, dir: &Path, log: &Path) -> Result<Child> {
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(log)
        .map_err(Error::io("open", log))?;
    // nginx opens its log once more by name.
    account.give(log)?;
    let again = file.try_clone().map_err(Error::io("open", log))?;
    command
        .current_dir(dir)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(again)
        .spawn()
        .map_err(Error::io("start", command.get_program()))
}

/// Calls `ready` until it gives something, the process ends or `limit` is over.
pub fn wait_ready<T>(
    role: Role,
    child: &mut Child,
    log: &Path,
    limit: Duration,
    mut ready: impl FnMut() -> Option<T>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            let log = tail(log);
            return Err(Error::Ended { role, status, log });
        }
        if let Some(it) = ready() {
            return Ok(it);
        }
        if start.elapsed() > limit {
            let log = tail(log);
            return Err(Error::NotReady { role, limit, log });
        }
        sleep(PAUSE);
    }
}

/// Runs a helper to its end.
///
/// # Errors
/// [`Error::Command`] with what it said, when it fails.
pub fn run(mut command: Command) -> Result<()> {
    let output = command.output();
    conclude(&command, output).map(drop)
}

/// Turns the end of a helper into what it said, or into an error.
pub fn conclude(command: &Command, output: io::Result<std::process::Output>) -> Result<String> {
    let failed = |output: String| Error::Command {
        command: format!("{command:?}"),
        output,
    };
    let output = output.map_err(|e| failed(e.to_string()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(failed(last_lines(&output.stderr)))
}

fn tail(log: &Path) -> String {
    last_lines(&std::fs::read(log).unwrap_or_default())
}

fn last_lines(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}
