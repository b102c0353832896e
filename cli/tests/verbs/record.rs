//! `tierscope record`: how it closes, and what it refuses.

use std::{
    fs,
    process::{Command, Stdio},
    thread::sleep,
    time::Duration,
};

use nix::sys::signal::Signal;
use tierscope_model::{Incomplete, Trace};

use crate::support::{
    Lab, Recording, Scratch, TIERSCOPE, assemble, end, json, may_trace, tierscope,
};

#[test]
fn ctrl_c_and_sigterm_close_the_file() {
    if !may_trace() {
        return;
    }
    let scratch = Scratch::new();
    let lab = Lab::up(&scratch, &[]);
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let file = scratch.path(signal.as_str());
        let recording = Recording::start(&lab, file.clone(), &[]);
        lab.get(b"/api/users/9", &[]);
        sleep(Duration::from_millis(100));
        recording.signal(signal);
        let said = recording.end().with(0).out;
        assert!(said.starts_with(&format!("{file}: recorded ")), "{said}");
        for part in [
            " send",
            " usdt",
            "lost: none",
            " MB",
            "of one CPU",
            "resident",
        ] {
            assert!(said.contains(part), "no {part:?} in {said}");
        }
        let ended = tierscope(&["assemble", &file, "--json"]).with(0);
        assert_eq!(ended.err, "", "whole to its end");
        assert_eq!(json(&ended.out)["traces"], 1);
    }
}

#[test]
fn the_tracer_stays_under_64_mib_and_loses_nothing_at_saturation() {
    if !may_trace() {
        return;
    }
    let scratch = Scratch::new();
    let lab = Lab::up(&scratch, &[]);
    let recording = Recording::start(&lab, scratch.path("full.tsrec"), &[]);
    let target = lab.nginx.to_string();
    let load = ["load", "--closed", "--connections", "64", "--duration", "3"];
    tierscope(&[&load[..], &["--target", &target]].concat()).with(0);
    let peak = recording.peak_memory();
    assert!(peak <= 64 << 10, "{peak} KiB");
    let said = recording.stop().out;
    assert!(said.contains("lost: none"), "{said}");
}

#[test]
fn kill_9_leaves_all_but_the_open_block() {
    if !may_trace() {
        return;
    }
    let scratch = Scratch::new();
    let lab = Lab::up(&scratch, &[]);
    let recording = Recording::start(&lab, scratch.path("killed.tsrec"), &[]);
    lab.get(b"/api/users/9", &[]);
    // A block is flushed within 100 ms.
    sleep(Duration::from_millis(300));
    recording.signal(Signal::SIGKILL);
    let file = recording.file.clone();
    assert_eq!(recording.end().code, None);
    assert_eq!(assemble(&file).len(), 1);

    let whole = fs::read(&file).expect("a recording");
    fs::write(&file, &whole[..whole.len() - 7]).expect("cut");
    let cut = tierscope(&["assemble", &file]).with(0);
    assert!(cut.err.contains("torn at byte"), "{}", cut.err);
}

#[test]
fn a_file_that_is_there_is_not_written_over() {
    let scratch = Scratch::new();
    let file = scratch.write("mine.tsrec", "mine");
    let said = tierscope(&["record", "--process", "x=1", "--out", &file])
        .with(1)
        .err;
    assert!(said.contains("is there already"), "{said}");
    assert_eq!(fs::read_to_string(file).expect("a file"), "mine");
}

#[test]
fn pids_that_cannot_be_traced_are_named() {
    if !may_trace() {
        return;
    }
    let scratch = Scratch::new();
    let file = scratch.path("x.tsrec");
    let said = tierscope(&["record", "--process", "x=4194304", "--out", &file])
        .with(1)
        .err;
    assert!(said.contains("no process 4194304"), "{said}");
    let own = format!("exec {TIERSCOPE} record --process x=$$ --out {file}");
    let said = end(Command::new("sh").args(["-c", &own])).with(1).err;
    assert!(said.contains("is tierscope itself"), "{said}");
    let said = tierscope(&["record", "--ring", "3", "--process", "x=1", "--out", &file])
        .with(1)
        .err;
    assert!(said.contains("--ring 3: expected a power of two"), "{said}");
    assert!(!fs::exists(file).expect("a look"), "no file is left");
}

#[test]
fn a_full_disk_ends_it_with_what_was_written() {
    if !may_trace() {
        return;
    }
    let scratch = Scratch::new();
    let Some(disk) = SmallDisk::mount(scratch.path("disk")) else {
        return println!("skipped: no tmpfs can be mounted here");
    };
    let lab = Lab::up(&scratch, &[]);
    let recording = Recording::start(&lab, format!("{}/full.tsrec", disk.0), &[]);
    load(&lab, "2").wait().expect("loaded");
    let file = recording.file.clone();
    let said = recording.end().with(1).err;
    for part in ["No space left on device", &file, "make room"] {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
    let copy = scratch.path("full.tsrec");
    fs::copy(&file, &copy).expect("copied");
    assert!(!assemble(&copy).is_empty(), "what was written is sound");
}

/// A ring buffer overflows when its reader stands still.
#[test]
fn loss_is_counted_and_marked() {
    if !may_trace() {
        return;
    }
    let scratch = Scratch::new();
    let lab = Lab::up(&scratch, &[]);
    let recording = Recording::start(&lab, scratch.path("loss.tsrec"), &["--ring", "1"]);
    let mut load = load(&lab, "3");
    sleep(Duration::from_millis(500));
    recording.signal(Signal::SIGSTOP);
    sleep(Duration::from_millis(1500));
    recording.signal(Signal::SIGCONT);
    assert!(load.wait().expect("loaded").success());
    let file = recording.file.clone();
    let said = recording.stop().out;
    assert!(
        said.contains("; lost: ") && !said.contains("lost: none"),
        "{said}"
    );

    let counts = json(&tierscope(&["assemble", &file, "--json"]).with(0).out);
    assert!(counts["lost_events"].as_u64().expect("a count") > 1000);
    assert_eq!(counts["conservation_violations"], 0);
    assert_eq!(counts["negative_durations"], 0);
    let traces = assemble(&file);
    let touched = |trace: &&Trace| trace.incomplete.contains(&Incomplete::EventLoss);
    let marked = traces.iter().filter(touched).count();
    println!("{said}{marked} of {} traces marked", traces.len());
    assert!(marked > 0 && marked < traces.len());
}

/// A closed-loop load for some seconds.
fn load(lab: &Lab, seconds: &str) -> std::process::Child {
    Command::new(TIERSCOPE)
        .args(["load", "--closed", "--duration", seconds])
        .args(["--target", &lab.nginx.to_string()])
        .stdout(Stdio::null())
        .spawn()
        .expect("started")
}

/// 256 KiB, unmounted when dropped.
struct SmallDisk(String);

impl SmallDisk {
    fn mount(dir: String) -> Option<Self> {
        fs::create_dir(&dir).expect("a directory");
        let mount = ["-t", "tmpfs", "-o", "size=256k", "tmpfs", &dir];
        let mounted = Command::new("mount").args(mount).status();
        mounted
            .is_ok_and(|status| status.success())
            .then_some(Self(dir))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["--lazy", &self.0]).status();
    }
}
