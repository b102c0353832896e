//! How well a run's findings name what was injected.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use tierscope_analyzer::Kind;
use tierscope_model::{Nanos, RequestId};

use crate::changed::{ChangeScore, is_of_windows};
use crate::quantile::rank;
use crate::reach::{Delay, Reach, Request};
use crate::said::{Said, Told, cost};
use crate::usual::{Learned, Usual};
use crate::window::causes;

/// A magnitude that is off by less than this is right; so is one that is off by less than a tenth.
const CLOSE: Nanos = 1_000_000;

/// The score of a run's findings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    /// What the run was compared with: other runs and kept baselines, or `itself`.
    pub baseline: String,
    /// Each fault.
    pub faults: Vec<FaultScore>,
    /// What changed in the whole run.
    #[serde(default)]
    pub changes: Vec<ChangeScore>,
    /// Changes told that nothing that was injected explains, by kind.
    #[serde(default)]
    pub false_changes: BTreeMap<String, u64>,
    /// Requests that no fault can have reached.
    pub normal: u64,
    /// Of them, those with findings of their own.
    pub false_alarms: u64,
    /// Normal requests that waited with others for the host: told as changes, not of each.
    #[serde(default)]
    pub normal_together: u64,
    /// Their findings, by kind.
    pub alarms_by_kind: BTreeMap<String, u64>,
    /// Normal requests without a verdict: something of their trace is missing, or the baseline is small.
    pub normal_not_judged: u64,
}

/// The score of one fault.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FaultScore {
    /// What was injected, e.g. `db_ms=200 of search`.
    pub fault: String,
    /// Where the time goes.
    pub hop: String,
    /// The kinds of finding that name it rightly.
    #[serde(with = "causes")]
    pub cause: Vec<Kind>,
    /// Requests that it reached.
    pub injected: u64,
    /// Of them, those that it delayed by as much as can be found: at least the detector's floor (where
    /// it may be told as several kinds, their floors together), and twice the endpoint's p99 − p50. The
    /// others are not scored.
    pub affected: u64,
    /// Affected requests with findings.
    pub found: u64,
    /// Affected requests of which a finding names the right cause.
    pub named: u64,
    /// Affected requests whose dearest finding names the right cause. What other faults did to the
    /// request is left out.
    pub first: u64,
    /// What affected requests were put down to first where that was wrong, by kind.
    pub instead: BTreeMap<String, u64>,
    /// How far the cost of the findings is from the delay.
    pub magnitude: MagnitudeError,
}

/// |cost of the findings − injected delay|, over the requests of which the right cause is named and the delay
/// is known: the experiment or the injector's log tells it, or two measures of it agree. Those are for how long
/// the fault held while the request was under way, and how much longer than usual the client waited. Where they
/// do not, something else befell the request, too: a queue that drains after the fault, a busy CPU. What a
/// request does to others is not known either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MagnitudeError {
    /// Requests.
    pub n: u64,
    /// Median, in nanoseconds.
    pub p50_ns: Nanos,
    /// 95th percentile, in nanoseconds.
    pub p95_ns: Nanos,
    /// Median, as a share of the delay.
    pub p50: f64,
    /// 95th percentile, as a share of the delay.
    pub p95: f64,
    /// Those that are right: within a tenth of the delay, or within 1 ms.
    pub close: u64,
}

