//! Was each database exchange hung under the right request?
//!
//! In the lab's truth mode every parameterised statement carries its request id as a bound
//! parameter. The assembler never looks at it; here it is read from the recording and held against
//! the tree. BEGIN and prepares take their truth from the next such statement on their connection,
//! COMMIT and ROLLBACK from the one before, if it is of the same transaction. Where bytes in between were
//! lost, nothing tells the truth about them.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound::{Excluded, Unbounded};

use serde::{Deserialize, Serialize};
use tierscope_model::{
    Body, Event, Protocol, RequestId, SocketCookie, Span, Timestamp, Trace, attr,
};
use tierscope_wire::postgres::{Frontend, Message, bind_params, frontend};

const BEGIN: &str = "BEGIN";
const ENDS: [&str; 2] = ["COMMIT", "ROLLBACK"];

/// Verdicts on one kind of edge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdicts {
    /// Joined to the request that the truth names.
    pub correct: u64,
    /// Joined to nothing.
    pub orphan: u64,
    /// Joined to another request: the worst outcome.
    pub mis_stitched: u64,
    /// Joined, but nothing tells the truth about it.
    pub unverified: u64,
}

/// When a message was sent, and where it lay in what was sent: a ROLLBACK may go with the next query.
type Place = (Timestamp, usize);

/// What one client sent to PostgreSQL.
#[derive(Debug, Default)]
struct Bound {
    /// Request ids in order; none where a transaction begins or ends, or where bytes were lost.
    ids: BTreeMap<Place, Option<RequestId>>,
    /// The sequence number behind the last byte seen.
    next: Option<u32>,
}

/// Bound request ids by connection.
#[derive(Debug, Default)]
pub struct Truth {
    bound: HashMap<SocketCookie, Bound>,
}

impl Truth {
    /// Notes the ids bound in one event's bytes.
    pub fn note(&mut self, event: &Event) {
        let Body::Send(send) = &event.body else {
            return;
        };
        if send.protocol != Protocol::PostgresFrontend {
            return;
        }
        let bound = self.bound.entry(send.cookie).or_default();
        let next = bound.next.replace(send.seq.wrapping_add(send.len));
        if next.is_some_and(|next| next != send.seq) {
            let before = Timestamp(send.start.0.saturating_sub(1));
            bound.ids.insert((before, usize::MAX), None);
        }
        for message in frontend(&send.head) {
            let id = bind_params(&message).into_iter().flatten().find_map(as_id);
            if id.is_some() || is_edge(&message) {
                bound.ids.insert((send.start, message.offset), id);
            }
        }
    }

    /// Judges every database exchange of a trace.
    pub fn judge(&self, trace: &Trace, verdicts: &mut Verdicts) {
        for span in trace.spans.iter().filter(|s| is_exchange(s)) {
            self.judge_span(trace, span, verdicts);
        }
    }

    fn judge_span(&self, trace: &Trace, span: &Span, verdicts: &mut Verdicts) {
        if span.parent.is_none() {
            verdicts.orphan += 1;
            return;
        }
        match self.truth_of(span) {
            None => verdicts.unverified += 1,
            Some(id) if trace.request_id == Some(id) => verdicts.correct += 1,
            Some(_) => verdicts.mis_stitched += 1,
        }
    }

    fn truth_of(&self, span: &Span) -> Option<RequestId> {
        let range = span.attributes.text(attr::REQUEST_RANGE)?;
        let cookie = SocketCookie(range.split_once('>')?.0.parse().ok()?);
        let bound = &self.bound.get(&cookie)?.ids;
        let text = span
            .attributes
            .text(attr::DB_QUERY_TEXT)
            .unwrap_or_default();
        let (first, last) = ((span.start, 0), (span.start, usize::MAX));
        let nearest = if ENDS.iter().any(|end| text.starts_with(end)) {
            bound.range(..first).next_back()
        } else if text.starts_with(BEGIN) {
            bound.range((Excluded(last), Unbounded)).next()
        } else {
            let mut with = bound.range(first..=last);
            let own = with.find(|(_, id)| id.is_some());
            own.or_else(|| bound.range((Excluded(last), Unbounded)).next())
        };
        nearest.and_then(|(_, id)| *id)
    }
}

/// The client's span of a database exchange; upkeep carries no statement.
fn is_exchange(span: &Span) -> bool {
    let names = |key| span.attributes.get(key).is_some();
    names(attr::DB_EXCHANGE) && names(attr::REQUEST_RANGE) && !names(attr::UPKEEP)
}

/// A transaction begins or ends here: what is bound behind it says nothing of what came before.
fn is_edge(message: &Message<'_>) -> bool {
    let Frontend::Query { sql, .. } = message.as_frontend() else {
        return false;
    };
    sql.starts_with(BEGIN) || ENDS.iter().any(|end| sql.starts_with(end))
}

