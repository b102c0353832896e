//! For tests: a process that a fault is made to, and an owner that is killed while its fault holds.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{Injector, process};
use crate::error::Result;

const VICTIM: &str = "TIERSCOPE_TEST_VICTIM";
const HOLDS: &str = "it holds";

/// A process for a fault. It ends with the test.
pub(super) struct Victim(Child);

impl Victim {
    /// One that does nothing.
    pub(super) fn asleep() -> Victim {
        Victim::run("exec sleep 60")
    }

    /// One that wants a CPU all the time.
    pub(super) fn busy() -> Victim {
        Victim::run("while :; do :; done")
    }

    fn run(script: &str) -> Victim {
        let sh = Command::new("sh").args(["-c", script]).spawn();
        Victim(sh.expect("sh"))
    }

    pub(super) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// In the owner's test: makes a fault hold on the process that it is told, and waits to be killed.
pub(super) fn hold(injector: impl FnOnce(u32) -> Result<Box<dyn Injector>>) {
    let Some(victim) = std::env::var(VICTIM).ok().and_then(|pid| pid.parse().ok()) else {
        return;
    };
    let mut injector = injector(victim).expect("an injector");
    injector.begin().expect("begun");
    println!("\n{HOLDS}");
    let _ = std::io::stdin().read(&mut [0]);
    panic!("not killed");
}

/// Runs the owner's test on a process, and kills it when its fault holds. Returns its children.
pub(super) fn killed(test: &str, victim: u32) -> Vec<u32> {
    let name = format!("inject::{test}");
    let mut owner = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", &name, "--ignored", "--nocapture"])
        .env(VICTIM, victim.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the owner");
    let said = BufReader::new(owner.stdout.take().expect("piped"));
    let mut lines = said.lines().map_while(std::io::Result::ok);
    assert!(lines.any(|line| line == HOLDS), "{test} failed");
    let children = process::children(owner.id());
    owner.kill().and_then(|()| owner.wait()).expect("killed");
    children
}

/// Waits until something is so.
pub(super) fn until(what: &str, so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < Duration::from_secs(10), "not so: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until these processes have ended.
pub(super) fn all_end(pids: &[u32]) {
    until("all have ended", || {
        pids.iter().all(|pid| process::stat(*pid).is_none())
    });
}

/// The cgroups that a process is in, a line per hierarchy.
pub(super) fn memberships(pid: u32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("it runs")
}
