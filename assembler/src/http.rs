//! Pass 3a: cuts an HTTP/1 connection's two streams into requests and responses.

use tierscope_model::{Incomplete, RequestId, SmolStr, Timestamp};
use tierscope_wire::http::{
    BodyLength, ChunkedEnd, Head, RequestHead, ResponseHead, Traceparent, chunked_end,
    ends_chunked, parse_head, starts_like_head,
};

use crate::piece::Piece;
use crate::queue::{Open, Queue, Range};
use crate::tally::Tally;

/// A head that spans sends is given up on beyond this size, as servers do.
const HEAD_LIMIT: usize = 64 * 1024;

/// What the two heads of an exchange say.
#[derive(Clone, Debug, Default)]
pub(crate) struct HttpFacts {
    pub(crate) method: Option<SmolStr>,
    pub(crate) path: Option<SmolStr>,
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
    /// By the chunked coding; the body begins there.
    Chunked(u64),
    Close,
    /// The head was cut before it told: at the next message, or when the other side speaks.
    Unknown,
}

/// A head that is not whole yet.
#[derive(Debug)]
struct Partial {
    lo: u64,
    time: Timestamp,
    bytes: Vec<u8>,
}

#[derive(Debug, Default)]
struct Cutter {
    partial: Option<Partial>,
    /// The message whose body is under way.
    body: Option<Ending>,
    /// One past the last byte seen.
    seen: u64,
}

/// Where a head stands, and when its first byte's write began.
#[derive(Clone, Copy, Debug)]
struct Place {
    lo: u64,
    /// One past its last byte.
    end: u64,
    time: Timestamp,
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
    /// Takes the bytes of one send in.
    pub(crate) fn feed(
        &mut self,
        side: Side,
        piece: &Piece<'_>,
        time: Timestamp,
        tally: &mut Tally,
    ) {
        let mut at = self.cutter(side).skip_hole(piece);
        while at < piece.hi && !self.upgraded {
            at = match self.cutter(side).body {
                None => self.head(side, piece, (at, time), tally),
                Some(ending) => self.body(side, ending, piece, at),
            };
        }
        let cutter = self.cutter(side);
        cutter.seen = cutter.seen.max(piece.hi);
    }

    /// Whether the next bytes of the answering end begin an answer.
    pub(crate) fn may_answer(&self) -> bool {
        self.responses.body.is_none() && self.responses.partial.is_none()
    }

