//! Pass 3a: cuts an HTTP/1 connection's two streams into requests and responses.

use tierscope_model::{Incomplete, RequestId, Timestamp};
use tierscope_wire::http::{
    BodyLength, Head, RequestHead, Traceparent, ends_chunked, parse_head, starts_like_head,
};

use crate::piece::Piece;
use crate::queue::{Open, Queue, Range};

/// A head that spans sends is given up on beyond this size, as servers do.
const HEAD_LIMIT: usize = 64 * 1024;

/// What the two heads of an exchange say.
#[derive(Clone, Debug, Default)]
pub(crate) struct HttpFacts {
    pub(crate) method: Option<String>,
    pub(crate) path: Option<String>,
    pub(crate) status: Option<u16>,
    /// `X-Request-ID` of the request: nginx's own only on an inner hop.
    pub(crate) asked_id: Option<RequestId>,
    /// `X-Request-ID` of the response.
    pub(crate) answered_id: Option<RequestId>,
    pub(crate) traceparent: Option<Traceparent>,
    pub(crate) client_request_id: Option<String>,
    pub(crate) client_trace_id: Option<String>,
}

/// Which message of an exchange a stream carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Request,
    Response,
}

/// How the message under way ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    At(u64),
    Chunked,
    Close,
    /// The head was cut before it told: at the next message, or when the other side speaks.
    Unknown,
}

#[derive(Debug, Default)]
struct Cutter {
    /// Start and bytes of a head that is not whole yet.
    partial: Option<(u64, Vec<u8>)>,
    /// The message whose body is under way.
    body: Option<Ending>,
    /// One past the last byte seen.
    seen: u64,
}

/// Counts over all connections.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HttpCounts {
    /// Message heads read.
    pub(crate) parsed: u64,
    /// Sends that should have begun a message and did not.
    pub(crate) unparsed: u64,
    /// Answers that had no request.
    pub(crate) unasked: u64,
}

/// One HTTP connection's state.
#[derive(Debug, Default)]
pub(crate) struct HttpTalk {
    requests: Cutter,
    responses: Cutter,
    pub(crate) queue: Queue<HttpFacts>,
    /// After `101 Switching Protocols` the bytes are no longer HTTP.
    upgraded: bool,
}

impl HttpTalk {
    /// Takes the bytes of one send in; `number` gives out exchange numbers.
    pub(crate) fn feed(
        &mut self,
        side: Side,
        piece: &Piece<'_>,
        time: Timestamp,
        number: &mut u64,
        counts: &mut HttpCounts,
    ) {
        let mut at = self.cutter(side).skip_hole(piece);
        while at < piece.hi && !self.upgraded {
            at = match self.cutter(side).body {
                None => self.head(side, piece, at, time, number, counts),
                Some(ending) => self.body(side, ending, piece, at),
            };
        }
        let cutter = self.cutter(side);
        cutter.seen = cutter.seen.max(piece.hi);
    }

    /// The connection closed: a response that runs until then is whole.
    pub(crate) fn close(&mut self) {
        if self.responses.body == Some(Ending::Close) {
            let seen = self.responses.seen;
            self.end(Side::Response, seen, true);
        }
    }

    fn cutter(&mut self, side: Side) -> &mut Cutter {
        match side {
            Side::Request => &mut self.requests,
            Side::Response => &mut self.responses,
        }
    }

    fn head(
        &mut self,
        side: Side,
        piece: &Piece<'_>,
        at: u64,
        time: Timestamp,
        number: &mut u64,
        counts: &mut HttpCounts,
    ) -> u64 {
        let captured = piece.from(at);
        let (lo, bytes) = match self.cutter(side).partial.take() {
            Some((lo, mut bytes)) => {
                bytes.extend_from_slice(captured);
                (lo, bytes)
            }
            None if starts_like_head(captured) => (at, captured.to_vec()),
            None => {
                counts.unparsed += 1;
                return piece.hi;
            }
        };
        let head = parse_head(&bytes);
        let len = match &head {
            Head::Request(head) => head.len,
            Head::Response(head) => head.len,
            Head::NeedMore => None,
            Head::NotHttp => {
                counts.unparsed += 1;
                return piece.hi;
            }
        };
        if len.is_none() && piece.whole_from(at) && bytes.len() < HEAD_LIMIT {
            self.cutter(side).partial = Some((lo, bytes));
            return piece.hi;
        }
        counts.parsed += 1;
        let gate = lo + len.unwrap_or(bytes.len()) as u64;
        match head {
            Head::Request(head) if side == Side::Request => {
                self.request(head, lo, gate, time, number)
            }
            Head::Response(head) if side == Side::Response => {
                self.response(&head, lo, gate, time, number, counts);
            }
            _ => {
                counts.unparsed += 1;
                return piece.hi;
            }
        }
        // A head that was cut says nothing of where it ends: the rest of the send belongs to it.
        if len.is_some() { gate } else { piece.hi }
    }

