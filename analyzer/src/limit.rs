//! From what on a value is not normal.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use tierscope_model::Nanos;

use crate::baseline::Endpoint;
use crate::cause::CauseKind;
use crate::names::{CauseId, Names, PlaceId};
use crate::profile::Shape;
use crate::sketch::Sketch;
use crate::typical::Typical;

/// From so many values on p99.9 is known; with fewer the greatest stands for it.
const ENOUGH: u64 = 1_000;
/// A time is looked at when it is over so many times p99.9.
const TIMES: f64 = 1.5;
/// In a run judged by itself, times over so many times the next lower one lie apart from the rest.
const APART: f64 = 2.0;
/// A same-run baseline takes a rarer shape than this for unseen.
const RARE: f64 = 0.01;

/// What is normal of one value, and from what on it is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// Median.
    pub p50: u64,
    /// 99th percentile.
    pub p99: u64,
    /// 99.9th percentile; with fewer than 1,000 values the greatest.
    pub top: u64,
    /// Values that it is of.
    pub n: u64,
    /// Values that were left out because they lie apart from all others (a run judged by itself).
    pub apart: u64,
    /// A value over this is looked at.
    pub limit: u64,
}

/// What is normal of one endpoint, ready to be compared with.
#[derive(Clone, Debug)]
pub(crate) struct Normal {
    pub(crate) n: u64,
    pub(crate) duration: Limit,
    pub(crate) typical: Typical,
    pub(crate) causes: HashMap<CauseId, Limit>,
    pub(crate) calls: HashMap<PlaceId, Limit>,
    pub(crate) counts: HashMap<PlaceId, Limit>,
    pub(crate) operations: Limit,
    pub(crate) bytes: Limit,
    pub(crate) files: Limit,
    pub(crate) blocks: Limit,
    shapes: HashMap<Shape, u64>,
    fewest: u64,
    /// The shape that most requests have.
    pub(crate) usual: Shape,
}

/// Whether a baseline holds the very traces that are judged by it: then what lies apart is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Same,
    Other,
}

impl Limit {
    /// Share of normal values that are at least `value`, itself counted: never 0.
    pub(crate) fn p(&self, sketch: Option<&Sketch>, value: u64) -> f64 {
        let as_great = sketch.map_or(0, |sketch| sketch.at_least(value));
        let as_great = as_great.saturating_sub(self.apart);
        (1 + as_great) as f64 / (self.n + 1) as f64
    }

    /// Of a time. `n`: how many there were, those of 0 included.
    fn time(sketch: &Sketch, n: u64, floor: Nanos, source: Source) -> Limit {
        let mut limit = Limit::of(sketch, n, (APART, floor), source);
        limit.limit = (limit.top as f64 * TIMES) as u64;
        limit
    }

    /// Of a count: over p99.9, and at least 5 and twice the median.
    fn count(sketch: &Sketch, n: u64, source: Source) -> Limit {
        let mut limit = Limit::of(sketch, n, (2.0, 3), source);
        limit.limit = limit.top.max(4).max((2 * limit.p50).saturating_sub(1));
        limit
    }

    fn of(sketch: &Sketch, n: u64, (times, floor): (f64, u64), source: Source) -> Limit {
        let kept = match source {
            Source::Same => sketch.without_those_apart(n, times, floor),
            Source::Other => sketch.clone(),
        };
        let apart = sketch.count() - kept.count();
        let n = n.saturating_sub(apart);
        Limit {
            p50: kept.quantile(0.5, n),
            p99: kept.quantile(0.99, n),
            top: match n < ENOUGH {
                true => kept.max(),
                false => kept.quantile(0.999, n),
            },
            n,
            apart,
            limit: 0,
        }
    }
}

/// What a cause must cost at least to be worth a word. What a busy host does to every process now and
/// then must cost more.
pub(crate) fn floor(kind: CauseKind) -> Nanos {
    match kind {
        CauseKind::Retransmit => 1_000_000,
        CauseKind::Pool | CauseKind::Lock | CauseKind::Stopped => 5_000_000,
        _ => 10_000_000,
    }
}

impl Normal {
    pub(crate) fn of(endpoint: &Endpoint, names: &Names, source: Source) -> Normal {
        let n = endpoint.n;
        let count = |sketch: &Sketch| Limit::count(sketch, n, source);
        let cause = |(cause, sketch): (&CauseId, &Sketch)| {
            let floor = floor(names.kind_of(*cause));
            (*cause, Limit::time(sketch, n, floor, source))
        };
        let call = |(place, sketch): (&PlaceId, &Sketch)| {
            let floor = floor(CauseKind::Execution);
            (*place, Limit::time(sketch, sketch.count(), floor, source))
        };
        let usual = endpoint.shapes.iter().max_by_key(|(_, n)| **n);
        Normal {
            n,
            duration: Limit::time(&endpoint.duration, n, 5_000_000, source),
            typical: endpoint.sums.typical(),
            causes: endpoint.causes.iter().map(cause).collect(),
            calls: endpoint.calls.iter().map(call).collect(),
            counts: endpoint
                .counts
                .iter()
                .map(|(p, s)| (*p, count(s)))
                .collect(),
            operations: count(&endpoint.operations),
            bytes: Limit::of(&endpoint.bytes, n, (2.0, 1 << 20), source),
            files: count(&endpoint.files),
            blocks: count(&endpoint.blocks),
            usual: usual.map(|(shape, _)| shape.clone()).unwrap_or_default(),
            shapes: endpoint
                .shapes
                .iter()
                .map(|(s, n)| (s.clone(), *n))
                .collect(),
            fewest: match source {
                Source::Same => (RARE * n as f64) as u64 + 1,
                Source::Other => 1,
            },
        }
    }

    /// Whether requests of this shape are normal.
    pub(crate) fn has_shape(&self, shape: &Shape) -> bool {
        self.shapes.get(shape).is_some_and(|n| *n >= self.fewest)
    }
}
