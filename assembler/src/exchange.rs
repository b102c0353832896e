//! A finished exchange: a request, its answer, and when each byte of them was where.

use std::net::SocketAddr;

use smol_str::ToSmolStr;
use tierscope_model::{Incomplete, Nanos, SmolStr, SocketCookie, Timestamp};

use crate::dropped::{self, Failure};
use crate::full;
use crate::http::HttpFacts;
use crate::postgres::PgFacts;
use crate::queue::{Open, Range};
use crate::retransmit::Retransmits;
use crate::setup::Setup;
use crate::stream::{Caller, Stream};

/// One end of a connection, as far as it is traced.
#[derive(Clone, Debug, Default)]
pub(crate) struct End {
    pub(crate) cookie: Option<SocketCookie>,
    pub(crate) local: Option<SocketAddr>,
    /// The address in `local`: written once for all spans of a connection.
    pub(crate) ip: SmolStr,
    pub(crate) pid: Option<u32>,
}

impl End {
    pub(crate) fn at(local: SocketAddr) -> End {
        End {
            local: Some(local),
            ip: local.ip().to_smolstr(),
            ..End::default()
        }
    }
}

/// A message's way from one process to the other. Each time is none where it was not measured.
#[derive(Clone, Debug)]
pub(crate) struct Passage {
    /// Sequence numbers of the first byte and of one past the last.
    pub(crate) seq: (u32, u32),
    pub(crate) bytes: u64,
    /// Entry of the call that wrote the first byte.
    pub(crate) first_write: Option<Timestamp>,
    /// Return of the call that wrote the last byte.
    pub(crate) last_write: Option<Timestamp>,
    pub(crate) writer: Option<Caller>,
    /// The last of its bytes left for the device.
    pub(crate) left: Option<Timestamp>,
    /// That is known for the whole send only, which went on when the message's last byte had arrived.
    pub(crate) left_late: bool,
    /// The last byte was there to be read.
    pub(crate) arrival: Option<Timestamp>,
    /// The arrival was noted late, by up to the reader's call.
    pub(crate) arrival_late: bool,
    /// Return of the call that took the first byte.
    pub(crate) first_read: Option<Timestamp>,
    /// Return of the call that took the last byte of the head.
    pub(crate) head_read: Option<Timestamp>,
    /// Return of the call that took the last byte.
    pub(crate) last_read: Option<Timestamp>,
    pub(crate) reader: Option<Caller>,
    /// Who took the last byte.
    pub(crate) last_reader: Option<Caller>,
    pub(crate) retransmits: Retransmits,
    /// When its bytes waited at the sender for a reader.
    pub(crate) full: Vec<full::Stretch>,
    /// When they waited there because the host had dropped them.
    pub(crate) failures: Vec<Failure>,
}

impl Passage {
    fn measure(stream: &Stream, range: Range) -> Passage {
        let hi = range.hi.unwrap_or(stream.written).max(range.lo + 1);
        let last = hi - 1;
        let (first, wrote) = (stream.write_of(range.lo), stream.write_of(last));
        let (gate, took) = (stream.read_of(range.gate.min(last)), stream.read_of(last));
        let arrival = stream.arrival_of(last);
        let left = stream.left_by(range.lo, hi);
        let came = arrival.map(|a| a.time).or(took.map(|r| r.time));
        Passage {
            seq: (stream.seq(range.lo), stream.seq(hi)),
            bytes: hi - range.lo,
            first_write: first.map(|w| w.start),
            last_write: wrote.map(|w| w.end),
            writer: first.map(|w| w.by),
            left: left.map(|left| came.map_or(left, |came| left.min(came))),
            left_late: left > came && came.is_some(),
            arrival: arrival.map(|a| a.time),
            arrival_late: arrival.is_some_and(|a| a.late),
            first_read: stream.read_of(range.lo).map(|r| r.time),
            head_read: gate.map(|r| r.time),
            last_read: took.map(|r| r.time),
            reader: gate.or(took).map(|r| r.by),
            last_reader: took.map(|r| r.by),
            retransmits: Retransmits::measure(stream, range.lo, hi),
            full: full::stretches(stream, range.lo, hi),
            failures: dropped::failures(stream, range.lo, hi),
        }
    }

