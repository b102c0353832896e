//! Comparisons become changes: one per cause.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tierscope_model::Nanos;

use super::Subject;
use super::load::RateShift;
use crate::cause::CauseKind;
use crate::finding::Kind;
use crate::names::Names;
use crate::words::{chance, count, ms, statement};

/// Stretches of time that a sentence lists one by one.
const NAMED: usize = 4;

/// Something that changed for a time, at one endpoint or more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Which kind.
    pub kind: Kind,
    /// Of what, as in [`crate::Finding::of`].
    pub of: String,
    /// Where it was seen.
    pub endpoints: Vec<String>,
    /// From when, in nanoseconds since the first request.
    pub from_ns: Nanos,
    /// Its end.
    pub to_ns: Nanos,
    /// When in that time it was so, in order.
    #[serde(default)]
    pub windows: Vec<Window>,
    /// Requests in that time, of these endpoints.
    pub requests: u64,
    /// What it cost them in all, in nanoseconds.
    pub cost_ns: Nanos,
    /// The greatest effect: Cliff's δ.
    pub effect: f64,
    /// The least p, before correction for the number of comparisons.
    pub p: f64,
    /// It in a sentence, with its numbers.
    pub sentence: String,
    /// What it took to be told.
    pub threshold: String,
}

/// A stretch of time in which something was changed, in nanoseconds since the first request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Its begin.
    pub from_ns: Nanos,
    /// Its end.
    pub to_ns: Nanos,
}

/// One comparison with a p of at most q.
#[derive(Clone, Debug)]
pub(crate) struct Shifted {
    pub(crate) number: u64,
    pub(crate) endpoint: String,
    pub(crate) subject: Subject,
    pub(crate) p: f64,
    pub(crate) effect: f64,
    pub(crate) mean: Nanos,
    pub(crate) usual: Nanos,
    /// Of cache misses: how many per request, and how many normally.
    pub(crate) rate: Option<(f64, f64)>,
    pub(crate) n: u64,
    pub(crate) of: u64,
    /// The effect is great enough.
    pub(crate) worth: bool,
}

/// One change per cause, with its stretches of time; what a change of the rate explains is part of that.
pub(crate) fn changes(
    shifted: Vec<Shifted>,
    loads: &[RateShift],
    length: Nanos,
    names: &Names,
) -> Vec<Change> {
    let mut by_load: Vec<Vec<Shifted>> = vec![Vec::new(); loads.len()];
    let mut by_subject: BTreeMap<Subject, Vec<Shifted>> = BTreeMap::new();
    for one in shifted {
        let load = loads.iter().position(|load| {
            load.after > load.before
                && (load.number..load.end).contains(&one.number)
                && follows_load(one.subject, names)
        });
        match load {
            Some(load) => by_load[load].push(one),
            None => by_subject.entry(one.subject).or_default().push(one),
        }
    }
    let mut changes: Vec<Change> = loads
        .iter()
        .zip(&by_load)
        .map(|(l, s)| of_load(l, s, length))
        .collect();
    for (subject, mut all) in by_subject {
        all.sort_by_key(|one| one.number);
        changes.push(of_cause(subject, &all, length, names));
    }
    changes.sort_by(|a, b| {
        b.cost_ns
            .cmp(&a.cost_ns)
            .then_with(|| a.sentence.cmp(&b.sentence))
    });
    changes
}

/// Whether more requests alone bring more of it.
fn follows_load(subject: Subject, names: &Names) -> bool {
    let Subject::Cause(cause) = subject else {
        return false;
    };
    !matches!(
        names.cause_of(cause).kind,
        CauseKind::Retransmit | CauseKind::Lock | CauseKind::Stopped
    )
}

fn cost(all: &[Shifted]) -> Nanos {
    all.iter()
        .map(|one| one.mean.saturating_sub(one.usual).saturating_mul(one.n))
        .sum()
}

fn endpoints(all: &[Shifted]) -> Vec<String> {
    let endpoints: BTreeSet<&String> = all.iter().map(|one| &one.endpoint).collect();
    endpoints.into_iter().cloned().collect()
}

fn threshold(subject: Subject) -> String {
    let more = match subject {
        Subject::Cause(_) => "1 ms and a tenth of the median more",
        Subject::Misses => "half a miss per request more",
    };
    format!("by rank at a false discovery rate of 1 %, Cliff's δ of 0.33, {more}")
}

