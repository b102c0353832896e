//! One finding: what it was, why its dearest request took so long, and what that rests on.

use maud::{Markup, PreEscaped, html};
use tierscope_analyzer::{Finding, Flagged, Group};
use tierscope_model::Trace;

use super::prose::prose;
use super::{Report, WATERFALLS, comparison, evidence, excess};
use crate::duration::human;
use crate::findings;
use crate::svg::inline_svg;
use crate::text::visible_clip;

/// Findings that are unfolded from the start.
const OPEN: usize = 3;
/// A trace of more spans has no picture beside the one that the script draws.
const LARGE: usize = 2_000;

/// The id of the JSON of a finding's trace.
pub(super) fn trace_id(place: usize) -> String {
    format!("trace-f{}", place + 1)
}

/// All findings that have a place of their own.
pub(super) fn all(report: &Report<'_>) -> Markup {
    let groups = &report.findings.groups;
    html! {
        @for (place, group) in groups.iter().take(WATERFALLS).enumerate() {
            (case(report, place, group))
        }
        @if groups.len() > WATERFALLS {
            p class="note" {
                "… and " (groups.len() - WATERFALLS) " more in the table above, without waterfalls."
            }
        }
    }
}

fn case(report: &Report<'_>, place: usize, group: &Group) -> Markup {
    let (dearest, trace) = (report.dearest(group), report.trace(group));
    let finding = dearest.and_then(|request| {
        let mut all = request.findings.iter();
        all.find(|found| found.kind == group.kind && found.of == group.of)
    });
    html! {
        details class="case" id={ "f" (place + 1) } open[place < OPEN] {
            summary { (title(place, group)) }
            p class="sentence" { (prose(&group.sentence, 2_000)) }
            p class="threshold" { b { "Threshold: " } (prose(&group.threshold, 500)) }
            @if let Some(request) = dearest { (why(request)) }
            @if let Some(trace) = trace {
                (waterfall(trace, &trace_id(place), finding))
                @if let Some(median) = report.medians.get(&group.endpoint) {
                    (comparison::part(median, trace))
                }
                (evidence::part(trace, finding.and_then(|found| found.span)))
            }
        }
    }
}

fn title(place: usize, group: &Group) -> Markup {
    html! {
        h2 {
            span class="place" { (place + 1) }
            (group.kind.name())
            span class="where" { (findings::place(group)) }
        }
        span class="cost" {
            (findings::requests(group.requests)) " · " b { (human(group.cost_ns)) } " in all"
        }
    }
}

fn why(request: &Flagged) -> Markup {
    let id = match request.request_id {
        Some(id) => format!("request {id}"),
        None => format!("trace {}", request.trace_id),
    };
    html! {
        h3 { "Why its dearest request took longer" }
        p class="facts" {
            (visible_clip(&request.endpoint, 100)) " · "
            code { (id) }
            " · " (human(request.duration_ns)) ", typically " (human(request.baseline_ns))
        }
        (excess::table(request))
    }
}

/// The picture, which the script makes one to fold and zoom; the finding's span is chosen first.
pub(super) fn waterfall(trace: &Trace, id: &str, finding: Option<&Finding>) -> Markup {
    let wanted = finding.and_then(|found| found.span);
    let chosen = trace.spans.iter().position(|s| Some(s.span_id) == wanted);
    html! {
        h3 { "Waterfall" }
        div class="waterfall" data-trace=(id) data-span=[chosen] {
            div class="static" {
                @if trace.spans.len() <= LARGE { (PreEscaped(inline_svg(trace))) }
                @else { p class="note" { (trace.spans.len()) " spans: drawn by the script only." } }
            }
        }
    }
}
