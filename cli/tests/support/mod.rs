//! Runs tierscope as a user does, against real labs.

#![allow(dead_code, reason = "each test program uses some of it")]

pub mod scored;

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, geteuid},
};
use tempfile::TempDir;
use tierscope_model::Trace;

/// The program under test; `tierscope-lab-app` lies beside it.
pub const TIERSCOPE: &str = env!("CARGO_BIN_EXE_tierscope");

/// Whether this process may trace; where not, says that the test is left out.
pub fn may_trace() -> bool {
    let root = geteuid().is_root();
    if !root {
        println!("skipped: tracing needs root");
    }
    root
}

/// How a program ended, and what it said.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ended {
    /// The same, if it ended with this code.
    #[track_caller]
    pub fn with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        self
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Self {
            code: output.status.code(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }
}

/// Runs a command to its end.
pub fn end(command: &mut Command) -> Ended {
    command.output().expect("started").into()
}

/// Runs tierscope with some arguments to its end.
pub fn tierscope(arguments: &[&str]) -> Ended {
    end(Command::new(TIERSCOPE).args(arguments))
}

/// A directory of the test's own that other users can enter, on disk.
pub struct Scratch(TempDir);

impl Scratch {
    pub fn new() -> Self {
        let dir = tempfile::tempdir_in("/var/tmp").expect("a directory");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("opened");
        Self(dir)
    }

    /// The path of a file in it.
    pub fn path(&self, name: &str) -> String {
        let path = self.0.path().join(name);
        path.to_str().expect("UTF-8").to_owned()
    }

    /// Writes a file in it.
    pub fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, text).expect("written");
        path
    }
}

/// A running lab, taken down when dropped.
pub struct Lab {
    pub dir: String,
    pub nginx: SocketAddr,
    /// As `lab up --json` told them.
    processes: Vec<serde_json::Value>,
}

impl Lab {
    /// `tierscope lab up` with further options.
    pub fn up(scratch: &Scratch, options: &[&str]) -> Self {
        let dir = scratch.path("lab");
        let mut up = Command::new(TIERSCOPE);
        up.args(["lab", "up", "--json", "--dir", &dir])
            .args(options);
        let status = json(&end(&mut up).with(0).out);
        let processes = status["processes"].as_array().expect("processes").clone();
        Self {
            nginx: listen(&processes, "nginx"),
            processes,
            dir,
        }
    }

    /// The root of the process tree of `nginx`, `app` or `postgres`.
    pub fn pid(&self, role: &str) -> u32 {
        let pid = process(&self.processes, role)["pid"].as_u64();
        pid.and_then(|pid| pid.try_into().ok()).expect("a pid")
    }

    /// psql as the superuser, reading the SQL from its input.
    pub fn psql(&self) -> Command {
        let port = listen(&self.processes, "postgres").port().to_string();
        let mut psql = Command::new("psql");
        psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-h", &self.dir])
            .args(["-p", &port, "-U", "postgres", "-d", "lab", "-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        psql
    }

    /// What a statement of the superuser's returns, a line per row.
    pub fn sql(&self, statement: &str) -> String {
        let mut psql = self.psql().spawn().expect("psql");
        let mut input = psql.stdin.take().expect("its input");
        input.write_all(statement.as_bytes()).expect("written");
        drop(input);
        let ended = Ended::from(psql.wait_with_output().expect("ended"));
        ended.with(0).out.trim().to_owned()
    }

    /// Sends bytes as they are and returns the whole answer; the request must ask to close.
    pub fn send(&self, request: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.nginx).expect("connected");
        let patience = Some(Duration::from_secs(10));
        stream.set_read_timeout(patience).expect("time-out set");
        stream.write_all(request).expect("sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("answered");
        Answer(String::from_utf8_lossy(&answer).into_owned())
    }

    /// `GET target` with further header lines, as bytes.
    pub fn get(&self, target: &[u8], headers: &[&[u8]]) -> Answer {
        let mut request = b"GET ".to_vec();
        request.extend(target);
        request.extend(b" HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n");
        for header in headers {
            request.extend(*header);
            request.extend(b"\r\n");
        }
        request.extend(b"\r\n");
        self.send(&request)
    }
}

fn process<'a>(processes: &'a [serde_json::Value], role: &str) -> &'a serde_json::Value {
    let mut all = processes.iter();
    all.find(|process| process["role"] == role).expect(role)
}

