//! The detectors: one trace against what is normal of its endpoint.

pub(crate) mod pattern;
mod pool;
mod query;
mod reader;
pub(crate) mod repeats;
pub(crate) mod shape;
mod told;
mod waits;

use tierscope_model::{Nanos, Span, Trace};

use crate::baseline::Endpoint;
use crate::cause::CauseKind;
use crate::finding::Finding;
use crate::limit::{Limit, Normal, floor};
use crate::names::{CauseId, Names, PlaceId};
use crate::others::Others;
use crate::profile::{Piece, Profile};

/// A trace and what is normal of its endpoint.
pub(crate) struct Case<'a> {
    pub(crate) trace: &'a Trace,
    pub(crate) profile: &'a Profile,
    pub(crate) normal: &'a Normal,
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) names: &'a Names,
    pub(crate) others: &'a Others,
}

/// All findings of a trace, dearest first.
pub(crate) fn findings(case: &Case<'_>) -> Vec<Finding> {
    let mut repeats = repeats::findings(case);
    let (causes, mut findings): (Vec<CauseId>, Vec<Finding>) =
        waits::findings(case, &repeats).into_iter().unzip();
    findings.append(&mut repeats.findings);
    let repeated = repeats.places;
    let (slow, queries): (Vec<PlaceId>, Vec<Finding>) =
        query::findings(case, &repeated).into_iter().unzip();
    findings.extend(queries);
    match pattern::finding(case) {
        Some(changed) => findings.push(changed),
        None => findings.extend(shape::finding(case, &causes, &[repeated, slow].concat())),
    }
    findings.sort_by(|a, b| {
        b.cost_ns
            .cmp(&a.cost_ns)
            .then_with(|| a.sentence.cmp(&b.sentence))
    });
    findings
}

impl<'a> Case<'a> {
    /// The least cost of this kind that is a finding here: its floor, and a tenth of the endpoint's median.
    fn floor(&self, kind: CauseKind) -> Nanos {
        match kind {
            CauseKind::Retransmit => floor(kind),
            kind => floor(kind).max(self.normal.duration.p50 / 10),
        }
    }

    /// What is normal of a cause's time; of one that was never seen, none.
    fn normal_of(&self, cause: CauseId) -> Limit {
        let never = Limit {
            n: self.normal.n,
            ..Limit::default()
        };
        self.normal.causes.get(&cause).copied().unwrap_or(never)
    }

    /// What a cause cost: its time on the critical path over the typical one.
    fn cost(&self, cause: CauseId) -> Nanos {
        let normal = self.normal.typical.of_cause(cause);
        self.profile.of_cause(cause).saturating_sub(normal)
    }

    /// The pieces of the path that a cause has.
    fn pieces(&self, cause: CauseId) -> impl Iterator<Item = &'a Piece> {
        self.profile
            .pieces
            .iter()
            .filter(move |piece| piece.cause == cause)
    }

    fn span(&self, piece: &Piece) -> &'a Span {
        &self.trace.spans[piece.segment.span]
    }

    /// The span with the most time of a cause.
    fn worst(&self, cause: CauseId) -> Option<&'a Span> {
        let mut times: Vec<(usize, Nanos)> = Vec::new();
        for piece in self.pieces(cause) {
            let (span, nanos) = (piece.segment.span, piece.segment.duration());
            match times.iter_mut().find(|(known, _)| *known == span) {
                Some(known) => known.1 += nanos,
                None => times.push((span, nanos)),
            }
        }
        let worst = times.into_iter().max_by_key(|(_, nanos)| *nanos)?.0;
        Some(&self.trace.spans[worst])
    }

    /// Time of the calls at a place, without what `elsewhere` is put down to.
    fn critical(&self, place: PlaceId, elsewhere: &[CauseId]) -> Nanos {
        let at_place = |piece: &&Piece| {
            let call = piece.call.map(|call| &self.profile.calls[call]);
            call.is_some_and(|call| call.place == place) && !elsewhere.contains(&piece.cause)
        };
        let pieces = self.profile.pieces.iter().filter(at_place);
        pieces.map(|piece| piece.segment.duration()).sum()
    }
}
