//! A run, or a load, that is ended early leaves nothing running.

use std::{
    fs,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};

use crate::support::{
    ATTACHING, Ended, Lab, Scratch, TIERSCOPE, json, may_trace, wait_for, wait_within,
};

const LONG: &str = "name = 'long'\ntitle = 'long'\n[load]\nrate = 100\nduration_s = 60\nconnections = 4\nseed = 1\n\
    [[window]]\nstarts_s = [0]\nfor_ms = 60000\nhop = 'nginx → app'\ncause = ['slow network']\n\
    [window.inject]\nkind = 'packet-delay'\nfrom = 'nginx'\nto = 'app'\ndelay_ms = 20\nevery = 50\n";

#[test]
fn ctrl_c_in_a_run_leaves_nothing() {
    interrupted(|run| killpg(run, Signal::SIGINT));
}

#[test]
fn sigterm_to_the_runner_leaves_nothing() {
    interrupted(|run| kill(run, Signal::SIGTERM));
}

#[test]
fn kill_9_of_the_runner_leaves_nothing() {
    interrupted(|run| kill(run, Signal::SIGKILL));
}

fn interrupted(end: impl FnOnce(Pid) -> nix::Result<()>) {
    if !may_trace() {
        return;
    }
    let scratch = Scratch::new();
    let experiment = scratch.write("long.toml", LONG);
    let runs = scratch.path("runs");
    let mut run = Command::new(TIERSCOPE)
        .args(["run", &experiment, "--runs", &runs])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("started");
    under_way(&mut run, &runs);
    let pid = Pid::from_raw(run.id() as i32);
    let lab = format!("/var/tmp/tierscope-run-{pid}");
    assert!(!members(&lab).is_empty() && !commands(&runs).is_empty());
    wait_for("the fault", || has_rules(pid));
    end(pid).expect("sent");
    assert!(!run.wait().expect("ended").success());
    wait_for("the end of the load generator", || {
        commands(&runs).is_empty()
    });
    wait_for("the end of the fault", || !has_rules(pid));
    wait_for("the end of the lab", || members(&lab).is_empty());
    wait_for("the lab's directory being removed", || {
        !Path::new(&lab).exists()
    });
}

/// Whether the packet filter has rules of a run's.
fn has_rules(run: Pid) -> bool {
    let rules = Command::new("iptables").args(["-w", "-S"]).output();
    let rules = String::from_utf8(rules.expect("iptables").stdout).expect("text");
    rules.contains(&format!("tierscope-{run}-"))
}

/// Waits until requests are recorded.
fn under_way(run: &mut Child, runs: &str) {
    let recorded = || {
        let folder = fs::read_dir(runs).ok()?.flatten().next()?.path();
        let recording = folder.join("recording.tsrec").metadata().ok()?;
        Some(recording.len() > 50_000)
    };
    wait_within(ATTACHING, "a recording that grows", || {
        assert!(run.try_wait().expect("a look").is_none(), "the run ended");
        recorded() == Some(true)
    });
}

/// Processes whose command line holds this text.
fn commands(text: &str) -> Vec<String> {
    processes(|proc| {
        let line = fs::read(proc.join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(text)
    })
}

/// Processes that run in this directory.
fn members(dir: &str) -> Vec<String> {
    processes(|proc| fs::read_link(proc.join("cwd")).is_ok_and(|cwd| cwd.starts_with(dir)))
}

fn processes(wanted: impl Fn(&Path) -> bool) -> Vec<String> {
    let all = fs::read_dir("/proc").expect("/proc").flatten();
    all.filter(|entry| entry.path().join("cwd").is_symlink() && wanted(&entry.path()))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn ctrl_c_in_a_load_gives_its_summary_and_1() {
    if !may_trace() {
        return;
    }
    let scratch = Scratch::new();
    let lab = Lab::up(&scratch, &[]);
    let load = Command::new(TIERSCOPE)
        .args(["load", "--json", "--rate", "100", "--duration", "60"])
        .args(["--target", &lab.nginx.to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    sleep(Duration::from_millis(500));
    kill(Pid::from_raw(load.id() as i32), Signal::SIGINT).expect("sent");
    let ended = Ended::from(load.wait_with_output().expect("ended")).with(1);
    let summary = json(&ended.out);
    assert_eq!(summary["interrupted"], true);
    assert!(summary["total"]["ok"].as_u64().expect("a count") > 5);
}