    fn request(
        &mut self,
        head: RequestHead,
        lo: u64,
        gate: u64,
        time: Timestamp,
        number: &mut u64,
    ) {
        self.end_unknown(Side::Response);
        let body = head.body;
        let facts = HttpFacts {
            method: Some(head.method),
            path: Some(head.path),
            asked_id: head.request_id,
            traceparent: head.traceparent,
            client_request_id: head.client_request_id,
            client_trace_id: head.client_trace_id,
            ..HttpFacts::default()
        };
        *number += 1;
        let mut open = Open::new(*number, time, facts);
        open.request = Some(Range {
            lo,
            gate: gate - 1,
            hi: None,
        });
        self.queue.push(open);
        self.begin_body(Side::Request, body, gate);
    }

    fn response(
        &mut self,
        head: &tierscope_wire::http::ResponseHead,
        lo: u64,
        gate: u64,
        time: Timestamp,
        number: &mut u64,
        counts: &mut HttpCounts,
    ) {
        if (100..200).contains(&head.status) {
            self.upgraded = head.status == 101;
            return;
        }
        self.end_unknown(Side::Request);
        if self.queue.unanswered().is_none() {
            counts.unasked += 1;
            *number += 1;
            let mut open = Open::new(*number, time, HttpFacts::default());
            open.incomplete.push(Incomplete::NoRequest);
            self.queue.push(open);
        }
        let Some(open) = self.queue.unanswered() else {
            return;
        };
        open.response = Some(Range {
            lo,
            gate: gate - 1,
            hi: None,
        });
        open.facts.status = Some(head.status);
        open.facts.answered_id = head.request_id;
        let body = head.body(open.facts.method.as_deref());
        self.begin_body(Side::Response, body, gate);
    }

    fn begin_body(&mut self, side: Side, body: BodyLength, gate: u64) {
        let ending = match body {
            BodyLength::None => Ending::At(gate),
            BodyLength::Fixed(length) => Ending::At(gate.saturating_add(length)),
            BodyLength::Chunked => Ending::Chunked,
            BodyLength::UntilClose => Ending::Close,
            BodyLength::Unknown => Ending::Unknown,
        };
        self.cutter(side).body = Some(ending);
        if ending == Ending::At(gate) {
            self.end(side, gate, true);
        }
    }

    fn body(&mut self, side: Side, ending: Ending, piece: &Piece<'_>, at: u64) -> u64 {
        match ending {
            Ending::At(end) if end <= piece.hi => {
                self.end(side, end, true);
                end.max(at)
            }
            Ending::Chunked if ends_chunked(piece.tail_from(at)) => {
                self.end(side, piece.hi, true);
                piece.hi
            }
            Ending::Chunked | Ending::Unknown
                if at == piece.lo && starts_like_head(piece.from(at)) =>
            {
                self.end(side, at, false);
                at
            }
            _ => piece.hi,
        }
    }

    fn end_unknown(&mut self, side: Side) {
        if self.cutter(side).body == Some(Ending::Unknown) {
            let seen = self.cutter(side).seen;
            self.end(side, seen, false);
        }
    }

    fn end(&mut self, side: Side, hi: u64, exact: bool) {
        self.cutter(side).body = None;
        let open = match side {
            Side::Request => self.queue.newest(),
            Side::Response => self.queue.answering(),
        };
        let Some(open) = open else { return };
        let range = match side {
            Side::Request => &mut open.request,
            Side::Response => &mut open.response,
        };
        if let Some(range) = range {
            range.hi = Some(hi);
        }
        if !exact {
            open.incomplete.push(Incomplete::MessageEnd);
        }
    }
}

impl Cutter {
    /// Where to go on: past bytes that were cut already, and with a partial head dropped when bytes
    /// in between were not seen.
    fn skip_hole(&mut self, piece: &Piece<'_>) -> u64 {
        if self.seen != 0 && piece.lo > self.seen {
            self.partial = None;
        }
        piece.lo.max(self.seen.min(piece.hi))
    }
}