fn of_load(load: &RateShift, all: &[Shifted], length: Nanos) -> Change {
    let (before, after) = (load.before, load.after);
    let slower = match endpoints(all).len() as u64 {
        0 => "no endpoint got slower for it".to_owned(),
        n => format!("{} got slower for it", count(n, "endpoint")),
    };
    let window = Window {
        from_ns: load.number * length,
        to_ns: load.end * length,
    };
    let from = window.from_ns as f64 / 1e9;
    let p = load.p(length);
    Change {
        kind: Kind::LoadShift,
        of: String::new(),
        endpoints: endpoints(all),
        from_ns: window.from_ns,
        to_ns: window.to_ns,
        windows: vec![window],
        requests: (after * (window.to_ns - window.from_ns) as f64 / 1e9) as u64,
        cost_ns: cost(all),
        effect: all.iter().map(|one| one.effect).fold(0.0, f64::max),
        p: all.iter().map(|one| one.p).fold(p, f64::min),
        sentence: format!(
            "the load went from {before:.0} to {after:.0} requests/s {from:.0} s after the first request (× {:.2}, {}); {slower}.",
            after / before,
            chance(p),
        ),
        threshold: "a rate that differs by a factor of 1.4, and by more than five times what chance makes of it, in two windows"
            .to_owned(),
    }
}

fn of_cause(subject: Subject, all: &[Shifted], length: Nanos, names: &Names) -> Change {
    let (kind, of, what) = match subject {
        Subject::Misses => (Kind::CacheMisses, String::new(), "cache misses".to_owned()),
        Subject::Cause(cause) => {
            let cause = names.cause_of(cause);
            let of = match &*cause.of {
                "" => String::new(),
                of => format!(" ({})", statement(of)),
            };
            let what = format!("{}{of}", cause.kind.name());
            (cause.kind.finding(), cause.of.to_string(), what)
        }
    };
    let windows = windows(all, length);
    let endpoints = endpoints(all);
    Change {
        kind,
        of,
        from_ns: windows.first().map_or(0, |window| window.from_ns),
        to_ns: windows.last().map_or(0, |window| window.to_ns),
        requests: all.iter().map(|one| one.n).sum(),
        cost_ns: cost(all),
        effect: all.iter().map(|one| one.effect).fold(0.0, f64::max),
        p: all.iter().map(|one| one.p).fold(1.0, f64::min),
        sentence: sentence(&what, all, &windows, &endpoints),
        endpoints,
        windows,
        threshold: threshold(subject),
    }
}

/// The stretches of time that comparisons, in order of time, are of; one window between two ends none.
fn windows(all: &[Shifted], length: Nanos) -> Vec<Window> {
    let stretches = all.chunk_by(|a, b| b.number <= a.number + 2);
    let window = |stretch: &[Shifted]| {
        let (first, last) = (stretch.first()?, stretch.last()?);
        Some(Window {
            from_ns: first.number * length,
            to_ns: (last.number + 1) * length,
        })
    };
    stretches.filter_map(window).collect()
}

fn sentence(what: &str, all: &[Shifted], windows: &[Window], endpoints: &[String]) -> String {
    let worst = all
        .iter()
        .max_by_key(|one| one.mean.saturating_sub(one.usual));
    let time = time(windows);
    let Some(worst) = worst else {
        return time;
    };
    let others = match endpoints.len() {
        0 | 1 => String::new(),
        n => format!(" (and {})", count(n as u64 - 1, "other endpoint")),
    };
    let (n, of) = (count(worst.n, "request"), count(worst.of, "request"));
    let (mean, usual) = (ms(worst.mean), ms(worst.usual));
    let more = match worst.rate {
        Some((rate, before)) => format!(
            "{rate:.2} per request over {n}; before {before:.2} over {of}. Requests took {mean} on average, before {usual}"
        ),
        None => format!("{mean} on average over {n}; before {usual} over {of}"),
    };
    let (effect, chance) = (worst.effect, chance(worst.p));
    format!(
        "{time}: more {what} at {}{others}: {more} (Cliff's δ {effect:.2}, {chance}).",
        worst.endpoint
    )
}

/// `From 5 s to 15 s and from 20 s to 25 s`; of many, how many.
fn time(windows: &[Window]) -> String {
    let seconds = |nanos: Nanos| format!("{:.0} s", nanos as f64 / 1e9);
    let word = |w: &Window| format!("from {} to {}", seconds(w.from_ns), seconds(w.to_ns));
    match windows {
        [] => "At some time".to_owned(),
        [one] => format!("F{}", &word(one)[1..]),
        [first, .., last] if windows.len() > NAMED => format!(
            "{} times between {} and {}",
            windows.len(),
            seconds(first.from_ns),
            seconds(last.to_ns)
        ),
        [all @ .., last] => {
            let all: Vec<String> = all.iter().map(word).collect();
            format!("F{} and {}", &all.join(", ")[1..], word(last))
        }
    }
}