fn listen(processes: &[serde_json::Value], role: &str) -> SocketAddr {
    let address = process(processes, role)["listen"].as_str();
    address.expect("text").parse().expect("an address")
}

impl Drop for Lab {
    fn drop(&mut self) {
        tierscope(&["lab", "down", "--dir", &self.dir]);
    }
}

/// An answer of the lab.
#[derive(Debug)]
pub struct Answer(pub String);

impl Answer {
    pub fn status(&self) -> &str {
        self.0.split(' ').nth(1).expect("a status line")
    }

    pub fn request_id(&self) -> String {
        let line = self
            .0
            .lines()
            .find_map(|l| l.strip_prefix("X-Request-ID: "));
        line.expect("an id").to_owned()
    }

    pub fn body(&self) -> &str {
        self.0.split_once("\r\n\r\n").expect("a body").1
    }
}

/// `tierscope record` under way; killed when dropped.
pub struct Recording {
    pub file: String,
    child: Option<Child>,
}

impl Recording {
    /// Starts it, and returns once everything is attached.
    pub fn start(lab: &Lab, file: String, options: &[&str]) -> Self {
        let lab = ["--lab", &lab.dir];
        Self::of(file, &[&lab, options].concat())
    }

    /// The same, of what the options name.
    pub fn of(file: String, options: &[&str]) -> Self {
        let child = Command::new(TIERSCOPE)
            .args(["record", "--out", &file])
            .args(options)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let child = Some(child.expect("started"));
        let recording = Self { file, child };
        // The file is made after the last hook is in place.
        wait_within(ATTACHING, "the recording", || {
            Path::new(&recording.file).exists()
        });
        recording
    }

    fn pid(&self) -> u32 {
        self.child.as_ref().expect("running").id()
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid() as i32), signal).expect("sent");
    }

    /// Its largest resident size so far, in KiB.
    pub fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("status");
        let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
        let size = line.and_then(|l| l.trim().strip_suffix(" kB"));
        size.and_then(|kib| kib.parse().ok()).expect("a size")
    }

    /// Waits for its end.
    pub fn end(mut self) -> Ended {
        let child = self.child.take().expect("running");
        child.wait_with_output().expect("ended").into()
    }

    /// Lets what is under way reach the ring buffer, ends it with Ctrl-C, and checks how it closed.
    pub fn stop(self) -> Ended {
        sleep(Duration::from_millis(100));
        self.signal(Signal::SIGINT);
        self.end().with(0)
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// How long attaching may take: it needs a second of CPU time, and a busy machine is slow to give it.
pub const ATTACHING: Duration = Duration::from_secs(60);

/// Waits until something is so, 10 s at most.
#[track_caller]
pub fn wait_for(what: &str, so: impl FnMut() -> bool) {
    wait_within(Duration::from_secs(10), what, so);
}

/// The same, within `limit`.
#[track_caller]
pub fn wait_within(limit: Duration, what: &str, mut so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < limit, "no sign of {what}");
        sleep(Duration::from_millis(20));
    }
}

/// The traces of a recording, by `tierscope assemble`.
pub fn assemble(recording: &str) -> Vec<Trace> {
    let out = format!("{recording}.traces.jsonl");
    tierscope(&["assemble", recording, "--out", &out]).with(0);
    tierscope_experiments::read_lines(&PathBuf::from(out)).expect("traces")
}

/// Text as JSON.
#[track_caller]
pub fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).expect(text)
}

/// Traces of one span each; `durations` in nanoseconds.
pub fn traces_of(durations: impl IntoIterator<Item = u64>) -> String {
    let line = |(at, nanos): (usize, u64)| {
        let (id, start) = (at + 1, at as u64 * 10_000_000);
        let end = start + nanos;
        format!(
            r#"{{"trace_id":"{id:032x}","request_id":"{id:032x}","endpoint":"GET /x","spans":[{{"span_id":"0000000000000001","name":"GET /x","kind":"server","start":{start},"end":{end},"resource":{{"service":"app","process":"app","pid":1,"host":"h"}}}}]}}"#
        ) + "\n"
    };
    durations.into_iter().enumerate().map(line).collect()
}
