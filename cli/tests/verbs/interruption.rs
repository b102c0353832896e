//! A run, or a load, that is ended early leaves nothing running.

use std::{
    fs,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
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

const HOT: &str = "name = 'hot'\ntitle = 'hot'\n[load]\nrate = 100\nduration_s = 60\nconnections = 4\nseed = 1\n\
    [[window]]\nstarts_s = [0]\nfor_ms = 60000\nhop = 'app → postgres'\ncause = ['lwlock wait']\nendpoints = ['order']\n\
    [window.inject]\nkind = 'hot-page'\nwriters = 4\nwrites_per_second = 30\n";

#[test]
fn ctrl_c_in_a_run_leaves_nothing() {
    interrupted(LONG, has_rules, |run| killpg(run, Signal::SIGINT));
}

#[test]
fn sigterm_to_the_runner_leaves_nothing() {
    interrupted(LONG, has_rules, |run| kill(run, Signal::SIGTERM));
}

#[test]
fn kill_9_of_the_runner_leaves_nothing() {
    interrupted(LONG, has_rules, |run| kill(run, Signal::SIGKILL));
}

/// Its writers wait for a disk that their group makes slow: both go, and the table with the lab.
#[test]
fn kill_9_of_a_run_with_a_hot_page_leaves_nothing() {
    interrupted(HOT, has_hot_page, |run| kill(run, Signal::SIGKILL));
}

/// Runs an experiment, and ends it while its fault holds.
fn interrupted(
    experiment: &str,
    holds: impl Fn(Pid) -> bool,
    end: impl FnOnce(Pid) -> nix::Result<()>,
) {
    if !may_trace() {
        return;
    }
    let scratch = Scratch::new();
    let experiment = scratch.write("long.toml", experiment);
    let (runs, said) = (scratch.path("runs"), scratch.path("said"));
    let mut run = Command::new(TIERSCOPE)
        .args(["run", &experiment, "--runs", &runs])
        .stdout(Stdio::null())
        .stderr(fs::File::create(&said).expect("a file"))
        .process_group(0)
        .spawn()
        .expect("started");
    if !under_way(&mut run, &runs, &said) {
        return;
    }
    let pid = Pid::from_raw(run.id() as i32);
    let lab = format!("/var/tmp/tierscope-run-{pid}");
    assert!(!members(&lab).is_empty() && !commands(&runs).is_empty());
    wait_for("the fault", || holds(pid));
    end(pid).expect("sent");
    assert!(!run.wait().expect("ended").success());
    wait_for("the end of the load generator", || {
        commands(&runs).is_empty()
    });
    wait_for("the end of the fault", || !holds(pid));
    wait_for("the end of its groups", || groups(pid).is_empty());
    wait_for("the end of the lab", || {
        members(&lab).is_empty() && commands(&lab).is_empty()
    });
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

/// Whether one whom a run has put into a control group writes a row.
fn has_hot_page(run: Pid) -> bool {
    let members = groups(run).into_iter().flat_map(|group| {
        let members = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
        members.lines().map(str::to_owned).collect::<Vec<_>>()
    });
    let mut titles =
        members.map(|pid| fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default());
    titles.any(|title| String::from_utf8_lossy(&title).contains("INSERT"))
}

/// The control groups of a run's.
fn groups(run: Pid) -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").expect("mounts");
    let mounts = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>());
    let roots = mounts.filter(|fields| fields[2].starts_with("cgroup"));
    let inside = roots.flat_map(|fields| fs::read_dir(fields[1]).into_iter().flatten().flatten());
    let name = format!("tierscope-{run}-");
    inside
        .filter(|group| group.file_name().to_string_lossy().starts_with(&name))
        .map(|group| group.path())
        .collect()
}

/// Waits until requests are recorded. No, and why, where this host cannot inject the fault.
fn under_way(run: &mut Child, runs: &str, said: &str) -> bool {
    let recorded = || {
        let folder = fs::read_dir(runs).ok()?.flatten().next()?.path();
        let recording = folder.join("recording.tsrec").metadata().ok()?;
        Some(recording.len() > 50_000)
    };
    let mut refused = false;
    wait_within(ATTACHING, "a recording that grows", || {
        if run.try_wait().expect("a look").is_some() {
            let said = fs::read_to_string(said).expect("text");
            assert!(said.contains("cannot be injected"), "it ended: {said}");
            println!("skipped: {said}");
            refused = true;
        }
        refused || recorded() == Some(true)
    });
    !refused
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
