//! Why a request took longer than typical: parts that sum to the difference.

use maud::{Markup, html};
use tierscope_analyzer::Flagged;

use crate::compare::share;
use crate::sum::{micros, ms, signed};
use crate::text::visible_clip;

/// A part under this share of the difference is told with the other small ones.
const SMALL: f64 = 0.005;

/// What the word means.
pub(super) const TYPICAL: &str = "typical: the mean of the endpoint’s requests from p25 to p75";

/// A part of the difference.
#[derive(Debug, PartialEq)]
struct Part<'a> {
    place: &'a str,
    state: &'a str,
    /// In microseconds.
    delta: i64,
}

/// The parts, the largest first, each with a bar, and their sum.
pub(super) fn table(request: &Flagged) -> Markup {
    let parts = parts(request);
    let largest = parts.iter().map(|part| part.delta.unsigned_abs()).max();
    let largest = largest.unwrap_or(0).max(1);
    let [took, typical] = [request.duration_ns, request.baseline_ns].map(|n| micros(n as i64));
    let whole = took - typical;
    let rest = whole - parts.iter().map(|part| part.delta).sum::<i64>();
    html! {
        div class="scroll" {
            table class="excess" {
                thead { tr {
                    th scope="col" { "Where" }
                    th scope="col" { "What went on" }
                    th scope="col" class="number" title=(TYPICAL) { "Over typical" }
                    th scope="col" class="number" { "Share" }
                    th scope="col" class="bars" { span class="unseen" { "To scale" } }
                } }
                tbody {
                    @for part in &parts {
                        tr {
                            td { (place(part.place)) }
                            td { (visible_clip(part.state, 60)) }
                            (numbers(part.delta, whole))
                            td class="bars" { (bar(part.delta, largest)) }
                        }
                    }
                    tr { td class="of" colspan="2" { "all others" } (numbers(rest, whole)) td {} }
                }
                tfoot { tr {
                    th scope="row" colspan="2" {
                        "Sum = " (ms(took)) " − " (ms(typical)) " typically"
                    }
                    (numbers(whole, whole))
                    td {}
                } }
            }
        }
    }
}

/// What is worth a row.
fn parts(request: &Flagged) -> Vec<Part<'_>> {
    let least = request.excess_ns.unsigned_abs() as f64 * SMALL;
    let told = request
        .deltas
        .iter()
        .filter(|delta| !delta.state.is_empty() && delta.delta_ns.unsigned_abs() as f64 >= least);
    told.map(|delta| Part {
        place: &delta.place,
        state: &delta.state,
        delta: micros(delta.delta_ns),
    })
    .collect()
}

fn numbers(delta: i64, whole: i64) -> Markup {
    html! {
        td class="number" { (signed(delta)) }
        td class="number" { (share(delta, whole)) }
    }
}

/// A place in the tree: its last step, and the one above it.
fn place(path: &str) -> Markup {
    let mut steps = path.rsplit(" › ");
    let (last, above) = (steps.next().unwrap_or_default(), steps.next());
    html! {
        div { (visible_clip(last, 100)) }
        @if let Some(above) = above {
            div class="of" title=(visible_clip(path, 600)) { "in " (visible_clip(above, 120)) }
        }
    }
}

fn bar(delta: i64, largest: u64) -> Markup {
    let width = (100.0 * delta.unsigned_abs() as f64 / largest as f64).max(0.5);
    let class = if delta > 0 { "worse" } else { "better" };
    html! {
        svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true" {
            rect class=(class) x="0" y="1" height="8" width=(format!("{width:.1}")) {}
        }
    }
}

#[cfg(test)]
mod tests {
    use tierscope_analyzer::Delta;
    use tierscope_model::{Timestamp, TraceId};

    use super::*;

    #[test]
    fn small_parts_are_told_with_all_others() {
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
            duration_ns: 12_000_000,
            baseline_ns: 2_000_000,
            excess_ns: 10_000_000,
            findings: Vec::new(),
            deltas: vec![
                delta("a › sort", "asleep", 8_000_000),
                delta("a › sort", "on CPU", 1_980_400),
                delta("a › plan", "on CPU", 10_000),
                delta("(all others)", "", 9_600),
            ],
        };
        let told: Vec<i64> = parts(&request).iter().map(|part| part.delta).collect();
        assert_eq!(told, [8_000, 1_980]);
        let table = table(&request).into_string();
        assert!(
            table.contains("Sum = 12.000 ms − 2.000 ms typically"),
            "{table}"
        );
        assert!(
            table.contains("+0.020 ms"),
            "what rounding leaves is there: {table}"
        );
    }
}
