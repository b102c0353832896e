//! A request beside the median one of its endpoint.

use maud::{Markup, html};
use tierscope_analyzer::{Cell, Comparison, compare};
use tierscope_model::{Nanos, Trace};

use super::Median;
use crate::compare::{
    Line, difference, durations, is_worse, lines, name, normal, sentence, share, signed,
};
use crate::duration::human;
use crate::text::visible_clip;
use crate::tier::Tiers;

/// Width of the bars' picture, in its own units.
const WIDE: f64 = 1_000.0;
/// Colours of tiers.
const TIERS: usize = 6;

/// The sentence and the table; nothing where the median request is this one, or there is none.
pub(super) fn part(median: &Median, trace: &Trace) -> Markup {
    let other = median.trace.as_ref();
    let Some(other) = other.filter(|other| other.trace_id != trace.trace_id) else {
        return html! {};
    };
    let comparison = compare(other, trace, Some(&median.usual));
    html! {
        h3 { "Compared with the median request" }
        p { (sentence(&comparison)) }
        (table(&comparison, median.count))
    }
}

fn table(comparison: &Comparison<'_>, count: u64) -> Markup {
    let lines = lines(&comparison.rows);
    let tiers = Tiers::of(comparison.b);
    let cells = lines.iter().flat_map(|line| [&line.a, &line.b]).flatten();
    let ends = cells.flat_map(|cell| cell.stretches.iter().map(|(_, to)| *to));
    let end = ends.max().unwrap_or(0).max(1);
    let sum: i64 = lines.iter().map(|line| line.delta_ns).sum();
    html! {
        div class="scroll" {
            table class="comparison" {
                thead { tr {
                    th scope="col" { "Span" }
                    th scope="col" class="bars" { "Median one above, this one below" }
                    th scope="col" class="number" title=(format!("the median request of {count}")) { "Median" }
                    th scope="col" class="number" { "This" }
                    th scope="col" class="number" title="of its own time, without the rows under it" { "Δ" }
                    th scope="col" class="number" { "Share" }
                    th scope="col" { span class="unseen" { "What became of it" } }
                    th scope="col" title="its own time in the middle four fifths of the requests" { "Normal" }
                } }
                tbody {
                    @for line in &lines { (row(line, &tiers, end, comparison.delta_ns)) }
                }
                tfoot { tr {
                    th scope="row" colspan="2" { "Total" }
                    td class="number" { (human(comparison.a.duration())) }
                    td class="number" { (human(comparison.b.duration())) }
                    td class="number" { (signed(sum)) }
                    td class="number" { (share(sum, comparison.delta_ns)) }
                    td colspan="2" {}
                } }
            }
        }
    }
}

fn row(line: &Line<'_>, tiers: &Tiers<'_>, end: Nanos, whole: i64) -> Markup {
    let [a, b] = durations(line);
    let tier = tiers.index(line.service) % TIERS;
    let class = match () {
        () if line.noise => "noise",
        () if is_worse(line) => "worse",
        () => "better",
    };
    let unknown = line
        .normal
        .is_none()
        .then_some("not known: too few requests of this endpoint");
    let depth = (line.more.len().saturating_sub(1)).min(20);
    html! {
        tr class=(class) {
            th scope="row" class={ "d" (depth) } title=(visible_clip(line.service, 60)) {
                i class={ "swatch t" (tier) } {} (name(line))
            }
            td class="bars" title=(hover(line)) { (bars(line, tier, end)) }
            td class="number" { (a) }
            td class="number" { (b) }
            td class="number delta" { (difference(line)) }
            td class="number delta" { (share(line.delta_ns, whole)) }
            td class="delta" { (line.tag.name()) }
            td class="normal" title=[unknown] { (normal(line)) }
        }
    }
}

/// What may be too short to be seen.
fn hover(line: &Line<'_>) -> String {
    let side = |cell: &Option<Cell>| match cell
        .as_ref()
        .zip(cell.as_ref().and_then(|c| c.stretches.first()))
    {
        Some((cell, (from, _))) => format!("{} from {}", human(cell.duration_ns), human(*from)),
        None => "not there".to_owned(),
    };
    let [a, b] = [&line.a, &line.b].map(side);
    format!("{}: median {a}; this {b}", name(line))
}

fn bars(line: &Line<'_>, tier: usize, end: Nanos) -> Markup {
    html! {
        svg class="pair" viewBox="0 0 1000 18" preserveAspectRatio="none" aria-hidden="true" {
            (stretches(&line.a, 1, &format!("soft t{tier}"), end))
            (stretches(&line.b, 10, &format!("strong t{tier}"), end))
        }
    }
}

fn stretches(cell: &Option<Cell>, y: u32, class: &str, end: Nanos) -> Markup {
    let x = |at: Nanos| at as f64 / end as f64 * WIDE;
    html! {
        @for (from, to) in cell.iter().flat_map(|cell| &cell.stretches) {
            rect class=(class) x=(format!("{:.1}", x(*from))) y=(y) height="7"
                width=(format!("{:.1}", (x(*to) - x(*from)).max(3.0))) {}
        }
    }
}
