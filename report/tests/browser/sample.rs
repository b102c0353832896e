//! A run of made-up requests, judged for real, as a report.

use std::collections::BTreeMap;

use tierscope_analyzer::{Baseline, Findings, Judge, Tally, Usual};
use tierscope_model::{RequestId, Timestamp, Trace, TraceId, attr};
use tierscope_report::{Key, Latencies, Median, Report, render_html};

use crate::common::{hostile, n_plus_one};

/// Of each endpoint so many are normal, and so many are not.
const NORMAL: u64 = 300;
const ODD: u64 = 4;

/// 608 requests of two endpoints; the texts of one are hostile wherever text can stand.
pub fn traces() -> Vec<Trace> {
    let mut traces = Vec::new();
    for number in 0..NORMAL + ODD {
        let is_odd = number >= NORMAL;
        let queries = if is_odd { 15 + number % 3 } else { 2 };
        traces.push(numbered(n_plus_one(queries), 2 * number, 1));
        traces.push(numbered(
            hostile(),
            2 * number + 1,
            if is_odd { 4 } else { 1 },
        ));
    }
    traces
}

/// The trace with ids and a start of its own, `times` as slow.
fn numbered(mut trace: Trace, number: u64, times: u64) -> Trace {
    let id = u128::from(number + 1) << 64 | 7;
    (trace.trace_id, trace.request_id) = (TraceId(id), Some(RequestId(id)));
    trace.incomplete.clear();
    let first = trace.spans[0].start;
    let moved = |time: Timestamp| {
        Timestamp(
            first.0
                + number * 10_000_000
                + time.since(first) * (times * 1_000 + number % 40) / 1_000,
        )
    };
    for span in &mut trace.spans {
        (span.start, span.end) = (moved(span.start), moved(span.end));
        for event in &mut span.events {
            event.time = moved(event.time);
        }
        for slice in &mut span.slices {
            (slice.start, slice.end) = (moved(slice.start), moved(slice.end));
        }
    }
    trace
}

/// A thousand requests, each with a finding, of more causes than a page has room for; and what was found.
pub fn thousand() -> (Vec<Trace>, Findings) {
    let mut baseline = Baseline::new();
    (0..NORMAL).for_each(|number| baseline.learn(&numbered(n_plus_one(2), number, 1)));
    let traces: Vec<Trace> = (0..1_000)
        .map(|n| numbered(asking(n % 120), n, 1))
        .collect();
    let judge = Judge::new(baseline).with_windows(1_000_000_000);
    let findings = judged(judge, &traces);
    (traces, findings)
}

/// A request that runs a statement of its own kind again and again.
fn asking(number: u64) -> Trace {
    let mut trace = n_plus_one(12);
    for span in &mut trace.spans {
        let text = span.attributes.text(attr::DB_QUERY_TEXT);
        if let Some(other) = text.map(|text| format!("{text} LIMIT {number}")) {
            span.attributes.set(attr::DB_QUERY_TEXT, other);
        }
    }
    trace
}

/// Judges the traces by themselves.
pub fn findings(traces: &[Trace]) -> Findings {
    let mut baseline = Baseline::new();
    traces.iter().for_each(|trace| baseline.learn(trace));
    judged(Judge::of_same(baseline).with_windows(1_000_000_000), traces)
}

fn judged(mut judge: Judge, traces: &[Trace]) -> Findings {
    let mut tally = Tally::default();
    for trace in traces {
        tally.add(&trace.endpoint, judge.judge(trace));
    }
    tally.finish(judge.changes())
}

/// The page.
pub fn page(traces: &[Trace], findings: &Findings) -> String {
    let mut latencies = Latencies::default();
    let mut medians: BTreeMap<String, Median> = BTreeMap::new();
    for trace in traces {
        let mut found = findings.requests.iter();
        let flagged = found.any(|request| request.trace_id == trace.trace_id);
        latencies.add(trace, flagged);
        let known = medians
            .entry(trace.endpoint.clone())
            .or_insert_with(|| Median {
                usual: Usual::default(),
                trace: Some(trace.clone()),
                count: NORMAL,
            });
        known.usual.learn(trace);
    }
    let key = |trace: &Trace| -> Key { (trace.request_id, trace.trace_id) };
    let all: BTreeMap<Key, Trace> = traces.iter().map(|t| (key(t), t.clone())).collect();
    render_html(&Report {
        name: "sample".to_owned(),
        title: "made-up requests".to_owned(),
        judged_by: "themselves".to_owned(),
        findings,
        latencies: &latencies,
        medians: &medians,
        traces: &all,
    })
}
