//! All requests with findings, in one table.

use std::collections::BTreeSet;

use maud::{Markup, html};
use tierscope_analyzer::Flagged;

use super::Report;
use super::excess::TYPICAL;
use super::prose::prose;
use crate::compare::signed;
use crate::duration::human;
use crate::text::visible_clip;

/// Most requests in the table; of more, the dearest.
const MOST: usize = 2_000;

/// The part of a row's id that keys the request.
pub(super) fn anchor(request: &Flagged) -> String {
    match request.request_id {
        Some(id) => id.to_string(),
        None => request.trace_id.to_string(),
    }
}

/// The table, with what it can be filtered by.
pub(super) fn section(report: &Report<'_>) -> Markup {
    let requests = &report.findings.requests;
    html! {
        section id="requests" {
            h2 { "Flagged requests" }
            @if requests.is_empty() { p class="note" { "None." } }
            @else {
                (filter(requests))
                (table(report, &requests[..requests.len().min(MOST)]))
            }
            @if report.findings.flagged > requests.len().min(MOST) as u64 {
                p class="note" {
                    "These are the dearest of " (report.findings.flagged)
                    "; `tierscope analyze --json` tells 10,000."
                }
            }
        }
    }
}

fn filter(requests: &[Flagged]) -> Markup {
    let kinds: BTreeSet<&str> = requests
        .iter()
        .flat_map(|request| request.findings.iter().map(|found| found.kind.name()))
        .collect();
    let endpoints: BTreeSet<&str> = requests.iter().map(|r| r.endpoint.as_str()).collect();
    html! {
        form class="filter" data-table="flagged" hidden {
            label { "Search " input type="search" name="text" autocomplete="off"; }
            label { "Finding " (choice("kind", &kinds)) }
            label { "Endpoint " (choice("endpoint", &endpoints)) }
            output aria-live="polite" {}
        }
    }
}

fn choice(name: &str, values: &BTreeSet<&str>) -> Markup {
    html! {
        select name=(name) {
            option value="" { "all" }
            @for value in values {
                option { (visible_clip(value, 100)) }
            }
        }
    }
}

fn table(report: &Report<'_>, requests: &[Flagged]) -> Markup {
    html! {
        div class="scroll" {
            table class="sortable" id="flagged" {
                thead { tr {
                    th scope="col" class="number" { "At" }
                    th scope="col" { "Request" }
                    th scope="col" { "Endpoint" }
                    th scope="col" class="number" { "Took" }
                    th scope="col" class="number" title=(TYPICAL) { "Over typical" }
                    th scope="col" { "Findings" }
                    th scope="col" class="number" aria-sort="descending" { "Cost" }
                } }
                tbody { @for request in requests { (row(report, request)) } }
            }
        }
    }
}

fn row(report: &Report<'_>, request: &Flagged) -> Markup {
    let at = request.start.since(report.latencies.origin());
    let id = anchor(request);
    let kinds: BTreeSet<&str> = request.findings.iter().map(|f| f.kind.name()).collect();
    let kinds: Vec<&str> = kinds.into_iter().collect();
    let endpoint = visible_clip(&request.endpoint, 100);
    let cost = request.findings.first().map_or(0, |found| found.cost_ns);
    html! {
        tr id={ "r-" (id) } data-kind=(kinds.join("|")) data-endpoint=(endpoint) {
            td class="number" data-v=(at) { (format!("{:.2} s", at as f64 / 1e9)) }
            td { code title=(id) { (id.get(..8).unwrap_or(&id)) } }
            td { (endpoint) }
            td class="number" data-v=(request.duration_ns) { (human(request.duration_ns)) }
            td class="number" data-v=(request.excess_ns) { (signed(request.excess_ns)) }
            td class="told" {
                @for found in request.findings.iter().take(3) {
                    div { b { (found.kind.name()) } " " (prose(&found.sentence, 400)) }
                }
            }
            td class="number" data-v=(cost) { (human(cost)) }
        }
    }
}
