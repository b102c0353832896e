//! Exit codes, help and errors.

use std::fs;

use crate::support::{Scratch, tierscope};

const VERBS: [&str; 11] = [
    "doctor", "lab", "load", "record", "assemble", "show", "compare", "analyze", "export",
    "import", "run",
];

#[test]
fn every_verb_has_help() {
    let all = tierscope(&["--help"]).with(0).out;
    assert!(all.contains("Exit codes: 0 done, 1 failed, 2 wrong use, 3"));
    for verb in VERBS {
        assert!(all.contains(&format!("\n  {verb} ")), "{verb}");
        let help = tierscope(&[verb, "--help"]).with(0).out;
        assert!(help.contains(&format!("Usage: tierscope {verb}")), "{help}");
        assert!(help.contains("--json") || verb == "export", "{help}");
    }
}

#[test]
fn wrong_use_ends_with_2() {
    tierscope(&[]).with(2);
    tierscope(&["frob"]).with(2);
    tierscope(&["show", "--bogus"]).with(2);
    tierscope(&["show", "--json", "--svg", "x.svg"]).with(2);
    tierscope(&["load"]).with(2);
    tierscope(&["load", "--target", "127.0.0.1:1", "--fault", "search"]).with(2);
    tierscope(&["record", "--process", "nginx"]).with(2);
    tierscope(&["export", "--format", "xml"]).with(2);
}

#[test]
fn an_error_is_said_once_and_ends_with_1() {
    let scratch = Scratch::new();
    let none = scratch.path("none");
    for arguments in [
        ["show", &none],
        ["assemble", &none],
        ["run", &none],
        ["show", &scratch.path("none.jsonl")],
        ["show", &scratch.path("none.tsrec")],
    ] {
        let said = tierscope(&arguments).with(1).err;
        assert!(said.starts_with("tierscope: "), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.matches("os error").count() <= 1, "{said}");
    }
    let said = tierscope(&["lab", "status", "--dir", &none]).with(1).err;
    assert!(said.contains("tierscope lab up"), "{said}");
    let target = ["load", "--target", "127.0.0.1:1"];
    let [a, b, c] = target;
    let said = tierscope(&[a, b, c, "--duration", "1e30"]).with(1).err;
    assert!(said.contains("--duration"), "{said}");
    let said = tierscope(&target).with(1).err;
    assert!(said.contains("is the server up?"), "{said}");
}

#[test]
fn a_bad_experiment_is_shown_its_line_and_field() {
    let scratch = Scratch::new();
    let load = "duration_s = 1\nconnections = 1\nseed = 1\n";
    let text = format!("name = 'x'\ntitle = 'x'\n[load]\nrate = 'fast'\n{load}");
    let path = scratch.write("bad.toml", &text);
    let runs = scratch.path("runs");
    let said = tierscope(&["run", &path, "--runs", &runs]).with(1).err;
    for part in [
        path.as_str(),
        "line 4, column 8",
        "rate = 'fast'",
        r#"expected requests per second, above 0, or "closed""#,
    ] {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
    assert!(!fs::exists(runs).expect("a look"), "nothing was begun");
}

#[test]
fn what_is_no_recording_leaves_earlier_traces_alone() {
    let scratch = Scratch::new();
    let text = scratch.write("notes.txt", "not a recording");
    let traces = scratch.write("traces.jsonl", "kept\n");
    let said = tierscope(&["assemble", &text]).with(1).err;
    assert!(said.contains("not a tierscope recording"), "{said}");
    assert_eq!(fs::read_to_string(traces).expect("traces"), "kept\n");
}