/// Scores what was said of each request, judged by a baseline of which `learned` tells.
pub(crate) fn detection(
    requests: &[Request<'_>],
    reaches: &[Reach],
    said: &HashMap<RequestId, Said>,
    learned: &Learned,
) -> Detection {
    let (normal, others): (Vec<_>, Vec<_>) = requests
        .iter()
        .partition(|r| !reaches.iter().any(|reach| reach.disturbs(r)));
    let usual = Usual::of(&normal, learned);
    let mut score = Detection::default();
    for request in normal.iter().filter(|r| r.endpoint != "health") {
        score.normal(said.get(&request.id));
    }
    let mut faults: Vec<Tally> = reaches.iter().map(Tally::of).collect();
    for request in others {
        let hit: Vec<usize> = (0..reaches.len())
            .filter(|at| reaches[*at].requests.contains_key(&request.id))
            .collect();
        let delays = delays(request, &hit, reaches, &usual);
        for (at, delay) in hit.iter().zip(&delays) {
            faults[*at].score.injected += 1;
            let bound = usual.bound(request.endpoint, &reaches[*at].cause);
            let Some(delay) = delay.filter(|(nanos, _)| *nanos >= bound) else {
                continue;
            };
            let elsewhere: Vec<Kind> = hit
                .iter()
                .filter(|other| *other != at)
                .flat_map(|other| reaches[*other].cause.iter().copied())
                .collect();
            faults[*at].affected(delay, &elsewhere, said.get(&request.id));
        }
    }
    let of_requests = faults
        .into_iter()
        .filter(|f| !is_of_windows(&f.score.cause));
    score.faults = of_requests.map(Tally::finish).collect();
    score
}

/// The delay that each fault made in a request, where it can be told: as it is known; what is left over
/// the endpoint's median is the one fault's of which it is not known. Also whether it is a measure.
fn delays(
    request: &Request<'_>,
    hit: &[usize],
    reaches: &[Reach],
    usual: &Usual<'_>,
) -> Vec<Option<(Nanos, bool)>> {
    let known: Vec<Delay> = hit
        .iter()
        .filter_map(|at| reaches[*at].requests.get(&request.id).copied())
        .collect();
    let unknown = known.iter().filter(|delay| delay.known.is_none()).count();
    let sum: Nanos = known.iter().filter_map(|delay| delay.known).sum();
    let measured = (request.to - request.from).saturating_sub(usual.p50(request.endpoint));
    let rest = measured.saturating_sub(sum);
    known
        .into_iter()
        .map(|delay| {
            let told = delay.known.map(|known| (known, true));
            let least = rest.min(delay.most);
            // Half of what counts as right is left for the finding.
            let agree = rest.abs_diff(delay.most) <= close(least) / 2;
            told.or((unknown == 1).then_some((least, agree)))
        })
        .collect()
}

/// How far from a delay is still right.
fn close(delay: Nanos) -> Nanos {
    CLOSE.max(delay / 10)
}

/// One fault's score in the making.
struct Tally {
    score: FaultScore,
    /// The delays of named requests, and how far what was found is from them.
    errors: Vec<(Nanos, Nanos)>,
}

impl Tally {
    fn of(reach: &Reach) -> Tally {
        Tally {
            score: FaultScore {
                fault: reach.fault.clone(),
                hop: reach.hop.clone(),
                cause: reach.cause.clone(),
                ..FaultScore::default()
            },
            errors: Vec::new(),
        }
    }

    /// `elsewhere`: what the request's other faults are rightly named.
    fn affected(&mut self, delay: (Nanos, bool), elsewhere: &[Kind], said: Option<&Said>) {
        let score = &mut self.score;
        score.affected += 1;
        let Some(Said::Found(findings) | Said::Together(findings)) = said else {
            let what = match said {
                Some(Said::Nothing) => "nothing",
                _ => "not judged",
            };
            *score.instead.entry(what.to_owned()).or_default() += 1;
            return;
        };
        score.found += 1;
        let right = |told: &&Told| told.is_of(&score.cause);
        let own = |told: &&Told| right(told) || !told.is_of(elsewhere);
        if findings.iter().any(|told| right(&told)) {
            score.named += 1;
            let (delay, is_measure) = delay;
            let error = is_measure.then(|| (delay, cost(findings, &score.cause).abs_diff(delay)));
            self.errors.extend(error);
        }
        match findings.iter().find(own) {
            Some(told) if right(&told) => score.first += 1,
            Some(told) => {
                *score
                    .instead
                    .entry(told.kind.name().to_owned())
                    .or_default() += 1
            }
            None => {
                *score
                    .instead
                    .entry("the other fault".to_owned())
                    .or_default() += 1
            }
        }
    }

    fn finish(mut self) -> FaultScore {
        let errors = self.errors;
        let is_close = |(delay, error): &&(Nanos, Nanos)| *error <= close(*delay);
        let mut nanos: Vec<Nanos> = errors.iter().map(|(_, error)| *error).collect();
        // Millionths: integers have an order.
        let mut shares: Vec<u64> = errors
            .iter()
            .map(|(d, e)| e * 1_000_000 / d.max(&1))
            .collect();
        nanos.sort_unstable();
        shares.sort_unstable();
        self.score.magnitude = MagnitudeError {
            n: errors.len() as u64,
            p50_ns: rank(&nanos, 0.5),
            p95_ns: rank(&nanos, 0.95),
            p50: rank(&shares, 0.5) as f64 / 1e6,
            p95: rank(&shares, 0.95) as f64 / 1e6,
            close: errors.iter().filter(is_close).count() as u64,
        };
        self.score
    }
}

impl Detection {
    fn normal(&mut self, said: Option<&Said>) {
        self.normal += 1;
        match said {
            Some(Said::Found(findings)) => {
                self.false_alarms += 1;
                for told in findings {
                    let name = told.kind.name().to_owned();
                    *self.alarms_by_kind.entry(name).or_default() += 1;
                }
            }
            Some(Said::Together(_)) => self.normal_together += 1,
            Some(Said::Nothing) => {}
            Some(Said::NotJudged) | None => self.normal_not_judged += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Nanos = 1_000_000;

    fn request(n: u128, from_ms: u64, took_ms: u64) -> Request<'static> {
        Request {
            id: RequestId(n),
            endpoint: "users",
            header: None,
            from: from_ms * MS,
            to: (from_ms + took_ms) * MS,
            port: None,
        }
    }

    fn reach(cause: Kind, requests: &[(u128, Option<Nanos>)]) -> Reach {
        let most = 1_000 * MS;
        let delay = |known| Delay { known, most };
        let requests = requests
            .iter()
            .map(|(n, known)| (RequestId(*n), delay(*known)));
        Reach::of_requests("fault", vec![cause], requests.collect())
    }

    /// A fault that held for so long while request 1 was under way.
    fn held(cause: Kind, ms: u64) -> Reach {
        let delay = Delay {
            known: None,
            most: ms * MS,
        };
        Reach::of_requests("fault", vec![cause], HashMap::from([(RequestId(1), delay)]))
    }

    fn found(findings: &[(Kind, u64)]) -> Said {
        let told = findings.iter().map(|(kind, ms)| Told {
            kind: *kind,
            root: *kind,
            cost: ms * MS,
        });
        Said::Found(told.collect())
    }

    /// A hundred normal requests of 2 ms, and some others.
    fn scored(others: &[Request<'static>], reaches: &[Reach], said: &[(u128, Said)]) -> Detection {
        let mut requests: Vec<_> = (1000..1100).map(|n| request(n, n as u64, 2)).collect();
        requests.extend_from_slice(others);
        let mut all: HashMap<RequestId, Said> =
            requests.iter().map(|r| (r.id, Said::Nothing)).collect();
        all.extend(said.iter().map(|(n, said)| (RequestId(*n), said.clone())));
        detection(&requests, reaches, &all, &Learned::new())
    }

    #[test]
    fn what_is_below_the_floor_is_counted_and_not_scored() {
        let slow = [request(1, 0, 52), request(2, 0, 8)];
        let fault = reach(Kind::SlowQuery, &[(1, Some(50 * MS)), (2, Some(6 * MS))]);
        let said = [
            (1, found(&[(Kind::SlowQuery, 48)])),
            (1007, found(&[(Kind::RunQueue, 12)])),
        ];
        let score = scored(&slow, &[fault], &said);
        let of_fault = &score.faults[0];
        assert_eq!((of_fault.injected, of_fault.affected), (2, 1));
        assert_eq!((of_fault.found, of_fault.named, of_fault.first), (1, 1, 1));
        let error = of_fault.magnitude;
        assert_eq!((error.n, error.p95_ns, error.close), (1, 2 * MS, 1));
        assert_eq!((score.normal, score.false_alarms), (100, 1));
        assert_eq!(score.alarms_by_kind["run-queue wait"], 1);
    }

    #[test]
    fn a_wrong_name_and_none_at_all_are_told_apart() {
        let slow = [request(1, 0, 52), request(2, 0, 52), request(3, 0, 52)];
        let known = Some(50 * MS);
        let fault = reach(Kind::LockWait, &[(1, known), (2, known), (3, known)]);
        let said = [
            (1, found(&[(Kind::SlowQuery, 30), (Kind::LockWait, 20)])),
            (2, found(&[(Kind::SlowQuery, 50)])),
        ];
        let score = &scored(&slow, &[fault], &said).faults[0];
        assert_eq!((score.found, score.named, score.first), (2, 1, 0));
        assert_eq!(
            (score.instead["slow query"], score.instead["nothing"]),
            (2, 1)
        );
        assert_eq!(score.magnitude.close, 0, "20 ms are not 50");
    }

    #[test]
    fn of_two_faults_each_is_to_be_named_with_its_own_share() {
        let both = [request(1, 0, 152)];
        let query = reach(Kind::SlowQuery, &[(1, Some(50 * MS))]);
        let lock = held(Kind::LockWait, 102);
        let said = [(1, found(&[(Kind::LockWait, 99), (Kind::SlowQuery, 51)]))];
        let score = scored(&both, &[query, lock], &said);
        for fault in &score.faults {
            assert_eq!((fault.affected, fault.named, fault.first), (1, 1, 1));
            assert_eq!(fault.magnitude.p95_ns, MS);
        }
    }

    #[test]
    fn what_a_pattern_costs_is_not_counted_twice() {
        let slow = [request(1, 0, 52)];
        let mut fault = reach(Kind::DiskWait, &[(1, Some(50 * MS))]);
        fault.cause.push(Kind::IoPattern);
        let said = found(&[(Kind::IoPattern, 50), (Kind::DiskWait, 50)]);
        let score = &scored(&slow, &[fault], &[(1, said)]).faults[0];
        assert_eq!((score.first, score.magnitude.close), (1, 1));
    }

    #[test]
    fn a_delay_is_a_measure_where_the_fault_and_the_client_say_the_same() {
        let slow = [request(1, 0, 82)];
        let said = [(1, found(&[(Kind::PoolWait, 79)]))];
        let n = |held_ms| {
            let score = scored(&slow, &[held(Kind::PoolWait, held_ms)], &said);
            assert_eq!(score.faults[0].first, 1);
            score.faults[0].magnitude.n
        };
        assert_eq!((n(81), n(60), n(120)), (1, 0, 0), "80 ms longer than usual");
    }
}
