//! Pass 2: sockets become connections, and each connection's bytes become exchanges.

use tierscope_model::{
    Arrive, Dropped, Incomplete, Nanos, Protocol, Recv, RequestId, Retransmit, Send, Skipped,
    Socket, SocketCookie, SocketRole, Timestamp, Transmit,
};
use tierscope_wire::http::starts_like_head;

use crate::dropped;
use crate::exchange::{End, Exchange, Facts};
use crate::http::{HttpTalk, Side};
use crate::piece::Piece;
use crate::postgres::{Begun, PgTalk};
use crate::queue::Open;
use crate::retransmit::Resent;
use crate::setup::Setup;
use crate::silent::Silent;
use crate::stream::{Caller, ORIGIN, Read, Stream, Write};
use crate::tally::Tally;

/// Log entries kept per connection; beyond this the oldest are dropped.
const LOG_LIMIT: usize = 65_536;
/// The same while it is not known what the connection speaks.
const UNKNOWN_LOG_LIMIT: usize = 256;

/// An answer from an end that is not traced is taken to be whole when nothing of it came for this long,
/// and one to such an end to have left when nothing of it did.
const PAUSE: Nanos = 500_000_000;

/// What the connection speaks, judged by content once and kept.
#[derive(Debug)]
enum Talk {
    Unknown,
    Http(Box<HttpTalk>),
    Postgres(Box<PgTalk>),
}

/// Two sockets and the bytes between them. `streams[i]` is what end `i` writes.
#[derive(Debug)]
pub(crate) struct Connection {
    ends: [End; 2],
    streams: [Stream; 2],
    closed: [Option<Timestamp>; 2],
    talk: Talk,
    /// Which end asks, once it is known.
    client: Option<usize>,
    /// It was open when tracing began.
    found: bool,
    /// What is known of an end that is not traced.
    silent: Silent,
    /// How it was made.
    setup: Setup,
}

impl Connection {
    pub(crate) fn new(socket: &Socket, time: Timestamp) -> Connection {
        let mut connection = Connection {
            ends: [(); 2].map(|()| End::at(socket.peer)),
            streams: [Stream::default(), Stream::default()],
            closed: [None; 2],
            talk: Talk::Unknown,
            client: None,
            found: socket.role == SocketRole::Found,
            silent: Silent::default(),
            setup: Setup::default(),
        };
        connection.join(0, socket, time);
        connection
    }

    /// A socket is end `end` of this connection, established at `time`.
    pub(crate) fn join(&mut self, end: usize, socket: &Socket, time: Timestamp) {
        self.setup.established(socket, time);
        self.ends[end] = End {
            cookie: Some(socket.cookie),
            pid: Some(socket.pid).filter(|pid| *pid != 0),
            ..End::at(socket.local)
        };
        self.silent = Silent::default();
        self.streams[end].offset(socket.send_seq);
        self.streams[1 - end].offset(socket.recv_seq);
        match socket.role {
            SocketRole::Connect => self.client = Some(end),
            SocketRole::Accept => self.client = Some(1 - end),
            SocketRole::Found => self.found = true,
        }
    }

    /// How far `socket` is from being end `end` of this connection, in bytes: 0 for one just established.
    pub(crate) fn distance(&self, end: usize, socket: &Socket) -> u64 {
        self.streams[end].distance(socket.send_seq)
            + self.streams[1 - end].distance(socket.recv_seq)
    }

    pub(crate) fn is_vacant(&self, end: usize) -> bool {
        self.ends[end].cookie.is_none()
    }

    /// Cookies of the traced ends.
    pub(crate) fn cookies(&self) -> impl Iterator<Item = SocketCookie> {
        self.ends.iter().filter_map(|end| end.cookie)
    }