    /// The message left its sender: its last byte did, which may be long after the call that wrote it.
    /// Where that was not measured: the last write returned, or its last byte was seen to arrive before
    /// that (on loopback a byte arrives inside the call that sends it).
    pub(crate) fn sent(&self) -> Option<Timestamp> {
        match (self.left.or(self.last_write), self.arrival) {
            (Some(write), Some(arrival)) => Some(write.min(arrival)),
            (write, _) => write,
        }
    }

    /// How long its last bytes were kept from leaving after the call that wrote them had returned; none
    /// where they were not.
    pub(crate) fn unsent(&self) -> Option<Nanos> {
        let unsent = self.sent()?.since(self.last_write?);
        (unsent > 0).then_some(unsent)
    }
}

/// What an exchange was about.
#[derive(Clone, Debug)]
pub(crate) enum Facts {
    Http(HttpFacts),
    Postgres(PgFacts),
}

/// A request and its answer. Large, and handed on from pass to pass: so always in a box.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    pub(crate) number: u64,
    pub(crate) client: End,
    pub(crate) server: End,
    pub(crate) begun: Timestamp,
    pub(crate) request: Option<Passage>,
    pub(crate) response: Option<Passage>,
    pub(crate) facts: Facts,
    pub(crate) incomplete: Vec<Incomplete>,
    pub(crate) error: Option<&'static str>,
    /// How its connection was made, if it is the first on it.
    pub(crate) setup: Option<Setup>,
    /// When it was found finished: the end of an exchange that has no answer.
    pub(crate) closed: Timestamp,
}

impl Exchange {
    pub(crate) fn measure<F>(
        open: Open<F>,
        ends: (End, End),
        streams: (&Stream, &Stream),
        closed: Timestamp,
        wrap: impl FnOnce(F) -> Facts,
    ) -> Box<Exchange> {
        let request = open.request.map(|range| Passage::measure(streams.0, range));
        let response = open
            .response
            .map(|range| Passage::measure(streams.1, range));
        let (mut client, mut server) = ends;
        let caller = |passage: &Option<Passage>, pick: fn(&Passage) -> Option<Caller>| {
            passage.as_ref().and_then(pick).map(|caller| caller.pid)
        };
        client.pid = caller(&request, |p| p.writer)
            .or(caller(&response, |p| p.reader))
            .or(client.pid);
        server.pid = caller(&request, |p| p.reader)
            .or(caller(&response, |p| p.writer))
            .or(server.pid);
        Box::new(Exchange {
            number: open.number,
            client,
            server,
            begun: open.begun,
            request,
            response,
            facts: wrap(open.facts),
            incomplete: open.incomplete,
            error: open.error,
            setup: None,
            closed,
        })
    }

    pub(crate) fn http(&self) -> Option<&HttpFacts> {
        match &self.facts {
            Facts::Http(facts) => Some(facts),
            Facts::Postgres(_) => None,
        }
    }

    pub(crate) fn postgres(&self) -> Option<&PgFacts> {
        match &self.facts {
            Facts::Postgres(facts) => Some(facts),
            Facts::Http(_) => None,
        }
    }

    /// The client's view: first write of the request to last read of the answer.
    pub(crate) fn client_times(&self) -> Option<(Timestamp, Timestamp)> {
        let start = self.request.as_ref()?.first_write?;
        let end = self
            .response
            .as_ref()
            .and_then(|r| r.last_read.or(r.arrival))
            .unwrap_or(self.closed);
        Some((start, end))
    }

    /// The server's view: the request's head read (where that was lost, its last byte there) to the
    /// answer sent.
    pub(crate) fn server_times(&self) -> Option<(Timestamp, Timestamp)> {
        let request = self.request.as_ref();
        let asked = request.and_then(|r| r.head_read.or(r.arrival).or(r.first_write));
        let answered = self.response.as_ref();
        let start = asked.or(answered.and_then(|r| r.first_write))?;
        let end = answered.and_then(Passage::sent).unwrap_or(self.closed);
        Some((start, end))
    }

    /// From the request read in full to the first byte of the answer written; reversed where the
    /// answer began before that.
    pub(crate) fn processing(&self) -> Option<(Timestamp, Timestamp)> {
        Some((
            self.request.as_ref()?.last_read?,
            self.response.as_ref()?.first_write?,
        ))
    }
}
