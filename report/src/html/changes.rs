//! What changed in the course of the run.

use maud::{Markup, html};

use super::Report;
use crate::duration::human;
use crate::text::visible_clip;

/// Most changes that are told.
const TOLD: usize = 100;

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
                            th scope="col" class="number" { "From" }
                            th scope="col" class="number" { "To" }
                            th scope="col" class="number" { "Requests" }
                            th scope="col" class="number" { "Cost" }
                            th scope="col" { "What" }
                        } }
                        tbody {
                            @for change in changes.iter().take(TOLD) {
                                tr {
                                    td { (change.kind.name()) }
                                    td class="number" data-v=(change.from_ns) { (seconds(change.from_ns)) }
                                    td class="number" data-v=(change.to_ns) { (seconds(change.to_ns)) }
                                    td class="number" data-v=(change.requests) { (change.requests) }
                                    td class="number" data-v=(change.cost_ns) { (human(change.cost_ns)) }
                                    td {
                                        (visible_clip(&change.sentence, 1_000))
                                        div class="of" { "Threshold: " (visible_clip(&change.threshold, 300)) }
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

fn seconds(nanos: u64) -> String {
    format!("{:.1} s", nanos as f64 / 1e9)
}
