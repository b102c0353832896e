//! Why a request took longer than typical: parts that sum to the difference.

use maud::{Markup, html};
use tierscope_analyzer::Flagged;

use crate::compare::{share, signed};
use crate::duration::human;
use crate::text::visible_clip;

/// A part under this share of the difference is told with the other small ones.
const SMALL: f64 = 0.005;

/// A part of the difference.
#[derive(Debug, PartialEq)]
struct Part<'a> {
    place: &'a str,
    state: &'a str,
    delta: i64,
}

/// The parts, the largest first, each with a bar, and their sum.
pub(super) fn table(request: &Flagged) -> Markup {
    let (parts, rest) = parts(request);
    let largest = parts.iter().map(|part| part.delta.unsigned_abs()).max();
    let largest = largest.unwrap_or(0).max(1);
    let whole = request.excess_ns;
    let sum = rest + parts.iter().map(|part| part.delta).sum::<i64>();
    html! {
        div class="scroll" {
            table class="excess" {
                thead { tr {
                    th scope="col" { "Where" }
                    th scope="col" { "What went on" }
                    th scope="col" class="number" { "Δ to typical" }
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
                        "Sum = " (human(request.duration_ns)) " − " (human(request.baseline_ns)) " typically"
                    }
                    (numbers(sum, whole))
                    td {}
                } }
            }
        }
    }
}

/// What is worth a row, equal places and states in one, and the sum of all else.
fn parts(request: &Flagged) -> (Vec<Part<'_>>, i64) {
    let mut parts: Vec<Part<'_>> = Vec::new();
    for delta in &request.deltas {
        let (place, state) = (delta.place.as_str(), delta.state.as_str());
        let known = parts.iter_mut();
        let mut alike = known.filter(|part| part.place == place && part.state == state);
        match alike.next() {
            Some(part) => part.delta += delta.delta_ns,
            None => parts.push(Part {
                place,
                state,
                delta: delta.delta_ns,
            }),
        }
    }
    let least = request.excess_ns.unsigned_abs() as f64 * SMALL;
    let is_told =
        |part: &Part<'_>| !part.state.is_empty() && part.delta.unsigned_abs() as f64 >= least;
    let (mut told, others): (Vec<_>, Vec<_>) = parts.into_iter().partition(is_told);
    told.sort_by_key(|part| std::cmp::Reverse(part.delta.unsigned_abs()));
    (told, others.iter().map(|part| part.delta).sum())
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
    fn equal_places_are_one_part_small_ones_too_and_nothing_is_lost() {
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
            duration_ns: 12_000,
            baseline_ns: 2_000,
            excess_ns: 10_000,
            findings: Vec::new(),
            deltas: vec![
                delta("a › sort", "asleep", 8_000),
                delta("a › sort", "on CPU", 3_000),
                delta("a › sort", "on CPU", -1_020),
                delta("a › plan", "on CPU", 10),
                delta("(all others)", "", 10),
            ],
        };
        let (told, rest) = parts(&request);
        assert_eq!(
            told.iter().map(|part| part.delta).collect::<Vec<_>>(),
            [8_000, 1_980]
        );
        assert_eq!(rest, 20);
    }
}
