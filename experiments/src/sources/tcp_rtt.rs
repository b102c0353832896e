//! The kernel's round-trip times of the load generator's connections against what was seen of them.

use std::collections::HashMap;
use std::net::SocketAddr;

use tierscope_loadgen::SocketInfo;
use tierscope_model::{Body, Event, Nanos, SocketRole, SpanKind, Trace, attr};

use super::outside::Said;
use crate::check::{Check, Promise};

const HANDSHAKE: Promise = Promise {
    name: "handshake_rtt",
    bound: "within 10 % or 20 µs on 9 of 10 connections",
    includes: "theirs: tcpi_rtt directly after connect, from the SYN's making, so that an interrupt before it is \
               sent is theirs alone; ours: SYN sent → established, that is the SYN's way, its answer's way and \
               both ends' work",
};
const REQUEST: Promise = Promise {
    name: "request_rtt",
    bound: "within 10 % or 20 µs on 9 of 10 connections",
    includes: "theirs: tcpi_min_rtt, the least time from a segment to its acknowledgement, the handshake's too; \
               ours: at least the least wire times there and back, which leave out the acknowledging, and at \
               most the handshake",
};
/// Allowed difference, the larger of the two.
const SHARE: f64 = 0.1;
const NANOS: f64 = 20_000.0;
/// Of this many connections, one may differ by more.
const ONE_OF: usize = 10;

/// What was seen of one connection, ns.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    handshake: Option<Nanos>,
    there: Option<Nanos>,
    back: Option<Nanos>,
}

/// Both sides, by the client's port.
#[derive(Debug)]
pub(super) struct RoundTrips<'a> {
    said: &'a Said<Vec<SocketInfo>>,
    target: Option<SocketAddr>,
    seen: HashMap<u16, Seen>,
}

impl<'a> RoundTrips<'a> {
    /// `target` is where the load generator connected to.
    pub(super) fn new(
        said: &'a Said<Vec<SocketInfo>>,
        target: Option<SocketAddr>,
    ) -> RoundTrips<'a> {
        RoundTrips {
            said,
            target,
            seen: HashMap::new(),
        }
    }

    pub(super) fn event(&mut self, event: &Event) {
        let Body::Socket(socket) = &event.body else {
            return;
        };
        let ours = socket.role == SocketRole::Connect && Some(socket.peer) == self.target;
        if ours && socket.start.0 > 0 {
            let seen = self.seen.entry(socket.local.port()).or_default();
            seen.handshake = Some(event.time.since(socket.start));
        }
    }

    pub(super) fn trace(&mut self, trace: &Trace) {
        let Some(root) = trace.root() else { return };
        let server = trace
            .children(root.span_id)
            .find(|span| span.kind == SpanKind::Server);
        let port = server.and_then(|span| span.attributes.int(attr::NETWORK_PEER_PORT));
        let Some(port) = port.and_then(|port| u16::try_from(port).ok()) else {
            return;
        };
        let Some(seen) = self.seen.get_mut(&port) else {
            return;
        };
        for wire in trace.children(root.span_id).filter(|s| s.name == "wire") {
            let least = match wire.attributes.text(attr::DIRECTION) {
                Some("request") => &mut seen.there,
                _ => &mut seen.back,
            };
            let ns = wire.duration();
            *least = Some(least.map_or(ns, |least| least.min(ns)));
        }
    }

    pub(super) fn finish(self) -> Vec<Check> {
        let said = match self.said {
            Ok(said) => said,
            Err(reason) => return vec![HANDSHAKE.not_checked(reason), REQUEST.not_checked(reason)],
        };
        let pairs: Vec<_> = said
            .iter()
            .filter_map(|info| Some((info, self.seen.get(&info.local_port)?)))
            .collect();
        vec![
            compare(HANDSHAKE, &times(&pairs, handshakes)),
            compare(REQUEST, &times(&pairs, requests)),
        ]
    }
}

fn times(
    pairs: &[(&SocketInfo, &Seen)],
    of: fn(&SocketInfo, &Seen) -> Option<(f64, f64)>,
) -> Vec<(f64, f64)> {
    let pairs = pairs.iter();
    pairs.filter_map(|(info, seen)| of(info, seen)).collect()
}

/// Theirs and ours, ns.
fn handshakes(info: &SocketInfo, seen: &Seen) -> Option<(f64, f64)> {
    Some((f64::from(info.handshake_us?) * 1e3, seen.handshake? as f64))
}

/// Theirs, and what is nearest to it between our bounds, ns.
fn requests(info: &SocketInfo, seen: &Seen) -> Option<(f64, f64)> {
    let theirs = f64::from(info.min_rtt_us) * 1e3;
    let (least, most) = ((seen.there? + seen.back?) as f64, seen.handshake? as f64);
    Some((theirs, theirs.min(most).max(least)))
}

fn compare(promise: Promise, pairs: &[(f64, f64)]) -> Check {
    let off = |(theirs, ours): &&(f64, f64)| (ours - theirs).abs();
    let Some(worst) = pairs.iter().max_by(|a, b| off(a).total_cmp(&off(b))) else {
        return promise.not_checked(
            "no connection was made during the recording, or its ways were not measured",
        );
    };
    let beyond = pairs
        .iter()
        .filter(|pair| off(pair) > NANOS && off(pair) > SHARE * pair.0)
        .count();
    let value = format!(
        "{beyond} of {} beyond; furthest {:.1} µs theirs, {:.1} µs ours",
        pairs.len(),
        worst.0 / 1e3,
        worst.1 / 1e3
    );
    promise.judged(
        beyond * ONE_OF <= pairs.len(),
        value,
        &[
            ("connections", pairs.len() as f64),
            ("beyond", beyond as f64),
            ("furthest_us", off(&worst) / 1e3),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_trip_lies_between_the_wire_and_the_handshake() {
        let ours = |min_rtt_us| {
            let info = SocketInfo {
                local_port: 1,
                handshake_us: Some(30),
                rtt_us: 0,
                min_rtt_us,
                total_retrans: 0,
                bytes_sent: 0,
                bytes_retrans: 0,
                bytes_received: 0,
            };
            let seen = Seen {
                handshake: Some(30_000),
                there: Some(2_000),
                back: Some(3_000),
            };
            requests(&info, &seen).expect("both known").1
        };
        assert_eq!((ours(1), ours(10), ours(90)), (5e3, 10e3, 30e3));
    }

    #[test]
    fn the_larger_of_a_share_and_20_us_is_allowed() {
        let ok = |theirs, ours| compare(HANDSHAKE, &[(theirs, ours)]).is_ok();
        assert!(ok(30e3, 49e3) && !ok(30e3, 51e3));
        assert!(ok(1e6, 1.09e6) && !ok(1e6, 1.11e6));
        assert!(
            !compare(HANDSHAKE, &[]).is_ok(),
            "nothing compared is not ok"
        );
    }

    #[test]
    fn one_connection_in_ten_may_be_interrupted() {
        let ok = |near, far| {
            let pairs = [vec![(30e3, 30e3); near], vec![(80e3, 30e3); far]].concat();
            compare(HANDSHAKE, &pairs).is_ok()
        };
        assert!(ok(9, 1) && !ok(8, 1) && !ok(17, 2));
    }
}
