//! A ring buffer that overflows.

use std::{collections::HashMap, io::Write as _, thread::sleep, time::Duration};

use nix::sys::signal::Signal;
use tierscope_experiments::read_lines;
use tierscope_loadgen::Record;
use tierscope_model::{Incomplete, RequestId};

use super::{changes::load, seen::queries, stage::Stage};

/// The recorder stands still for a while, so its small ring overflows: what was lost is counted, a
/// trace that lacks something says so, and nothing is joined wrong.
#[test]
fn a_ring_that_overflows() {
    let Some(stage) = Stage::up(&[]) else { return };
    let records = stage.path("client.jsonl");
    let mut load = load(&stage, &records, "3");
    let recording = stage.record(load.id(), &["--ring", "1"]);
    load.stdin
        .take()
        .expect("its input")
        .write_all(b"go\n")
        .expect("sent");
    sleep(Duration::from_millis(700));
    recording.signal(Signal::SIGSTOP);
    sleep(Duration::from_millis(1300));
    recording.signal(Signal::SIGCONT);
    assert!(load.wait().expect("ended").success());
    let seen = stage.close(recording);
    seen.sound();
    assert!(
        seen.counts.lost_events > 1000,
        "{}",
        seen.counts.lost_events
    );

    let records: Vec<Record> = read_lines(records.as_ref()).expect("records");
    let by_id: HashMap<RequestId, &Record> = records
        .iter()
        .filter_map(|record| Some((record.id.as_ref()?.parse().ok()?, record)))
        .collect();
    let (mut whole, mut marked) = (0, 0);
    for trace in &seen.traces {
        let lost = trace.incomplete.contains(&Incomplete::EventLoss);
        marked += usize::from(lost);
        let record = trace.request_id.and_then(|id| by_id.get(&id));
        if let Some(record) = record.filter(|_| trace.incomplete.is_empty()) {
            let queries = queries(trace).len();
            assert_eq!(queries as u32, record.queries.unwrap_or(0), "not marked");
            whole += 1;
        }
    }
    println!(
        "{whole} whole, {marked} marked, {} lost",
        seen.counts.lost_events
    );
    assert!(whole > 100 && marked > 10, "{whole} whole, {marked} marked");
    assert_eq!(seen.verdicts.mis_stitched, 0);
}
