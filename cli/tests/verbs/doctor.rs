//! What the host allows, and what is said where it does not.

use std::{fs, path::Path, process::Command};

use tierscope_tracer::hooks::HOOKS;

use crate::support::{Ended, Scratch, TIERSCOPE, end, json, may_trace, tierscope};

#[test]
fn its_table_names_everything_that_tracing_needs() {
    if !may_trace() {
        return;
    }
    let table = tierscope(&["doctor"]).with(0).out;
    println!("{table}");
    let row = |what: &str| {
        let found = table.lines().find(|line| line.contains(what));
        let found = found.unwrap_or_else(|| panic!("no {what} in\n{table}"));
        assert!(found.starts_with("  yes  "), "{found}");
        found
    };
    for what in [
        "kernel",
        "BTF",
        "privileges",
        "locked memory",
        "loopback ports",
        "disk",
    ] {
        row(what);
    }
    for hook in HOOKS {
        assert!(row(&format!("hook: {} ", hook.event)).contains("  takes "));
    }
    row("hook: accept");
    assert!(row("lab: nginx").contains("serves on 127.0.0.1:"));
    row("lab: app");
    row("lab: postgres");
    assert!(row("USDT: app").contains("12 of 12 probes fired"));
    row("USDT: postgres");
    assert!(table.ends_with("`tierscope run` can run here\n"));

    let rows = json(&tierscope(&["doctor", "--json"]).with(0).out);
    let rows = rows.as_array().expect("rows");
    assert_eq!(rows.len(), table.matches("\n  ").count() + 1);
    assert!(rows.iter().all(|row| row["ok"] == true));
}

#[test]
fn without_root_doctor_and_run_end_with_3() {
    if !may_trace() {
        return;
    }
    let scratch = Scratch::new();
    let experiment = scratch.write("small.toml", SMALL);
    let runs = scratch.path("runs");
    let doctor = as_nobody(&scratch, &["doctor"]).with(3).out;
    assert!(doctor.contains("NO   privileges"), "{doctor}");
    assert!(doctor.contains("→ run as root, or with sudo"), "{doctor}");
    let run = as_nobody(&scratch, &["run", &experiment, "--runs", &runs]).with(3);
    assert_eq!(run.err.lines().count(), 1, "{}", run.err);
    assert!(run.err.contains("run as root"), "{}", run.err);
    assert!(!fs::exists(runs).expect("a look"), "nothing was begun");
    let file = scratch.path("x.tsrec");
    as_nobody(&scratch, &["record", "--process", "x=1", "--out", &file]).with(3);
}

#[test]
fn without_nginx_doctor_and_run_end_with_3() {
    if !may_trace() {
        return;
    }
    let scratch = Scratch::new();
    let experiment = scratch.write("small.toml", SMALL);
    let hidden = |verb: &str| {
        let hide = format!("mount --bind /dev/null /usr/sbin/nginx && exec {TIERSCOPE} {verb}");
        end(Command::new("unshare").args(["--mount", "sh", "-c", &hide]))
    };
    let run = hidden(&format!("run {experiment} --runs {}", scratch.path("runs"))).with(3);
    let said = "tierscope: nginx not found in PATH or /usr/sbin: apt-get install nginx\n";
    assert_eq!(run.err, said);
    let doctor = hidden("doctor").with(3).out;
    assert!(doctor.contains("apt-get install nginx"), "{doctor}");
}

const SMALL: &str = "name = 'small'\ntitle = 'small'\n[load]\nrate = 10\nduration_s = 1\nconnections = 1\nseed = 1\n";

/// Runs a copy that everybody can reach.
fn as_nobody(scratch: &Scratch, arguments: &[&str]) -> Ended {
    let beside = Path::new(TIERSCOPE).parent().expect("a folder");
    for name in ["tierscope", "tierscope-lab-app"] {
        fs::copy(beside.join(name), scratch.path(name)).expect("copied");
    }
    let program = scratch.path("tierscope");
    let ids = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    end(Command::new("setpriv")
        .args(ids)
        .arg(program)
        .args(arguments))
}
