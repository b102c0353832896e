//! Namespaces like a container's, without an engine: network, mounts, pids. They go with their processes, which
//! go with the test's.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use crate::support::{TIERSCOPE, end, wait_for};

const SCRIPT: &str = include_str!("room.sh");

/// A network namespace of its own that all rooms are connected to, by a bridge.
pub struct Switch(Child);

impl Switch {
    /// Makes it, or says why that cannot be.
    pub fn start() -> Result<Self, String> {
        let mut command = unshared(&["--net"]);
        command.args(["sh", "-c", "echo built; read -r _"]);
        let (child, _) = first_line(&mut command)?;
        let switch = Self(child);
        switch.ip("link add bridge type bridge")?;
        switch.ip("link set bridge up")?;
        Ok(switch)
    }

    /// Runs ip(8) in the switch's namespace.
    fn ip(&self, command: &str) -> Result<(), String> {
        ip(self.0.id(), command)
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        end_process(&mut self.0);
    }
}

/// The namespaces of one tier.
pub struct Room {
    /// That which made the namespaces and stays outside of them.
    keeper: Child,
    /// Its first process, as the host counts it.
    pub pid: u32,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Room {
    /// Makes it with `command` waiting in it, connects it, and lets the command go.
    pub fn start(
        switch: &Switch,
        address: &str,
        user: &str,
        command: &[&str],
    ) -> Result<Self, String> {
        let mut keeper = unshared(&[
            "--net",
            "--mount",
            "--pid",
            "--ipc",
            "--uts",
            "--fork",
            "--kill-child",
        ]);
        keeper
            .args(["sh", "-c", SCRIPT, "room", user])
            .args(command)
            .env(
                "REPOSITORY",
                Path::new(env!("CARGO_MANIFEST_DIR")).join(".."),
            )
            .env(
                "PROGRAMS",
                Path::new(TIERSCOPE).parent().expect("a directory"),
            );
        let (mut keeper, output) = first_line(&mut keeper)?;
        let children = format!("/proc/{0}/task/{0}/children", keeper.id());
        let children = fs::read_to_string(children).map_err(|e| e.to_string())?;
        let mut room = Self {
            pid: children.trim().parse().map_err(|_| "no first process")?,
            input: keeper.stdin.take().expect("piped"),
            output,
            keeper,
        };
        room.connect(switch, address)?;
        room.go();
        Ok(room)
    }

    fn connect(&self, switch: &Switch, address: &str) -> Result<(), String> {
        let pid = self.pid;
        switch.ip(&format!(
            "link add to{pid} type veth peer name eth0 netns {pid}"
        ))?;
        switch.ip(&format!("link set to{pid} master bridge up"))?;
        ip(pid, &format!("address add {address}/24 dev eth0"))?;
        ip(pid, "link set eth0 up")?;
        ip(pid, "link set lo up")
    }

    /// Writes a line to the processes in it.
    pub fn go(&mut self) {
        self.input.write_all(b"go\n").expect("written");
    }

    /// Waits until it says something.
    #[track_caller]
    pub fn says(&mut self, what: &str) {
        let mut said = String::new();
        while self.output.read_line(&mut said).expect("UTF-8") > 0 {
            if said.contains(what) {
                return;
            }
        }
        panic!("no {what:?} in {said}");
    }

    /// Waits until what listens on port 8080 in it is healthy.
    #[track_caller]
    pub fn is_healthy(&self) {
        let healthy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lab/containers/healthy");
        wait_for("a healthy server", || {
            let mut command = Command::new("nsenter");
            command.args(["-t", &self.pid.to_string(), "-n"]);
            end(command.arg(&healthy).arg("8080")).code == Some(0)
        });
    }

    /// A file in it, as the host reaches it.
    pub fn file(&self, path: &str) -> String {
        format!("/proc/{}/root{path}", self.pid)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        end_process(&mut self.keeper);
    }
}

/// A command in new namespaces, which ends with this thread; its input and output are pipes.
fn unshared(namespaces: &[&str]) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "unshare"])
        .args(namespaces)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Starts it and waits until it says that it is built; else what it said instead.
fn first_line(command: &mut Command) -> Result<(Child, BufReader<ChildStdout>), String> {
    let mut child = command.spawn().map_err(|e| e.to_string())?;
    let mut output = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    output.read_line(&mut line).map_err(|e| e.to_string())?;
    if line == "built\n" {
        return Ok((child, output));
    }
    let ended = child.wait_with_output().map_err(|e| e.to_string())?;
    Err(String::from_utf8_lossy(&ended.stderr).trim().to_owned())
}

fn end_process(child: &mut Child) {
    // It may have ended by itself: both then fail, rightly.
    let _ = child.kill();
    let _ = child.wait();
}

/// Runs ip(8) in the network namespace of a process.
fn ip(pid: u32, command: &str) -> Result<(), String> {
    let mut enter = Command::new("nsenter");
    enter.args(["-t", &pid.to_string(), "-n", "ip"]);
    let output = enter.args(command.split(' ')).output();
    let output = output.map_err(|e| e.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr);
    let failed = || format!("ip {command}: {}", said.trim());
    output.status.success().then_some(()).ok_or_else(failed)
}
