//! nginx's own times in its access log against its spans.
//!
//! nginx takes its times from a clock that it reads once per turn of its event loop, cut to the
//! millisecond: a time may be off by a turn at either end, and by one millisecond.

use std::collections::HashMap;
use std::path::Path;

use serde::{Deserialize, Deserializer};
use tierscope_model::{Event, Nanos, RequestId, Span, SpanKind, Trace, attr};

use super::outside::Said;
use super::turns::Turns;
use crate::check::{Check, Promise};
use crate::folder::each_line;
use crate::quantile::Quantiles;

const BOUND: &str = "each within 1 ms and the longest turn of the worker's loop, 99 % within 2 ms";
const REQUEST: Promise = Promise {
    name: "nginx_request_time",
    bound: BOUND,
    includes: "theirs: $request_time, request made → logged; ours: nginx's span, read that ended the head → \
               last byte of the answer left",
};
const CONNECT: Promise = Promise {
    name: "nginx_connect_time",
    bound: BOUND,
    includes: "theirs: $upstream_connect_time; ours: the `connect` span, SYN sent → established; 0 on a kept \
               connection, both",
};
const HEADER: Promise = Promise {
    name: "nginx_header_time",
    bound: BOUND,
    includes: "theirs: $upstream_header_time; ours: connect or first write upstream → read that ended \
               the answer's head",
};
const RESPONSE: Promise = Promise {
    name: "nginx_response_time",
    bound: BOUND,
    includes: "theirs: $upstream_response_time; ours: connect or first write upstream → last read of the answer",
};
const MILLISECOND: Nanos = 1_000_000;
/// Where the turns of one request in a hundred take longer, nginx's clock cannot keep within 2 ms.
const SLOW_TURN_US: f64 = 1_000.0;

/// One line of `access.jsonl`. Milliseconds, `None` where there was no upstream or more than one.
#[derive(Debug, Deserialize)]
struct Line {
    request_id: String,
    #[serde(deserialize_with = "seconds")]
    request_time: Option<Nanos>,
    #[serde(deserialize_with = "text_seconds")]
    upstream_connect_time: Option<Nanos>,
    #[serde(deserialize_with = "text_seconds")]
    upstream_header_time: Option<Nanos>,
    #[serde(deserialize_with = "text_seconds")]
    upstream_response_time: Option<Nanos>,
}

fn seconds<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Nanos>, D::Error> {
    Ok(nanos(f64::deserialize(input)?))
}

fn text_seconds<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Nanos>, D::Error> {
    let text = String::deserialize(input)?;
    Ok(text.parse().ok().and_then(nanos))
}

fn nanos(seconds: f64) -> Option<Nanos> {
    let milliseconds = (seconds * 1e3).round();
    (0.0..1e12)
        .contains(&milliseconds)
        .then_some(milliseconds as u64 * MILLISECOND)
}

/// One of nginx's times over all requests.
#[derive(Debug, Default)]
struct Compared {
    requests: u64,
    /// Further off than a millisecond and the turn.
    beyond: u64,
    /// Of them, those whose turn is not known.
    turn_unknown: u64,
    within_2ms: u64,
    furthest: Nanos,
    /// The longest turn inside each.
    turns: Vec<Nanos>,
}

impl Compared {
    fn add(&mut self, theirs: Option<Nanos>, ours: Option<Nanos>, turn: Option<Nanos>) {
        let (Some(theirs), Some(ours)) = (theirs, ours) else {
            return;
        };
        let off = theirs.abs_diff(ours);
        self.requests += 1;
        self.within_2ms += u64::from(off <= 2 * MILLISECOND);
        self.furthest = self.furthest.max(off);
        match turn {
            Some(turn) => {
                self.turns.push(turn);
                self.beyond += u64::from(off > MILLISECOND + turn);
            }
            None => self.turn_unknown += 1,
        }
    }

    fn judge(&self, promise: Promise, said: &Result<(), String>) -> Check {
        if let Err(reason) = said {
            return promise.not_checked(reason.clone());
        }
        if self.requests == 0 {
            return promise.not_checked("no trace tells it");
        }
        let share = self.within_2ms as f64 / self.requests as f64;
        let mut value = format!(
            "{:.2} % of {} within 2 ms, furthest {:.2} ms, {} beyond",
            100.0 * share,
            self.requests,
            self.furthest as f64 / 1e6,
            self.beyond
        );
        if self.turn_unknown > 0 {
            value += &format!(", turn not known for {}", self.turn_unknown);
        }
        let turn = Quantiles::of_ns(self.turns.clone()).p99;
        let figures = [
            ("requests", self.requests as f64),
            ("within_2ms_share", share),
            ("beyond", self.beyond as f64),
            ("turn_unknown", self.turn_unknown as f64),
            ("turn_p99_us", turn),
            ("furthest_us", self.furthest as f64 / 1e3),
        ];
        if self.beyond == 0 && share < 0.99 && turn > SLOW_TURN_US {
            let why = format!("nginx's turns took up to {:.1} ms (p99)", turn / 1e3);
            return promise.shown(why, value, &figures);
        }
        promise.judged(self.beyond == 0 && share >= 0.99, value, &figures)
    }
}

