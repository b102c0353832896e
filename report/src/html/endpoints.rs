//! Every endpoint: how long its requests take, and when that was otherwise.

use maud::{Markup, PreEscaped, html};
use tierscope_analyzer::Flagged;

use super::latency::Latency;
use super::{Report, case, plot};
use crate::duration::human;
use crate::text::visible_clip;

/// The id of the JSON of an endpoint's median trace.
pub(super) fn trace_id(place: usize) -> String {
    format!("trace-e{}", place + 1)
}

/// A table of all, then each with its pictures and its median request.
pub(super) fn section(report: &Report<'_>) -> Markup {
    html! {
        section id="endpoints" {
            h2 { "Endpoints" }
            (table(report))
            @if report.latencies.left_out() > 0 {
                p class="note" { (report.latencies.left_out()) " requests of further endpoints are not shown." }
            }
            @for (place, (name, latency)) in report.latencies.endpoints().enumerate() {
                (endpoint(report, place, name, latency))
            }
        }
    }
}

fn flagged<'a>(report: &Report<'a>, name: &str) -> Vec<&'a Flagged> {
    let all = report.findings.requests.iter();
    all.filter(|request| request.endpoint == name).collect()
}

/// Of an endpoint's requests, those with findings of their own, and those that the host held up with others.
fn found(report: &Report<'_>, name: &str, latency: &Latency) -> [u64; 2] {
    let together = report.findings.together.iter();
    let together = together.filter(|request| request.endpoint == name).count() as u64;
    [latency.flagged.saturating_sub(together), together]
}

fn table(report: &Report<'_>) -> Markup {
    html! {
        div class="scroll" {
            table class="sortable" id="latencies" {
                thead { tr {
                    th scope="col" aria-sort="ascending" { "Endpoint" }
                    @for name in ["Requests", "p50", "p90", "p99", "p99.9", "Greatest", "Flagged", "Held up by the host"] {
                        th scope="col" class="number" { (name) }
                    }
                } }
                tbody {
                    @for (place, (name, latency)) in report.latencies.endpoints().enumerate() {
                        tr {
                            td { a href={ "#e" (place + 1) } { (visible_clip(name, 100)) } }
                            td class="number" data-v=(latency.count()) { (latency.count()) }
                            @for share in [0.5, 0.9, 0.99, 0.999, 1.0] {
                                @let nanos = latency.quantile(share);
                                td class="number" data-v=(nanos) { (human(nanos)) }
                            }
                            @for n in found(report, name, latency) {
                                td class="number" data-v=(n) { (n) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn endpoint(report: &Report<'_>, place: usize, name: &str, latency: &Latency) -> Markup {
    let flagged = flagged(report, name);
    let time = (report.latencies.origin(), report.latencies.length());
    html! {
        article class="endpoint" id={ "e" (place + 1) } {
            h3 { (visible_clip(name, 120)) }
            div class="plots" {
                (figure(plot::distribution(latency, &flagged),
                    "How often which latency was; red ticks are flagged requests"))
                (figure(plot::over_time(latency, &flagged, time),
                    "Latency over time: median (line) to p99 (band); red dots are flagged requests"))
            }
            (median(report, name))
        }
    }
}

fn figure(picture: Result<String, plot::Failed>, caption: &str) -> Markup {
    html! {
        figure {
            @match picture {
                Ok(svg) => (PreEscaped(svg)),
                Err(failed) => p class="note" { (failed) },
            }
            figcaption { (caption) }
        }
    }
}

/// The endpoint's median request, folded away.
fn median(report: &Report<'_>, name: &str) -> Markup {
    let place = report.medians.keys().position(|key| key == name);
    let median = report.medians.get(name);
    let trace = median.and_then(|median| median.trace.as_ref());
    html! {
        @if let (Some(place), Some(trace)) = (place, trace) {
            details class="median" {
                summary { "The median request, " (human(trace.duration())) }
                (case::waterfall(trace, &trace_id(place), None))
            }
        }
    }
}
