//! What the analyzer said of a request.

use tierscope_analyzer::{Flagged, Kind, Verdict};
use tierscope_model::Nanos;

/// Whether something was found in a request, and what, dearest first.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    Nothing,
    Found(Vec<Told>),
    /// The same, and it is what the host did to several at once.
    Together(Vec<Told>),
    NotJudged,
}

/// One finding: its kind, what it was a wait behind (else the same), and its cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    pub(crate) kind: Kind,
    pub(crate) root: Kind,
    pub(crate) cost: Nanos,
}

impl Told {
    pub(crate) fn is_of(&self, kinds: &[Kind]) -> bool {
        kinds.contains(&self.kind) || kinds.contains(&self.root)
    }
}

impl Said {
    /// Of a request that the host held up together with others.
    pub(crate) fn together(flagged: &Flagged) -> Said {
        Said::Together(told(flagged))
    }
}

fn told(flagged: &Flagged) -> Vec<Told> {
    let told = flagged.findings.iter().map(|found| Told {
        kind: found.kind,
        root: found.root(),
        cost: found.cost_ns,
    });
    told.collect()
}

impl From<&Verdict> for Said {
    fn from(verdict: &Verdict) -> Said {
        match verdict {
            Verdict::Normal => Said::Nothing,
            Verdict::Flagged(flagged) => Said::Found(told(flagged)),
            Verdict::Incomplete | Verdict::TooSmall => Said::NotJudged,
        }
    }
}

/// What the findings of these kinds cost together; where there are none, what was a wait behind them.
pub(crate) fn cost(findings: &[Told], of: &[Kind]) -> Nanos {
    let (own, behind): (Vec<&Told>, Vec<&Told>) = findings
        .iter()
        .filter(|told| told.is_of(of))
        .partition(|told| of.contains(&told.kind));
    let counted = if own.is_empty() { behind } else { own };
    // A pattern is priced by the time that its operations took, which is told as a wait as well.
    let (patterns, times): (Vec<&Told>, Vec<&Told>) = counted
        .into_iter()
        .partition(|told| told.kind == Kind::IoPattern);
    let sum = |of: Vec<&Told>| of.into_iter().map(|told| told.cost).sum::<Nanos>();
    sum(patterns).max(sum(times))
}
