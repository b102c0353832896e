//! What an analysis found, in sentences.

use std::fmt::Write as _;

use tierscope_analyzer::{Change, Findings, Flagged, Group};

use crate::duration::human;
use crate::sum::{micros, ms, signed};
use crate::text::{visible, visible_clip};

/// Groups and changes that are told; of more, their number.
const TOLD: usize = 20;
/// Parts of the dearest request's excess that are told.
const PARTS: usize = 4;
/// Endpoints of a group that are told one by one.
const ENDPOINTS: usize = 8;
/// Longest name of an endpoint, in columns.
const LONGEST: usize = 100;

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
    let (kind, endpoint) = (group.kind.name(), place(group));
    let (requests, cost) = (requests(group.requests), human(group.cost_ns));
    let _ = writeln!(
        text,
        "\n{number}. {kind} · {endpoint} · {requests}, {cost} in all"
    );
    let _ = writeln!(text, "   {}", visible(&group.sentence));
    let _ = writeln!(text, "   threshold: {}", visible(&group.threshold));
    let (worst, trace) = (human(group.worst_ns), group.trace_id);
    let of = match group.endpoints.len() {
        0 | 1 => String::new(),
        _ => {
            let _ = writeln!(text, "   endpoints: {}", hits(group));
            format!(" of {}", visible(&group.endpoint))
        }
    };
    let _ = writeln!(text, "   the dearest: {trace}{of}, {worst} of it");
    if let Some(request) = request {
        text.push_str(&excess(request));
    }
    text
}

/// The endpoint that it cost most in all: `GET /x`, `GET /x and 2 others`.
pub(crate) fn place(group: &Group) -> String {
    let first = group.endpoints.first().map_or("", |hit| &hit.endpoint);
    let first = visible_clip(first, LONGEST);
    match group.endpoints.len().saturating_sub(1) {
        0 => first,
        1 => format!("{first} and 1 other"),
        n => format!("{first} and {n} others"),
    }
}

/// `GET /x 12 requests, 1.20 s; GET /y 1 request, 12.0 ms; and 3 more`.
fn hits(group: &Group) -> String {
    let told = group.endpoints.iter().take(ENDPOINTS).map(|hit| {
        let (requests, cost) = (requests(hit.requests), human(hit.cost_ns));
        format!("{} {requests}, {cost}", visible(&hit.endpoint))
    });
    let mut told: Vec<String> = told.collect();
    let more = group.endpoints.len().saturating_sub(ENDPOINTS);
    if more > 0 {
        told.push(format!("and {more} more"));
    }
    told.join("; ")
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
pub(crate) fn requests(n: u64) -> String {
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
    use tierscope_analyzer::{Delta, Hit, Kind};
    use tierscope_model::{Timestamp, TraceId};

    use super::*;

    #[test]
    fn a_finding_says_what_it_cost_and_its_parts_sum_up() {
        let delta = |place: &str, state: &str, delta_ns| Delta {
            place: place.to_owned(),
            state: state.to_owned(),
            delta_ns,
        };
        let hit = |endpoint: &str, requests, cost_ns| Hit {
            endpoint: endpoint.to_owned(),
            requests,
            cost_ns,
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
            endpoints: vec![hit("GET /x", 1, 205_000_000), hit("GET /y", 2, 30_000_000)],
            endpoint: "GET /x".to_owned(),
            requests: 3,
            cost_ns: 235_000_000,
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
            "1. slow query · GET /x and 1 other · 3 requests, 235 ms in all",
            "   endpoints: GET /x 1 request, 205 ms; GET /y 2 requests, 30.0 ms",
            "   the dearest: 00000000000000000000000000000007 of GET /x, 205 ms of it",
            "   210.000 ms − 2.000 ms typically = +208.000 ms, of which",
            "      +205.000 ms  query › execute, asleep",
            "        +3.000 ms  all others",
        ] {
            assert!(text.lines().any(|l| l == line), "{line:?} in\n{text}");
        }
        assert!(!text.contains('\u{1b}'), "outside text drives no terminal");
    }
}
