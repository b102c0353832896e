//! What changed in the course of the run.

use maud::{Markup, html};
use tierscope_analyzer::Change;

use super::Report;
use super::prose::prose;
use crate::duration::human;

/// Most changes that are told.
const TOLD: usize = 100;
/// Most times of one that are told.
const TIMES: usize = 8;

/// One row per change, the dearest first.
pub(super) fn section(report: &Report<'_>) -> Markup {
    let changes = &report.findings.changes;
    html! {
        section id="changes" {
            h2 { "What changed in its course" }
            @if changes.is_empty() { p class="note" { "Nothing that is worth a word." } }
            @else {
                div class="scroll" {
                    table class="sortable" {
                        thead { tr {
                            th scope="col" { "Change" }
                            th scope="col" class="number" { "When" }
                            th scope="col" class="number" { "Requests" }
                            th scope="col" class="number" aria-sort="descending" { "Cost" }
                            th scope="col" { "What" }
                        } }
                        tbody {
                            @for change in changes.iter().take(TOLD) {
                                tr {
                                    td { (change.kind.name()) }
                                    td class="number" data-v=(change.from_ns) { (when(change)) }
                                    td class="number" data-v=(change.requests) { (change.requests) }
                                    td class="number" data-v=(change.cost_ns) { (human(change.cost_ns)) }
                                    td {
                                        (prose(&change.sentence, 1_000))
                                        div class="of" { "Threshold: " (prose(&change.threshold, 300)) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Its times, one below the other; of more, how many.
fn when(change: &Change) -> Markup {
    let seconds = |nanos: u64| format!("{:.1}", nanos as f64 / 1e9);
    html! {
        @for time in change.windows.iter().take(TIMES) {
            div { (seconds(time.from_ns)) " to " (seconds(time.to_ns)) " s" }
        }
        @if change.windows.len() > TIMES {
            div class="of" { "and " (change.windows.len() - TIMES) " more" }
        }
    }
}
