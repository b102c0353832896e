//! The page around it all.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use super::{Report, WATERFALLS, case, changes, endpoints, overview, requests, trace_data};
use crate::svg::svg_patterns;
use crate::text::visible_clip;

const STYLE: &str = include_str!("style.css");
const SCRIPTS: [&str; 3] = [
    include_str!("page.js"),
    include_str!("tables.js"),
    include_str!("waterfall.js"),
];

/// The report as an HTML document that loads nothing.
pub fn render_html(report: &Report<'_>) -> String {
    let name = visible_clip(&report.name, 120);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="referrer" content="no-referrer";
                title { (name) " · tierscope" }
                style { (PreEscaped(STYLE)) }
            }
            body { (body(report)) }
        }
    }
    .into_string()
}

fn body(report: &Report<'_>) -> Markup {
    html! {
        a class="skip" href="#main" { "Skip to the findings" }
        div class="patterns" aria-hidden="true" { (PreEscaped(svg_patterns())) }
        header class="top" {
            div {
                p class="brand" { "tierscope" }
                h1 { (visible_clip(&report.name, 120)) }
                @if !report.title.is_empty() {
                    p class="lead" { (visible_clip(&report.title, 300)) }
                }
            }
            div class="switch" role="group" aria-label="Colours" hidden {
                @for theme in ["auto", "light", "dark"] {
                    button type="button" data-theme=(theme) { (theme) }
                }
            }
        }
        nav aria-label="Parts of this report" {
            @for (id, name) in [
                ("main", "Findings"),
                ("changes", "Changes"),
                ("endpoints", "Endpoints"),
                ("requests", "Flagged requests"),
            ] {
                a href={ "#" (id) } { (name) }
            }
        }
        main id="main" tabindex="-1" {
            (overview::section(report))
            (case::all(report))
            (changes::section(report))
            (endpoints::section(report))
            (requests::section(report))
        }
        footer {
            p {
                "Bars are to scale. Dark: a call from end to end; light: work inside it; hatched: bytes that lay \
                 unread; the line at a bar’s foot: what its thread did. A difference is of own time on the critical \
                 path, so that parts sum to the whole. Judged by " (visible_clip(&report.judged_by, 200)) "."
            }
        }
        (data(report))
        @for script in SCRIPTS {
            script { (PreEscaped(script)) }
        }
    }
}

/// The traces that the script draws.
fn data(report: &Report<'_>) -> Markup {
    let groups = report.findings.groups.iter().take(WATERFALLS);
    let dearest = groups
        .enumerate()
        .filter_map(|(place, group)| Some((case::trace_id(place), report.trace(group)?)));
    let medians = report.medians.values().enumerate();
    let medians = medians
        .filter_map(|(place, median)| Some((endpoints::trace_id(place), median.trace.as_ref()?)));
    html! {
        @for (id, trace) in dearest.chain(medians) {
            script type="application/json" id=(id) { (PreEscaped(trace_data::json(trace))) }
        }
    }
}

/// Nothing may be loaded; only what stands here may run.
fn policy() -> String {
    let scripts: Vec<String> = SCRIPTS.iter().map(|script| hash(script)).collect();
    format!(
        "default-src 'none'; script-src {}; style-src {}; base-uri 'none'; form-action 'none'",
        scripts.join(" "),
        hash(STYLE)
    )
}

fn hash(text: &str) -> String {
    format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(text)))
}