fn as_id(value: &[u8]) -> Option<RequestId> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use tierscope_model::{Attributes, Evidence, Link, Send, SpanId, SpanKind, Status, TraceId};

    use super::*;

    const ID: &str = "00f067aa0ba902b74bf92f3577b34da6";

    /// What is noted of these on one connection, each behind the bytes of the one before.
    fn noted(events: Vec<Event>) -> Truth {
        let (mut truth, mut next) = (Truth::default(), 0);
        for mut event in events {
            if let Body::Send(send) = &mut event.body {
                send.seq += next;
                next = send.seq + send.len;
            }
            truth.note(&event);
        }
        truth
    }

    /// The same, sent behind `bytes` that nothing tells of.
    fn behind(bytes: u32, mut event: Event) -> Event {
        if let Body::Send(send) = &mut event.body {
            send.seq += bytes;
        }
        event
    }

    fn bind(id: &str, at: u64) -> Event {
        let mut body = b"\0s1\0\0\0".to_vec();
        body.extend(1u16.to_be_bytes());
        body.extend(32u32.to_be_bytes());
        body.extend(id.as_bytes());
        body.extend(0u16.to_be_bytes());
        sent(b'B', &body, at)
    }

    fn says(sql: &str, at: u64) -> Event {
        sent(b'Q', format!("{sql}\0").as_bytes(), at)
    }

    /// What two events sent, in one call.
    fn together(first: &Event, mut second: Event) -> Event {
        if let (Body::Send(first), Body::Send(second)) = (&first.body, &mut second.body) {
            second.head.splice(0..0, first.head.iter().copied());
            second.len += first.len;
        }
        second
    }

    fn sent(tag: u8, body: &[u8], at: u64) -> Event {
        let mut head = vec![tag];
        head.extend((body.len() as u32 + 4).to_be_bytes());
        head.extend(body);
        let send = Send {
            cookie: SocketCookie(7),
            start: Timestamp(at),
            pid: 1,
            tid: 1,
            seq: 0,
            len: head.len() as u32,
            protocol: Protocol::PostgresFrontend,
            head,
            tail: Vec::new(),
            transmitted: None,
        };
        Event {
            time: Timestamp(at + 1),
            cpu: 0,
            body: Body::Send(send),
        }
    }

    fn trace(id: RequestId, sql: &'static str, start: u64) -> Trace {
        let mut attributes = Attributes::new();
        attributes.set(attr::DB_EXCHANGE, "query");
        attributes.set(attr::DB_QUERY_TEXT, sql);
        attributes.set(attr::REQUEST_RANGE, "7>8:0-9");
        let parent = Link {
            span_id: SpanId(1),
            evidence: Evidence::Poll("1@1".into()),
        };
        let span = Span {
            span_id: SpanId(2),
            parent: Some(parent),
            name: "query".into(),
            kind: SpanKind::Client,
            start: Timestamp(start),
            end: Timestamp(start + 5),
            status: Status::Unset,
            resource: Default::default(),
            attributes,
            events: Vec::new(),
            slices: Vec::new(),
        };
        Trace {
            trace_id: TraceId(id.0),
            request_id: Some(id),
            endpoint: String::new(),
            incomplete: Vec::new(),
            spans: vec![span],
        }
    }

    #[test]
    fn an_edge_is_judged_by_the_bound_id() {
        let right: RequestId = ID.parse().expect("an id");
        let wrong = RequestId(right.0 + 1);
        let truth = noted(vec![bind(ID, 100)]);
        let judge = |id, sql, start| {
            let mut verdicts = Verdicts::default();
            truth.judge(&trace(id, sql, start), &mut verdicts);
            verdicts
        };
        assert_eq!(judge(right, "SELECT x", 100).correct, 1);
        assert_eq!(judge(wrong, "SELECT x", 100).mis_stitched, 1);
        assert_eq!(judge(right, "BEGIN", 50).correct, 1);
        assert_eq!(judge(right, "COMMIT", 150).correct, 1);
        assert_eq!(judge(right, "SELECT x", 150).unverified, 1);
    }

    #[test]
    fn a_transaction_that_bound_nothing_is_not_judged_by_its_neighbours() {
        let right: RequestId = ID.parse().expect("an id");
        let other = RequestId(right.0 + 1);
        let truth = noted(vec![
            says("BEGIN", 100),
            bind(ID, 110),
            says("COMMIT", 120),
            says("BEGIN", 200),
            together(&says("ROLLBACK", 210), bind(ID, 210)),
        ]);
        let judge = |sql, start| {
            let mut verdicts = Verdicts::default();
            truth.judge(&trace(other, sql, start), &mut verdicts);
            (verdicts.mis_stitched, verdicts.unverified)
        };
        assert_eq!(
            (judge("BEGIN", 100), judge("COMMIT", 120)),
            ((1, 0), (1, 0))
        );
        assert_eq!(
            (judge("BEGIN", 200), judge("ROLLBACK", 210)),
            ((0, 1), (0, 1))
        );
    }

    #[test]
    fn what_follows_lost_bytes_is_not_judged_by_what_was_before_them() {
        let other = RequestId(ID.parse::<RequestId>().expect("an id").0 + 1);
        let truth = noted(vec![
            bind(ID, 100),
            behind(700, says("COMMIT", 200)),
            says("BEGIN", 300),
            behind(1, bind(ID, 400)),
        ]);
        for (sql, at) in [("COMMIT", 200), ("BEGIN", 300)] {
            let mut verdicts = Verdicts::default();
            truth.judge(&trace(other, sql, at), &mut verdicts);
            assert_eq!(
                (verdicts.mis_stitched, verdicts.unverified),
                (0, 1),
                "{sql}"
            );
        }
    }
}