    /// End `end` wrote. Returns the PostgreSQL requests that this completed.
    pub(crate) fn send(
        &mut self,
        end: usize,
        send: &Send,
        time: Timestamp,
        tally: &mut Tally,
        out: &mut Vec<Box<Exchange>>,
    ) -> Vec<Begun> {
        let lo = self.streams[end].offset(send.seq);
        let hi = lo + u64::from(send.len);
        let seen = self.streams[end].written;
        // What was written before it was known what is spoken may hold messages, too.
        let mute = matches!(self.talk, Talk::Unknown);
        let hole = lo > if mute { self.streams[end].begins } else { seen };
        let by = Caller {
            pid: send.pid,
            tid: send.tid,
        };
        self.streams[end].wrote(Write {
            lo,
            hi,
            start: send.start,
            end: time,
            by,
        });
        if let Some((until, left)) = send.transmitted {
            let until = lo + u64::from(until.wrapping_sub(send.seq));
            self.streams[end].departed(lo, until.min(hi), left);
        }
        self.judge(end, send);
        self.hear(end, hole, tally);
        if self.client == Some(end) {
            self.note_ask(lo, hole);
        } else if hole {
            self.skip_unseen((seen, lo), time, out);
        }
        let piece = Piece::new(lo, hi, &send.head, &send.tail);
        self.feed(end, &piece, send.start, by, tally)
    }

    /// Hands the bytes that end `end` wrote to the protocol.
    fn feed(
        &mut self,
        end: usize,
        piece: &Piece<'_>,
        start: Timestamp,
        by: Caller,
        tally: &mut Tally,
    ) -> Vec<Begun> {
        let asks = self.client == Some(end);
        match &mut self.talk {
            Talk::Unknown => {}
            Talk::Http(talk) => {
                let side = if asks { Side::Request } else { Side::Response };
                talk.feed(side, piece, start, tally);
            }
            Talk::Postgres(talk) if asks => return talk.ask(piece, start, by, tally),
            Talk::Postgres(talk) => talk.answer(piece, start, tally),
        }
        Vec::new()
    }

    /// End `end` begins to write: if the other one is not traced, its message before is whole. After a
    /// `hole` in what was seen written it may have been several.
    fn hear(&mut self, end: usize, hole: bool, tally: &mut Tally) {
        if !self.is_vacant(1 - end) {
            return;
        }
        if hole {
            self.silent.take();
        }
        if self.client == Some(end) {
            self.hear_answer();
        } else {
            self.hear_request(tally);
        }
    }

    /// A request of a client that is not traced, known by the server's reads.
    fn hear_request(&mut self, tally: &mut Tally) {
        let silent = &mut self.silent;
        match &mut self.talk {
            Talk::Http(talk) if talk.may_answer() => {
                if let Some((range, since)) = silent.take() {
                    talk.queue.hear_request(range, || tally.open(since));
                }
            }
            Talk::Postgres(talk) if talk.may_answer() => {
                if let Some((range, since)) = silent.take() {
                    talk.queue.hear_request(range, || tally.open(since));
                }
            }
            _ => {}
        }
    }

    /// An answer of a server that is not traced, known by the client's reads.
    fn hear_answer(&mut self) {
        let Some((range, since)) = self.silent.take() else {
            return;
        };
        match &mut self.talk {
            Talk::Unknown => {}
            Talk::Http(talk) => talk.queue.hear_answer(range, since),
            Talk::Postgres(talk) => talk.queue.hear_answer(range, since),
        }
    }

    /// Finishes what an end that is not traced has left quiet.
    pub(crate) fn settle(
        &mut self,
        now: Timestamp,
        tally: &mut Tally,
        out: &mut Vec<Box<Exchange>>,
    ) {
        let Some(client) = self.client else { return };
        if self.is_vacant(1 - client) && self.silent.is_quiet(now, PAUSE) {
            self.hear_answer();
            self.finished(now, tally, out);
        } else if self.is_vacant(client) {
            self.finished(now, tally, out);
        }
    }

