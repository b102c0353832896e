//! A container's main process, as its engine tells it.

use std::fs;
use std::process::Command;

use anyhow::{Context, bail, ensure};

/// What the engine is asked for: the container's own id, and its main process as the engine's host counts it.
const QUESTION: &str = "{{.Id}} {{.State.Pid}}";

/// The main process of a running container, named as `docker` names it.
///
/// # Errors
///
/// No `docker`, no such container, it does not run, or it runs out of this process's sight: on another host, or
/// where this process has a pid namespace of its own.
pub fn main_pid(container: &str) -> anyhow::Result<u32> {
    let output = Command::new("docker")
        .args(["inspect", "--type", "container", "--format", QUESTION, "--"])
        .arg(container)
        .output()
        .context("cannot run docker: install it, or give the container's process with --process")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "container {container}: {}",
        said.trim()
    );
    let answer = String::from_utf8_lossy(&output.stdout);
    let Some((id, pid)) = answer.trim().split_once(' ') else {
        bail!("container {container}: docker said {answer:?}");
    };
    let pid = pid.parse().unwrap_or(0);
    ensure!(
        pid != 0,
        "container {container} does not run: start it first"
    );
    // The cgroup bears the id on every engine, so a process of another host's is not taken for it.
    let cgroups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    ensure!(
        cgroups.contains(id),
        "container {container}: its process {pid} is not seen from here: record on the engine's own host, in the \
         first pid namespace"
    );
    Ok(pid)
}
