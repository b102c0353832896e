//! `tierscope lab`.

use crate::support::{Lab, Scratch, json, may_trace, tierscope};

#[test]
fn up_status_down_each_also_twice() {
    // Without root the lab runs as well, but then the other tests say nothing about it.
    if !may_trace() {
        return;
    }
    let scratch = Scratch::new();
    let lab = Lab::up(&scratch, &[]);
    assert_eq!(lab.get(b"/health", &[]).status(), "200");

    let first = tierscope(&["lab", "status", "--dir", &lab.dir]).with(0).out;
    for part in ["nginx", "app", "postgres", "serving", "pid "] {
        assert!(first.contains(part), "no {part:?} in\n{first}");
    }
    let again = tierscope(&["lab", "up", "--dir", &lab.dir]).with(0).out;
    assert_eq!(again, first, "the same processes");
    let other = tierscope(&["lab", "up", "--truth", "--dir", &lab.dir]).with(1);
    assert!(other.err.contains("other options"), "{}", other.err);

    let status = json(
        &tierscope(&["lab", "status", "--json", "--dir", &lab.dir])
            .with(0)
            .out,
    );
    let processes = status["processes"].as_array().expect("processes");
    assert_eq!(processes.len(), 3);
    assert!(processes.iter().all(|process| process["ready"] == true));

    let down = tierscope(&["lab", "down", "--dir", &lab.dir]).with(0).out;
    assert!(down.ends_with("is down\n"), "{down}");
    assert!(!std::fs::exists(&lab.dir).expect("a look"));
    for verb in ["down", "status"] {
        let said = tierscope(&["lab", verb, "--dir", &lab.dir]).with(1).err;
        assert!(said.contains("no lab in"), "{said}");
    }
}