    /// The asking end writes from `lo` on; `hole` where bytes before that were never seen written.
    fn note_ask(&mut self, lo: u64, hole: bool) {
        let Some(client) = self.client else { return };
        let answers = &self.streams[1 - client];
        let (written, all_read) = (answers.written, answers.read >= answers.written);
        let all_read = self.is_vacant(client) || all_read;
        match &mut self.talk {
            Talk::Unknown => {}
            Talk::Http(talk) => {
                let hole = hole && talk.may_hide_request(lo);
                talk.queue.ask(all_read, hole);
            }
            Talk::Postgres(talk) => {
                if all_read {
                    talk.end_unseen(written);
                }
                let hole = hole && talk.may_hide_request(lo);
                talk.queue.ask(all_read, hole);
            }
        }
    }

    /// Bytes `[seen, lo)` of the answering end were never seen written (tracing began in between, or
    /// events were lost): what they answered must not be given the next answer.
    fn skip_unseen(
        &mut self,
        (seen, lo): (u64, u64),
        now: Timestamp,
        out: &mut Vec<Box<Exchange>>,
    ) {
        let Some(client) = self.client else { return };
        let stream = &self.streams[1 - client];
        let read = stream.read_of(lo - 1).map(|read| read.time);
        let reason = if self.found {
            Incomplete::RecordingEdge
        } else {
            Incomplete::EventLoss
        };
        match &mut self.talk {
            Talk::Unknown => {}
            Talk::Http(talk) => {
                let skipped = talk.queue.skip(seen, read, reason);
                self.measure_all(client, skipped, now, Facts::Http, out);
            }
            Talk::Postgres(talk) => {
                let skipped = talk.queue.skip(seen, read, reason);
                self.measure_all(client, skipped, now, Facts::Postgres, out);
            }
        }
    }

    fn judge(&mut self, end: usize, send: &Send) {
        if !matches!(self.talk, Talk::Unknown) {
            return;
        }
        let asks = match send.protocol {
            Protocol::Unknown => return,
            Protocol::Http if !starts_like_head(&send.head) => return,
            Protocol::Http => !send.head.starts_with(b"HTTP/"),
            Protocol::PostgresFrontend => true,
            Protocol::PostgresBackend => false,
        };
        self.client.get_or_insert(if asks { end } else { 1 - end });
        self.talk = match send.protocol {
            Protocol::Http => Talk::Http(Box::default()),
            _ => Talk::Postgres(Box::default()),
        };
    }

    /// End `end` read; true where that is the end that serves.
    pub(crate) fn recv(&mut self, end: usize, recv: &Recv, time: Timestamp, tally: &Tally) -> bool {
        let by = Caller {
            pid: recv.pid,
            tid: recv.tid,
        };
        // Who reads serves: a listener's child may have been announced under its parent.
        self.ends[end].pid = Some(recv.pid);
        if recv.len > 0 {
            let lo = self.streams[1 - end].offset(recv.seq);
            let hi = lo + u64::from(recv.len);
            if self.is_vacant(1 - end) {
                self.silent.hear(lo, hi, time, tally.sampled);
            }
            self.streams[1 - end].took(Read { lo, hi, time, by });
        }
        self.client.is_some_and(|client| client != end)
    }

    pub(crate) fn arrive(&mut self, end: usize, arrive: &Arrive) {
        let stream = &mut self.streams[1 - end];
        let lo = stream.offset(arrive.seq);
        let hi = lo + u64::from(arrive.end_seq.wrapping_sub(arrive.seq));
        let expected = stream.offset(arrive.rcv_nxt);
        stream.arrived(lo, hi, expected, arrive.time, arrive.late);
    }

    /// Bytes that end `end` wrote left for the device after their call.
    pub(crate) fn transmit(&mut self, end: usize, transmit: &Transmit, time: Timestamp) {
        let stream = &mut self.streams[end];
        let lo = stream.offset(transmit.seq);
        let hi = lo + u64::from(transmit.end_seq.wrapping_sub(transmit.seq));
        stream.departed(lo, hi, time);
    }

    /// A packet of what end `end` wrote was dropped on its host.
    pub(crate) fn dropped(&mut self, end: usize, dropped: &Dropped, time: Timestamp) {
        let stream = &mut self.streams[end];
        let lo = stream.offset(dropped.seq);
        let hi = lo + u64::from(dropped.end_seq.wrapping_sub(dropped.seq));
        stream.dropped(dropped::Dropped { lo, hi, time });
    }