    /// Whether bytes before `lo` that were not seen may hold a request.
    pub(crate) fn may_hide_request(&self, lo: u64) -> bool {
        !matches!(self.requests.body, Some(Ending::At(end)) if end >= lo)
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

    /// Reads the head at `at` and says where to go on.
    fn head(
        &mut self,
        side: Side,
        piece: &Piece<'_>,
        (at, time): (u64, Timestamp),
        tally: &mut Tally,
    ) -> u64 {
        let Some(partial) = self.cutter(side).gather(piece, at, time) else {
            return self.unreadable(side, piece, tally);
        };
        let head = parse_head(&partial.bytes);
        let len = match &head {
            Head::Request(head) => head.len,
            Head::Response(head) => head.len,
            Head::NeedMore | Head::NotHttp => None,
        };
        let more = len.is_none() && head != Head::NotHttp && piece.whole_from(at);
        if more && partial.bytes.len() < HEAD_LIMIT {
            self.cutter(side).partial = Some(partial);
            return piece.hi;
        }
        let place = Place {
            lo: partial.lo,
            end: partial.lo + len.unwrap_or(partial.bytes.len()) as u64,
            time: partial.time,
        };
        match head {
            Head::Request(head) if side == Side::Request => self.request(head, place, tally),
            Head::Response(head) if side == Side::Response => self.response(&head, place, tally),
            _ => return self.unreadable(side, piece, tally),
        }
        tally.http_parsed += 1;
        // A head that was cut says nothing of where it ends: the rest of the send belongs to it.
        if len.is_some() { place.end } else { piece.hi }
    }

    /// A message that cannot be read may be a request or an answer: the order is lost.
    fn unreadable(&mut self, side: Side, piece: &Piece<'_>, tally: &mut Tally) -> u64 {
        tally.http_unparsed += 1;
        self.queue.lose(side == Side::Response);
        piece.hi
    }

    fn request(&mut self, head: RequestHead, place: Place, tally: &mut Tally) {
        self.end_unknown(Side::Response);
        let body = head.body;
        let facts = HttpFacts {
            method: Some(head.method.into()),
            path: Some(head.path.into()),
            asked_id: head.request_id,
            traceparent: head.traceparent,
            client_request_id: head.client_request_id,
            client_trace_id: head.client_trace_id,
            ..HttpFacts::default()
        };
        let mut open = Open::new(tally.next(), place.time, facts);
        open.request = Some(Range {
            lo: place.lo,
            gate: place.end - 1,
            hi: None,
        });
        self.queue.push(open);
        self.begin_body(Side::Request, body, place.end);
    }

    fn response(&mut self, head: &ResponseHead, place: Place, tally: &mut Tally) {
        let switching = head.status == 101;
        if (100..200).contains(&head.status) && !switching {
            return;
        }
        self.end_unknown(Side::Request);
        let unasked = self.queue.answer(place.lo, place.end - 1, || {
            Open::new(tally.next(), place.time, HttpFacts::default())
        });
        tally.unasked += u64::from(unasked);
        let Some(open) = self.queue.answering() else {
            return;
        };
        open.facts.status = Some(head.status);
        open.facts.answered_id = head.request_id;
        let method = open.facts.method.as_deref();
        let tunnel = method == Some("CONNECT") && (200..300).contains(&head.status);
        self.upgraded = switching || tunnel;
        let body = head.body(method);
        self.begin_body(Side::Response, body, place.end);
    }

    fn begin_body(&mut self, side: Side, body: BodyLength, gate: u64) {
        let ending = match body {
            BodyLength::None => Ending::At(gate),
            BodyLength::Fixed(length) => Ending::At(gate.saturating_add(length)),
            BodyLength::Chunked => Ending::Chunked(gate),
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
            Ending::Chunked(first) => self.chunks(side, first, piece, at),
            Ending::Unknown if begins_message(piece, at) => {
                self.end(side, at, false);
                at
            }
            // The answer to a HEAD that was not seen says a length and has no body.
            Ending::At(_) if self.is_unheard(side) && begins_message(piece, at) => {
                self.end(side, at, false);
                at
            }
            _ => piece.hi,
        }
    }

    /// Chunks are walked where they were captured from the first; elsewhere the last bytes of the send
    /// tell, or the next message.
    fn chunks(&mut self, side: Side, first: u64, piece: &Piece<'_>, at: u64) -> u64 {
        let walked = match chunked_end(piece.from(at)) {
            ChunkedEnd::At(len) if at == first => Some(at + len as u64),
            ChunkedEnd::NeedMore if at == first && piece.whole_from(at) => return piece.hi,
            _ => None,
        };
        let end = walked.or_else(|| ends_chunked(piece.tail_from(at)).then_some(piece.hi));
        match end {
            Some(end) => self.end(side, end, true),
            None if begins_message(piece, at) => self.end(side, at, false),
            None => return piece.hi,
        }
        end.unwrap_or(at)
    }

    /// Whether an answer is under way to a request of which no byte was seen.
    fn is_unheard(&mut self, side: Side) -> bool {
        let open = self.queue.answering();
        side == Side::Response && open.is_some_and(|open| open.facts.method.is_none())
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
            Side::Request => self.queue.asking(),
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

fn begins_message(piece: &Piece<'_>, at: u64) -> bool {
    at == piece.lo && starts_like_head(piece.from(at))
}

impl Cutter {
    /// The bytes of the head at `at`, with those of earlier sends; none where no head begins.
    fn gather(&mut self, piece: &Piece<'_>, at: u64, time: Timestamp) -> Option<Partial> {
        let captured = piece.from(at);
        match self.partial.take() {
            Some(mut partial) => {
                partial.bytes.extend_from_slice(captured);
                Some(partial)
            }
            None => starts_like_head(captured).then(|| Partial {
                lo: at,
                time,
                bytes: captured.to_vec(),
            }),
        }
    }

    /// Where to go on: past bytes that were cut already, and with a partial head dropped when bytes
    /// in between were not seen.
    fn skip_hole(&mut self, piece: &Piece<'_>) -> u64 {
        if self.seen != 0 && piece.lo > self.seen {
            self.partial = None;
        }
        piece.lo.max(self.seen.min(piece.hi))
    }
}
