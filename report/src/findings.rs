//! What an analysis found, in sentences.

use std::fmt::Write as _;

use tierscope_analyzer::{Change, Findings, Flagged, Group};

use crate::duration::human;
use crate::sum::{micros, ms, signed};
use crate::text::visible;

/// Groups and changes that are told; of more, their number.
const TOLD: usize = 20;
/// Parts of the dearest request's excess that are told.
const PARTS: usize = 4;

/// The findings as text: the dearest first, each with its limit and what it was compared with.
pub fn render_findings(findings: &Findings) -> String {
    let mut text = heading(findings);
    for (number, group) in findings.groups.iter().take(TOLD).enumerate() {
        let request = findings
            .requests
            .iter()
            .find(|r| r.trace_id == group.trace_id);
        text.push_str(&group_text(number + 1, group, request));
    }
    text.push_str(&more(findings.groups.len(), "groups of findings"));
    if !findings.changes.is_empty() {
        text.push_str("\nWhat changed in the course of it:\n");
    }
    for change in findings.changes.iter().take(TOLD) {
        text.push_str(&change_text(change));
    }
    text.push_str(&more(findings.changes.len(), "changes"));
    text
}

fn heading(findings: &Findings) -> String {
    let (judged, flagged) = (findings.judged, findings.flagged);
    let share = 100.0 * flagged as f64 / judged.max(1) as f64;
    let mut text = format!("{judged} requests judged, {flagged} with findings ({share:.2} %)");
    if findings.incomplete > 0 {
        // Infallible: a String takes whatever is written.
        let _ = write!(text, "; {} incomplete, not judged", findings.incomplete);
    }
    text.push('\n');
    for (endpoint, n) in &findings.baseline_too_small {
        let endpoint = visible(endpoint);
        let _ = writeln!(
            text,
            "{endpoint}: baseline too small, {n} requests not judged"
        );
    }
    text
}

fn group_text(number: usize, group: &Group, request: Option<&Flagged>) -> String {
    let mut text = String::new();
    let (kind, endpoint) = (group.kind.name(), visible(&group.endpoint));
    let (requests, cost) = (requests(group.requests), human(group.cost_ns));
    let _ = writeln!(
        text,
        "\n{number}. {kind} · {endpoint} · {requests}, {cost} in all"
    );
    let _ = writeln!(text, "   {}", visible(&group.sentence));
    let _ = writeln!(text, "   threshold: {}", visible(&group.threshold));
    let (worst, trace) = (human(group.worst_ns), group.trace_id);
    let _ = writeln!(text, "   the dearest: {trace}, {worst} of it");
    if let Some(request) = request {
        text.push_str(&excess(request));
    }
    text
}

/// `210.900 ms − 2.050 ms typically = +208.850 ms, of which …`: the parts that matter, and all others in one.
fn excess(request: &Flagged) -> String {
    let [took, typical] = [request.duration_ns, request.baseline_ns].map(|n| micros(n as i64));
    let mut rest = took - typical;
    let mut text = format!(
        "   {} − {} typically = {}, of which\n",
        ms(took),
        ms(typical),
        signed(rest)
    );
    let told = request.deltas.iter().take(PARTS);
    for delta in told.filter(|delta| !delta.state.is_empty()) {
        let (place, part) = (visible(last_of(&delta.place)), micros(delta.delta_ns));
        let _ = writeln!(text, "   {:>14}  {place}, {}", signed(part), delta.state);
        rest -= part;
    }
    let _ = writeln!(text, "   {:>14}  all others", signed(rest));
    text
}

/// The last two steps of a place in the tree.
fn last_of(place: &str) -> &str {
    let mut steps = place.rmatch_indices(" › ");
    steps
        .nth(1)
        .map_or(place, |(at, step)| &place[at + step.len()..])
}

/// `1 request`, `16 requests`.
fn requests(n: u64) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{n} request{s}")
}

fn change_text(change: &Change) -> String {
    let (kind, requests) = (change.kind.name(), requests(change.requests));
    let cost = match change.cost_ns {
        0 => String::new(),
        cost => format!(", {} in all", human(cost)),
    };
    let mut text = format!("\n{kind} · {requests}{cost}\n");
    let _ = writeln!(text, "   {}", visible(&change.sentence));
    let _ = writeln!(text, "   threshold: {}", visible(&change.threshold));
    text
}

fn more(all: usize, what: &str) -> String {
    match all.saturating_sub(TOLD) {
        0 => String::new(),
        more => format!("\n… and {more} more {what}: --json tells all\n"),
    }
}

#[cfg(test)]
mod tests {
    use tierscope_analyzer::{Delta, Kind};
    use tierscope_model::{Timestamp, TraceId};

    use super::*;

    #[test]
    fn a_finding_says_what_it_cost_and_its_parts_sum_up() {
        let delta = |place: &str, state: &str, delta_ns| Delta {
            place: place.to_owned(),
            state: state.to_owned(),
            delta_ns,
        };
        let request = Flagged {
            endpoint: "GET /x".to_owned(),
            request_id: None,
            trace_id: TraceId(7),
            start: Timestamp(0),
            duration_ns: 210_000_000,
            baseline_ns: 2_000_000,
            excess_ns: 208_000_000,
            findings: Vec::new(),
            deltas: vec![
                delta("GET /x › query › execute", "asleep", 205_000_000),
                delta("(all others)", "", 3_000_000),
            ],
        };
        let group = Group {
            kind: Kind::SlowQuery,
            of: "SELECT".to_owned(),
            endpoint: "GET /x".to_owned(),
            requests: 1,
            cost_ns: 205_000_000,
            worst_ns: 205_000_000,
            request_id: None,
            trace_id: TraceId(7),
            sentence: "DB query `SELECT \u{1b}[31m` took 205 ms.".to_owned(),
            threshold: "over 9 ms".to_owned(),
        };
        let text = render_findings(&Findings {
            judged: 100,
            flagged: 1,
            groups: vec![group],
            requests: vec![request],
            ..Findings::default()
        });
        for line in [
            "100 requests judged, 1 with findings (1.00 %)",
            "1. slow query · GET /x · 1 request, 205 ms in all",
            "   210.000 ms − 2.000 ms typically = +208.000 ms, of which",
            "      +205.000 ms  query › execute, asleep",
            "        +3.000 ms  all others",
        ] {
            assert!(text.lines().any(|l| l == line), "{line:?} in\n{text}");
        }
        assert!(!text.contains('\u{1b}'), "outside text drives no terminal");
    }
}
