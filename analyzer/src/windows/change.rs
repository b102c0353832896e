//! Comparisons become changes: one per cause.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tierscope_model::Nanos;

use super::Subject;
use super::load::RateShift;
use crate::cause::CauseKind;
use crate::finding::Kind;
use crate::names::Names;
use crate::words::{count, ms, statement};

/// Something that changed for a time, at one endpoint or more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Which kind.
    pub kind: Kind,
    /// Of what, as in [`crate::Finding::of`].
    pub of: String,
    /// Where it was seen.
    pub endpoints: Vec<String>,
    /// From when to when, in nanoseconds since the first request.
    pub from_ns: Nanos,
    /// Its end.
    pub to_ns: Nanos,
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
    pub(crate) n: u64,
    pub(crate) of: u64,
    /// The effect is great enough.
    pub(crate) worth: bool,
}

/// One change per cause and stretch of time; what a change of the rate explains is part of that.
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
        while let Some(last) = all
            .iter()
            .zip(all.iter().skip(1))
            .position(|(a, b)| b.number > a.number + 2)
        {
            let rest = all.split_off(last + 1);
            changes.push(of_cause(subject, &all, length, names));
            all = rest;
        }
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

fn threshold() -> String {
    "by rank at a false discovery rate of 1 %, Cliff's δ of 0.33, 1 ms and a tenth of the median more".to_owned()
}

fn of_load(load: &RateShift, all: &[Shifted], length: Nanos) -> Change {
    let (before, after) = (load.before, load.after);
    let slower = match endpoints(all).len() as u64 {
        0 => "no endpoint got slower for it".to_owned(),
        n => format!("{} got slower for it", count(n, "endpoint")),
    };
    let from = load.number * length;
    Change {
        kind: Kind::LoadShift,
        of: String::new(),
        endpoints: endpoints(all),
        from_ns: from,
        to_ns: load.end * length,
        requests: (after * ((load.end - load.number) * length) as f64 / 1e9) as u64,
        cost_ns: cost(all),
        effect: all.iter().map(|one| one.effect).fold(0.0, f64::max),
        p: all.iter().map(|one| one.p).fold(1.0, f64::min),
        sentence: format!(
            "the load went from {before:.0} to {after:.0} requests/s {:.0} s after the first request; {slower}.",
            from as f64 / 1e9
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
    let from_ns = all.first().map_or(0, |one| one.number) * length;
    let to_ns = all.last().map_or(0, |one| one.number + 1) * length;
    let endpoints = endpoints(all);
    Change {
        kind,
        of,
        requests: all.iter().map(|one| one.n).sum(),
        cost_ns: cost(all),
        effect: all.iter().map(|one| one.effect).fold(0.0, f64::max),
        p: all.iter().map(|one| one.p).fold(1.0, f64::min),
        sentence: sentence(&what, all, (from_ns, to_ns), &endpoints),
        endpoints,
        from_ns,
        to_ns,
        threshold: threshold(),
    }
}

fn sentence(
    what: &str,
    all: &[Shifted],
    (from, to): (Nanos, Nanos),
    endpoints: &[String],
) -> String {
    let worst = all
        .iter()
        .max_by_key(|one| one.mean.saturating_sub(one.usual));
    let seconds = |nanos: Nanos| nanos as f64 / 1e9;
    let time = format!("From {:.0} s to {:.0} s", seconds(from), seconds(to));
    let Some(worst) = worst else {
        return time;
    };
    let others = match endpoints.len() {
        0 | 1 => String::new(),
        n => format!(" (and {})", count(n as u64 - 1, "other endpoint")),
    };
    let unit = if what == "cache misses" {
        "with a mean duration of"
    } else {
        "of"
    };
    format!(
        "{time}: more {what} at {}{others}, {unit} {} on average over {}; before {} over {}.",
        worst.endpoint,
        ms(worst.mean),
        count(worst.n, "request"),
        ms(worst.usual),
        count(worst.of, "request"),
    )
}
