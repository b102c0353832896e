//! Recordings of the lab give exactly the trees in `tests/data/*.golden`, in whatever order their events come.

use std::fmt::Write;

use tierscope_assembler::{Assembled, Counts, Options, check};
use tierscope_model::{Span, SpanId, Status, Timestamp, Trace, attr};

use crate::common::{Recording, assemble, data, recording, shuffled, trace};

/// Requests apart from upkeep and orphans, oldest first.
fn requests(assembled: &[Assembled]) -> Vec<&Trace> {
    let mut traces: Vec<_> = assembled
        .iter()
        .filter(|a| matches!(a, Assembled::Request(_)))
        .map(trace)
        .collect();
    traces.sort_by_key(|t| t.root().map(|s| s.start));
    traces
}

fn to_text(assembled: &[Assembled], counts: &Counts) -> String {
    let mut text = String::new();
    for trace in requests(assembled) {
        write_trace(&mut text, trace);
    }
    let mut apart: Vec<_> = assembled
        .iter()
        .filter(|a| matches!(a, Assembled::Apart(_)))
        .map(|a| &trace(a).endpoint)
        .collect();
    apart.sort();
    for (at, endpoint) in apart
        .iter()
        .enumerate()
        .filter(|(at, e)| *at == 0 || apart[at - 1] != **e)
    {
        let times = apart[at..].iter().take_while(|e| *e == endpoint).count();
        writeln!(text, "apart: {endpoint} × {times}").expect("writes to a string");
    }
    writeln!(
        text,
        "{}",
        serde_json::to_string(counts).expect("counts serialise")
    )
    .expect("writes to a string");
    text
}

fn write_trace(text: &mut String, trace: &Trace) {
    let id = trace
        .request_id
        .map_or("no id".to_owned(), |id| id.to_string());
    writeln!(text, "{} {id} {:?}", trace.endpoint, trace.incomplete).expect("writes to a string");
    let mut depths: Vec<(SpanId, usize)> = Vec::new();
    for span in &trace.spans {
        let above = span
            .parent_id()
            .and_then(|id| depths.iter().find(|d| d.0 == id));
        let depth = above.map_or(1, |d| d.1 + 1);
        depths.push((span.span_id, depth));
        write_span(
            text,
            span,
            depth,
            trace.root().map_or(Timestamp(0), |s| s.start),
        );
    }
    text.push('\n');
}

/// Start within the trace and length in µs to the ns, side, service, evidence, and what tells spans of one name apart.
fn write_span(text: &mut String, span: &Span, depth: usize, zero: Timestamp) {
    let kind = format!("{:?}", span.kind).to_lowercase();
    let (start, length) = (
        span.start.signed_since(zero) as f64 / 1e3,
        span.duration() as f64 / 1e3,
    );
    write!(
        text,
        "{:indent$}{} [{kind} {}] {start:.3} +{length:.3}",
        "",
        span.name,
        span.resource.service,
        indent = 2 * depth
    )
    .expect("writes to a string");
    match &span.parent {
        Some(link) => write!(text, " by {}", link.evidence.kind()).expect("writes to a string"),
        None if depth > 0 => text.push_str(" by nothing"),
        None => {}
    }
    let keys = [
        attr::DIRECTION,
        attr::BYTES,
        attr::HTTP_RESPONSE_STATUS_CODE,
        attr::DB_QUERY_SUMMARY,
        attr::DB_RESPONSE_RETURNED_ROWS,
        attr::NOT_MEASURED,
        attr::OUTLIVES_PARENT_NS,
    ];
    for value in keys.iter().filter_map(|key| span.attributes.get(key)) {
        write!(text, " {value}").expect("writes to a string");
    }
    if let Status::Error(error) = &span.status {
        write!(text, " error {error}").expect("writes to a string");
    }
    for event in &span.events {
        write!(text, " · {}", event.name).expect("writes to a string");
    }
    text.push('\n');
}

fn json(assembled: &[Assembled]) -> Vec<u8> {
    let traces: Vec<&Trace> = assembled.iter().map(trace).collect();
    serde_json::to_vec(&traces).expect("traces serialise")
}

fn run(Recording { services, events }: &Recording) -> (Vec<Assembled>, Counts) {
    assemble(services, events.clone(), Options::default())
}

fn golden(name: &str) {
    let recording = recording(name);
    let (assembled, counts) = run(&recording);
    for trace in requests(&assembled) {
        assert_eq!(check(trace), [], "{}", trace.endpoint);
    }
    let text = to_text(&assembled, &counts);
    let path = data().join(format!("{name}.golden"));
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &text).expect("the golden file is written");
    }
    let wanted = std::fs::read_to_string(&path).expect("the golden file reads; BLESS=1 makes it");
    for (at, (got, wanted)) in text.lines().zip(wanted.lines()).enumerate() {
        assert_eq!(got, wanted, "{name}.golden, line {}", at + 1);
    }
    assert_eq!(
        text.lines().count(),
        wanted.lines().count(),
        "{name}.golden has as many lines"
    );
    assert_eq!(
        json(&run(&recording).0),
        json(&assembled),
        "the same input gives the same bytes"
    );
    for seed in 1..4 {
        let events = shuffled(&recording.events, seed);
        let again = assemble(&recording.services, events, Options::default());
        assert_eq!(again.1.late_events, 0, "50 ms are within the window");
        assert!(
            json(&again.0) == json(&assembled),
            "events in another order give the same bytes, seed {seed}"
        );
    }
}

#[test]
fn every_endpoint() {
    golden("every_endpoint");
}

#[test]
fn n_plus_one() {
    golden("n_plus_one");
}

#[test]
fn faults() {
    golden("faults");
}

#[test]
fn writes() {
    golden("writes");
}
