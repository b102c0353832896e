//! A kernel that lacks a hook: what is not measured is named in the recording, in its traces and in pictures.

use std::path::Path;
use std::{fs, thread::sleep, time::Duration};

use tierscope_model::{Trace, attr};
use tierscope_tracer::recorder::{RecordOptions, Recorder};
use tierscope_tracer::{Service, recording::Reader};

use crate::support::{Lab, Scratch, assemble, may_trace, tierscope};

/// A recording of one request, as a kernel makes it that lacks the hooks for these events.
fn recorded(scratch: &Scratch, lab: &Lab, without: &[&str]) -> String {
    let file = scratch.path("fewer.tsrec");
    let services = ["nginx", "app", "postgres"].map(|role| Service {
        name: role.to_owned(),
        pids: vec![lab.pid(role)],
        binary: None,
    });
    let recorder = Recorder::start(RecordOptions {
        services: services.to_vec(),
        without: without.iter().map(|event| (*event).to_owned()).collect(),
        ..RecordOptions::new(&file)
    })
    .expect("a recorder");
    let missing: Vec<_> = recorder.unattached().map(|hook| &hook.event).collect();
    for event in without {
        assert!(
            missing.iter().any(|missing| missing == event),
            "{missing:?}"
        );
    }
    assert_eq!(lab.get(b"/api/users/9", &[]).status(), "200");
    sleep(Duration::from_millis(100));
    recorder.finish().expect("closed");
    file
}

/// Everything that is said not to be measured, and the spans' names.
fn told(trace: &Trace) -> (String, Vec<&str>) {
    let words = trace
        .spans
        .iter()
        .filter_map(|span| span.attributes.text(attr::NOT_MEASURED));
    let names = trace.spans.iter().map(|span| span.name.as_str());
    (words.collect::<Vec<_>>().join("; "), names.collect())
}

#[test]
fn what_a_missing_hook_leaves_unmeasured_is_said_to_the_end() {
    if !may_trace() {
        return;
    }
    let scratch = Scratch::new();
    let lab = Lab::up(&scratch, &[]);
    let without = ["segment arrives", "scheduler"];
    let file = recorded(&scratch, &lab, &without);

    let header = Reader::open(Path::new(&file))
        .expect("a recording")
        .header()
        .clone();
    assert_eq!(header.unmeasured(), ["scheduler", "segment arrives"]);
    let traces = assemble(&file);
    let [trace] = &traces[..] else {
        panic!("{} traces", traces.len());
    };
    let (words, names) = told(trace);
    for said in [
        "receive queue: not measured",
        "scheduler: not measured",
        "segment arrives: not measured",
    ] {
        assert!(words.contains(said), "no {said:?} in {words}");
    }
    assert!(!names.contains(&"receive queue"), "{names:?}");
    assert!(
        trace.spans.iter().all(|span| span.slices.is_empty()),
        "no thread's time"
    );

    let shown = tierscope(&["show", &file]).with(0).out;
    assert!(shown.contains("receive queue: not measured"), "{shown}");
    let picture = scratch.path("fewer.svg");
    tierscope(&["show", &file, "--svg", &picture]).with(0);
    let picture = fs::read_to_string(picture).expect("a picture");
    assert!(picture.contains("receive queue: not measured"));
}