    /// Bytes that end `end` wrote are whole messages of exchanges that are not seen.
    pub(crate) fn skipped(&mut self, end: usize, skipped: &Skipped) {
        let stream = &mut self.streams[end];
        let lo = stream.offset(skipped.seq);
        let hi = stream.offset(skipped.end_seq);
        stream.skipped(lo, hi);
    }

    pub(crate) fn accepted(&mut self, time: Timestamp) {
        self.setup.accepted = Some(time);
    }

    pub(crate) fn retransmit(
        &mut self,
        end: usize,
        retransmit: &Retransmit,
        time: Timestamp,
        tally: &mut Tally,
    ) {
        // A FIN alone belongs to no message.
        if retransmit.seq == retransmit.end_seq {
            return;
        }
        let stream = &mut self.streams[end];
        let lo = stream.offset(retransmit.seq);
        let hi = lo + u64::from(retransmit.end_seq.wrapping_sub(retransmit.seq));
        let open = stream.retransmitted(Resent { lo, hi, time });
        tally.retransmits_after_read += u64::from(!open);
    }

    /// Marks an end closed; true once every traced end is.
    pub(crate) fn close(&mut self, end: usize, time: Timestamp) -> bool {
        self.closed[end] = Some(time);
        (0..2).all(|end| self.is_vacant(end) || self.closed[end].is_some())
    }

    /// One end closed long ago and the other never said so.
    pub(crate) fn half_closed_before(&self, time: Timestamp) -> bool {
        self.closed.iter().flatten().any(|closed| *closed < time)
    }

    /// The exchanges that are finished by now.
    pub(crate) fn finished(
        &mut self,
        now: Timestamp,
        tally: &mut Tally,
        out: &mut Vec<Box<Exchange>>,
    ) {
        if let Some(client) = self.client {
            let consumed = self.consumed(client, now, tally);
            self.finish_below(client, consumed, now, out);
        }
        self.limit(tally);
    }

    /// An answer counts as consumed when the client read it; the reads of one that is not traced are not
    /// seen: when it left.
    fn consumed(&self, client: usize, now: Timestamp, tally: &Tally) -> u64 {
        let answers = &self.streams[1 - client];
        let still = || {
            answers
                .last_write()
                .is_none_or(|last| now.since(last) >= PAUSE)
        };
        match self.is_vacant(client) {
            false => answers.read,
            true if tally.departures_unmeasured || still() => answers.written,
            true => answers.left.min(answers.written),
        }
    }

    fn finish_below(
        &mut self,
        client: usize,
        consumed: u64,
        now: Timestamp,
        out: &mut Vec<Box<Exchange>>,
    ) {
        loop {
            match &mut self.talk {
                Talk::Unknown => return,
                Talk::Http(talk) => {
                    let Some(done) = talk.queue.pop_finished(consumed) else {
                        return;
                    };
                    self.measure(client, done, now, Facts::Http, out);
                }
                Talk::Postgres(talk) => {
                    let Some(done) = talk.queue.pop_finished(consumed) else {
                        return;
                    };
                    self.measure(client, done, now, Facts::Postgres, out);
                }
            }
        }
    }

    /// Exchanges whose answer did not come in time.
    pub(crate) fn expire(&mut self, now: Timestamp, timeout: Nanos, out: &mut Vec<Box<Exchange>>) {
        let Some(client) = self.client else { return };
        match &mut self.talk {
            Talk::Unknown => {}
            Talk::Http(talk) => {
                let expired = talk.queue.expire(now, timeout);
                self.measure_all(client, expired, now, Facts::Http, out);
            }
            Talk::Postgres(talk) => {
                let expired = talk.queue.expire(now, timeout);
                self.measure_all(client, expired, now, Facts::Postgres, out);
            }
        }
    }

