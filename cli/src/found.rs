//! The score of a run's findings as a table.

use tierscope_experiments::{Detection, FaultScore};

/// The heading of the table's columns, after the first.
pub const FAULTS: &str =
    "fault                            injected affected  found  named  first  error p50, p95";

/// The table of one run's faults and of its normal requests.
pub fn render_detection(found: &Detection) -> String {
    format!(
        "findings against what was injected, compared with {}:\n  {FAULTS}\n{}",
        found.baseline,
        write_detection("", found)
    )
}

/// The lines of one run, its name in front of each.
pub fn write_detection(name: &str, found: &Detection) -> String {
    let name = match name {
        "" => "  ".to_owned(),
        name => format!("{name:<27}"),
    };
    let mut lines: Vec<String> = Vec::new();
    for score in &found.faults {
        lines.push(fault(score));
        let instead = score.instead.iter();
        lines.extend(instead.map(|(kind, n)| format!("{:33}{n} × {kind} instead", "")));
    }
    for change in &found.changes {
        let (fault, injected, found) = (&change.fault, change.injected, change.found);
        lines.push(format!("{fault} changed {injected} times, {found} found"));
    }
    lines.push(normal(found));
    lines.iter().map(|line| format!("{name}{line}\n")).collect()
}

fn fault(score: &FaultScore) -> String {
    format!(
        "{:<33}{:>8}{:>9}{:>7}{:>7}{:>7}  {}",
        score.fault,
        score.injected,
        score.affected,
        score.found,
        score.named,
        score.first,
        magnitude(score)
    )
}

/// `1.2 ms (0.6 %), 3.4 ms (1.7 %)`.
fn magnitude(score: &FaultScore) -> String {
    let error = &score.magnitude;
    if error.n == 0 {
        return "–".to_owned();
    }
    let one = |ns: u64, share: f64| format!("{:.1} ms ({:.1} %)", ns as f64 / 1e6, 100.0 * share);
    let (p50, p95) = (one(error.p50_ns, error.p50), one(error.p95_ns, error.p95));
    format!("{p50}, {p95}")
}

fn normal(found: &Detection) -> String {
    let share = 100.0 * found.false_alarms as f64 / found.normal.max(1) as f64;
    let list = |kinds: &std::collections::BTreeMap<String, u64>| {
        let kinds: Vec<_> = kinds
            .iter()
            .map(|(kind, n)| format!("{n} × {kind}"))
            .collect();
        kinds.join(", ")
    };
    let mut text = format!(
        "{} normal requests: {} false alarms ({share:.2} %)",
        found.normal, found.false_alarms
    );
    if !found.alarms_by_kind.is_empty() {
        text += &format!(": {}", list(&found.alarms_by_kind));
    }
    if found.normal_not_judged > 0 {
        text += &format!("; {} without a verdict", found.normal_not_judged);
    }
    if !found.false_changes.is_empty() {
        text += &format!(
            "; changes told that were not made: {}",
            list(&found.false_changes)
        );
    }
    text
}