/// The log, and what came of comparing.
#[derive(Debug)]
pub(super) struct NginxLog {
    lines: Said<HashMap<RequestId, Line>>,
    turns: Turns,
    request: Compared,
    connect: Compared,
    header: Compared,
    response: Compared,
}

impl NginxLog {
    /// Reads nginx's access log.
    pub(super) fn read(path: &Path) -> NginxLog {
        NginxLog {
            lines: lines(path),
            turns: Turns::default(),
            request: Compared::default(),
            connect: Compared::default(),
            header: Compared::default(),
            response: Compared::default(),
        }
    }

    pub(super) fn event(&mut self, event: &Event) {
        self.turns.event(event);
    }

    pub(super) fn trace(&mut self, trace: &Trace) {
        let (Some(id), true) = (trace.request_id, trace.incomplete.is_empty()) else {
            return;
        };
        let line = self.lines.as_ref().ok().and_then(|lines| lines.get(&id));
        let (Some(line), Some(server)) = (line, nginx(trace, SpanKind::Server)) else {
            return;
        };
        // A worker has one thread.
        let turn = self
            .turns
            .longest(server.resource.pid, server.start, server.end);
        self.request
            .add(line.request_time, Some(server.duration()), turn);
        let Some(upstream) = nginx(trace, SpanKind::Client) else {
            return;
        };
        let connect = child(trace, server, "connect");
        let begun = connect.map_or(upstream.start, |connect| connect.start);
        let connected = connect.map_or(0, Span::duration);
        self.connect
            .add(line.upstream_connect_time, Some(connected), turn);
        let head = server.attributes.int(attr::NGINX_HEAD_RECEIVED_NS);
        let head = head.map(|ns| (server.start + ns.unsigned_abs()).since(begun));
        self.header.add(line.upstream_header_time, head, turn);
        let response = upstream.end.since(begun);
        self.response
            .add(line.upstream_response_time, Some(response), turn);
    }

    pub(super) fn finish(self) -> Vec<Check> {
        let said = self.lines.map(drop);
        [
            (self.request, REQUEST),
            (self.connect, CONNECT),
            (self.header, HEADER),
            (self.response, RESPONSE),
        ]
        .map(|(compared, promise)| compared.judge(promise, &said))
        .into()
    }
}

fn lines(path: &Path) -> Said<HashMap<RequestId, Line>> {
    let mut lines = HashMap::new();
    each_line(path, &mut |line: Line| {
        if let Ok(id) = line.request_id.parse() {
            lines.insert(id, line);
        }
    })
    .map_err(|e| e.to_string())?;
    Ok(lines)
}

fn nginx(trace: &Trace, kind: SpanKind) -> Option<&Span> {
    let mut spans = trace.spans.iter();
    spans.find(|span| {
        span.kind == kind
            && span.resource.service == "nginx"
            && span.attributes.get(attr::HTTP_REQUEST_METHOD).is_some()
    })
}

fn child<'a>(trace: &'a Trace, parent: &Span, name: &str) -> Option<&'a Span> {
    let mut children = trace.children(parent.span_id);
    children.find(|span| span.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict;

    #[test]
    fn times_are_read_as_nginx_writes_them() {
        let text = r#"{"request_id":"x","request_time":0.004,"upstream_connect_time":"0.000",
            "upstream_header_time":"0.003","upstream_response_time":"0.002, 0.001","msec":1.5}"#;
        let line: Line = serde_json::from_str(text).expect("a line");
        assert_eq!(line.request_time, Some(4 * MILLISECOND));
        assert_eq!(line.upstream_connect_time, Some(0));
        assert_eq!(line.upstream_header_time, Some(3 * MILLISECOND));
        assert_eq!(line.upstream_response_time, None, "two upstreams");
    }

    #[test]
    fn a_long_turn_excuses_what_a_short_one_does_not() {
        let judged = |late, turn| {
            let mut compared = Compared::default();
            for _ in late..100 {
                compared.add(Some(4_000_000), Some(4_500_000), Some(0));
            }
            for _ in 0..late {
                compared.add(Some(4_000_000), Some(7_000_000), Some(turn));
            }
            compared.judge(REQUEST, &Ok(()))
        };
        assert!(judged(1, 2_500_000).is_ok());
        assert_eq!(judged(1, 1_000_000).verdict, Verdict::Missed);
        assert!(matches!(judged(2, 2_500_000).verdict, Verdict::Shown(_)));
        assert_eq!(judged(2, 1_000_000).verdict, Verdict::Missed);
        let mut compared = Compared::default();
        compared.add(None, Some(1), None);
        let verdict = compared.judge(REQUEST, &Ok(())).verdict;
        assert!(matches!(verdict, Verdict::NotChecked(_)));
    }
}
