//! What was found, at a glance.

use maud::{Markup, html};
use tierscope_analyzer::Group;

use super::{Report, WATERFALLS};
use crate::duration::human;
use crate::findings::{place, requests};
use crate::text::visible_clip;

/// Endpoints of one cause that are listed.
const ENDPOINTS: usize = 50;

/// The figures, and a table of all causes.
pub(super) fn section(report: &Report<'_>) -> Markup {
    let findings = report.findings;
    html! {
        section class="overview" aria-labelledby="found" {
            h2 id="found" { (headline(report)) }
            dl class="figures" {
                (figure("requests judged", &findings.judged.to_string()))
                (figure("with findings", &flagged(report)))
                @if findings.incomplete > 0 {
                    (figure("incomplete, not judged", &findings.incomplete.to_string()))
                }
                (figure("endpoints", &report.latencies.endpoints().count().to_string()))
                (figure("length", &human(report.latencies.length())))
            }
            @for (endpoint, n) in &findings.baseline_too_small {
                p class="note" {
                    (visible_clip(endpoint, 120)) ": baseline too small, " (n) " requests not judged."
                }
            }
            @if !findings.groups.is_empty() { (table(&findings.groups)) }
        }
    }
}

fn headline(report: &Report<'_>) -> String {
    match report.findings.groups.len() {
        0 if report.findings.judged == 0 => "Nothing could be judged".to_owned(),
        0 => "Nothing out of the ordinary".to_owned(),
        1 => "One thing was not normal".to_owned(),
        n => format!("{n} things were not normal"),
    }
}

fn flagged(report: &Report<'_>) -> String {
    let (judged, flagged) = (report.findings.judged, report.findings.flagged);
    let share = 100.0 * flagged as f64 / judged.max(1) as f64;
    format!("{flagged} ({share:.2} %)")
}

fn figure(name: &str, value: &str) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

fn table(groups: &[Group]) -> Markup {
    html! {
        div class="scroll" {
            table class="sortable" id="groups" {
                thead { tr {
                    th scope="col" class="number" { "#" }
                    th scope="col" { "Finding" }
                    th scope="col" { "Endpoint, the dearest first" }
                    th scope="col" class="number" { "Requests" }
                    th scope="col" class="number" aria-sort="descending" { "Cost in all" }
                    th scope="col" class="number" { "Dearest" }
                } }
                tbody {
                    @for (place, group) in groups.iter().enumerate() { (row(place, group)) }
                }
            }
        }
    }
}

fn row(place: usize, group: &Group) -> Markup {
    html! {
        tr {
            td class="number" data-v=(place) { (place + 1) }
            td {
                @if place < WATERFALLS {
                    a href={ "#f" (place + 1) } { (group.kind.name()) }
                } @else { (group.kind.name()) }
                @if !group.of.is_empty() {
                    " " span class="of" { (visible_clip(&group.of, 80)) }
                }
            }
            td { (endpoints(group)) }
            td class="number" data-v=(group.requests) { (group.requests) }
            td class="number" data-v=(group.cost_ns) { (human(group.cost_ns)) }
            td class="number" data-v=(group.worst_ns) { (human(group.worst_ns)) }
        }
    }
}

/// The dearest endpoint; where there are several, all are folded into it.
fn endpoints(group: &Group) -> Markup {
    if group.endpoints.len() < 2 {
        return html! { (place(group)) };
    }
    html! {
        details class="hits" {
            summary { (place(group)) }
            ul {
                @for hit in group.endpoints.iter().take(ENDPOINTS) {
                    li {
                        (visible_clip(&hit.endpoint, 100)) " "
                        span class="of" { (requests(hit.requests)) ", " (human(hit.cost_ns)) }
                    }
                }
                @if group.endpoints.len() > ENDPOINTS {
                    li { "and " (group.endpoints.len() - ENDPOINTS) " more" }
                }
            }
        }
    }
}
