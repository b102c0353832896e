//! What a request's tree rests on: the fact behind each parent link.

use std::collections::BTreeMap;

use maud::{Markup, html};
use tierscope_model::{SpanId, Trace};

use crate::label;
use crate::outline::Outline;
use crate::text::visible_clip;

/// Links from the finding's span up to the root, and how many links of each kind the trace has.
pub(super) fn part(trace: &Trace, span: Option<SpanId>) -> Markup {
    let outline = Outline::new(trace);
    let found = trace.spans.iter().position(|s| Some(s.span_id) == span);
    let chain = found.map_or_else(Vec::new, |from| chain(&outline, from));
    html! {
        h3 { "Evidence" }
        p { (counts(trace)) }
        @if !chain.is_empty() {
            div class="scroll" {
                table class="evidence" {
                    thead { tr {
                        th scope="col" { "Span" }
                        th scope="col" { "is part of" }
                        th scope="col" { "by" }
                        th scope="col" { "the same" }
                    } }
                    tbody { @for index in chain { (link(&outline, index)) } }
                }
            }
        }
    }
}

/// The spans with a parent, from `from` up.
fn chain(outline: &Outline<'_>, from: usize) -> Vec<usize> {
    let up = std::iter::successors(Some(from), |index| outline.parent[*index]);
    up.filter(|index| outline.parent[*index].is_some())
        .collect()
}

fn link(outline: &Outline<'_>, index: usize) -> Markup {
    let span = &outline.spans[index];
    let parent = outline.parent[index].map(|above| &outline.spans[above]);
    html! {
        tr {
            th scope="row" {
                (label::work_label(span)) " " span class="of" { (visible_clip(&span.resource.service, 40)) }
            }
            td {
                @if let Some(parent) = parent {
                    (label::work_label(parent)) " "
                    span class="of" { (visible_clip(&parent.resource.service, 40)) }
                }
            }
            @if let Some(link) = &span.parent {
                td { b { (link.evidence.kind()) } }
                td { code { (visible_clip(link.evidence.id(), 160)) } }
            }
        }
    }
}

/// `48 spans, joined by poll 20, probe 12, …; nothing is missing.`
fn counts(trace: &Trace) -> String {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for link in trace.spans.iter().filter_map(|span| span.parent.as_ref()) {
        *kinds.entry(link.evidence.kind()).or_default() += 1;
    }
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    kinds.sort_by_key(|(kind, n)| (std::cmp::Reverse(*n), *kind));
    let kinds: Vec<String> = kinds
        .iter()
        .map(|(kind, n)| format!("{kind} {n}"))
        .collect();
    let joined = match kinds.is_empty() {
        true => String::new(),
        false => format!(", joined by {}", kinds.join(", ")),
    };
    let missing: Vec<_> = trace
        .incomplete
        .iter()
        .map(|r| label::incomplete(*r))
        .collect();
    let missing = match (missing.is_empty(), trace.orphans().count()) {
        (true, 0) => "nothing is missing".to_owned(),
        (true, n) => format!("{n} joined to nothing"),
        (false, _) => missing.join("; "),
    };
    let s = if trace.spans.len() == 1 { "" } else { "s" };
    format!("{} span{s}{joined}; {missing}.", trace.spans.len())
}