    /// The connection (or the recording) is at its end: what is open will not be answered.
    pub(crate) fn end(
        &mut self,
        now: Timestamp,
        reason: Incomplete,
        tally: &mut Tally,
        out: &mut Vec<Box<Exchange>>,
    ) {
        if let (Talk::Http(talk), Incomplete::ConnectionClosed) = (&mut self.talk, reason) {
            talk.close();
        }
        if self.client.is_some_and(|client| self.is_vacant(1 - client)) {
            self.hear_answer();
        }
        self.finished(now, tally, out);
        let Some(client) = self.client else { return };
        if self.is_vacant(client) {
            self.finish_below(client, self.streams[1 - client].written, now, out);
        }
        let error = (reason == Incomplete::ConnectionClosed).then_some("closed");
        match &mut self.talk {
            Talk::Unknown => {}
            Talk::Http(talk) => {
                let rest = talk.queue.close(reason, error);
                self.measure_all(client, rest, now, Facts::Http, out);
            }
            Talk::Postgres(talk) => {
                let rest = talk.queue.close(reason, error);
                self.measure_all(client, rest, now, Facts::Postgres, out);
            }
        }
    }

    /// Whether an HTTP exchange is open here that may turn out to be the caller of request `id`, which
    /// process `pid` passed on at `start`: begun before, its own id not told yet or the same.
    pub(crate) fn may_hold_caller(&self, pid: u32, start: Timestamp, id: RequestId) -> bool {
        let Some(client) = self.client else {
            return false;
        };
        let serves = self.ends[1 - client].pid.is_none_or(|server| server == pid);
        let unheard =
            self.is_vacant(client) && self.silent.since().is_some_and(|since| since <= start);
        serves && (unheard || self.holds(start, id))
    }

    /// When the oldest exchange that is open here began.
    pub(crate) fn oldest(&self) -> Option<Timestamp> {
        match &self.talk {
            Talk::Unknown => None,
            Talk::Http(talk) => talk.queue.iter().map(|open| open.begun).min(),
            Talk::Postgres(talk) => talk.queue.iter().map(|open| open.begun).min(),
        }
    }

    fn holds(&self, start: Timestamp, id: RequestId) -> bool {
        let Talk::Http(talk) = &self.talk else {
            return false;
        };
        talk.queue.iter().any(|open| {
            open.begun <= start && open.facts.answered_id.is_none_or(|answered| answered == id)
        })
    }

    fn measure_all<F>(
        &mut self,
        client: usize,
        done: Vec<Open<F>>,
        now: Timestamp,
        wrap: fn(F) -> Facts,
        out: &mut Vec<Box<Exchange>>,
    ) {
        for open in done {
            self.measure(client, open, now, wrap, out);
        }
    }

    fn measure<F>(
        &mut self,
        client: usize,
        mut open: Open<F>,
        now: Timestamp,
        wrap: impl FnOnce(F) -> Facts,
        out: &mut Vec<Box<Exchange>>,
    ) {
        if self.found && open.incomplete.contains(&Incomplete::NoRequest) {
            open.incomplete.push(Incomplete::RecordingEdge);
        }
        let first = open.request.is_some_and(|request| request.lo == ORIGIN);
        let ends = (self.ends[client].clone(), self.ends[1 - client].clone());
        let below = (
            open.request.and_then(|r| r.hi),
            open.response.and_then(|r| r.hi),
        );
        let (asked, answered) = (&self.streams[client], &self.streams[1 - client]);
        let mut exchange = Exchange::measure(open, ends, (asked, answered), now, wrap);
        if first {
            exchange.setup = self.setup.take();
        }
        out.push(exchange);
        self.streams[client].prune(below.0.unwrap_or(0));
        self.streams[1 - client].prune(below.1.unwrap_or(0));
    }

    fn limit(&mut self, tally: &mut Tally) {
        let limit = match self.talk {
            Talk::Unknown => UNKNOWN_LOG_LIMIT,
            _ => LOG_LIMIT,
        };
        for stream in &mut self.streams {
            if stream.len() > limit {
                tally.over_budget += stream.len() as u64;
                stream.prune(stream.written.max(stream.read));
            }
        }
    }
}
