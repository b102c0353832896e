//! The kernel's totals of each connection against what the recording holds of it.
//!
//! A socket that closed tells its totals in its CLOSE event; one that is still open is asked for by
//! `ss -ti` after the load, and one that was open before the recording also before it.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

use tierscope_model::{Arrive, Body, Close, Event, SocketCookie, SocketRole};

use super::outside::Said;
use super::tcp_info::Socket;
use crate::check::{Check, Promise};

const RETRANSMITS: Promise = Promise {
    name: "retransmits",
    bound: "equal on every connection",
    includes: "theirs: tcpi_total_retrans; ours: the segments of all RETRANSMIT events",
};
const SENT: Promise = Promise {
    name: "bytes_sent",
    bound: "equal on every connection",
    includes: "theirs: tcpi_bytes_sent − tcpi_bytes_retrans; ours: the ranges of all sends",
};
const RECEIVED: Promise = Promise {
    name: "bytes_received",
    bound: "equal on every connection",
    includes: "theirs: tcpi_bytes_received, less one after a FIN; ours: the union of the segments' \
               ranges as they arrived",
};

/// What the recording holds of one socket.
#[derive(Debug)]
struct Flow {
    ends: (SocketAddr, SocketAddr),
    /// It was open when the recording began.
    found: bool,
    sent: u64,
    retransmits: u64,
    arrived: Union,
    /// The end of the stream was read.
    ended: bool,
    close: Option<Close>,
}

/// The kernel's totals of the time of the recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kernel {
    sent: u64,
    received: u64,
    retransmits: u64,
    /// Whether a FIN may be in `received`.
    closed: bool,
}

/// Both sides of every connection.
#[derive(Debug)]
pub(super) struct Totals<'a> {
    before: &'a Said<Vec<Socket>>,
    after: &'a Said<Vec<Socket>>,
    flows: HashMap<SocketCookie, Flow>,
}

impl<'a> Totals<'a> {
    pub(super) fn new(before: &'a Said<Vec<Socket>>, after: &'a Said<Vec<Socket>>) -> Totals<'a> {
        Totals {
            before,
            after,
            flows: HashMap::new(),
        }
    }

    pub(super) fn event(&mut self, event: &Event) {
        match &event.body {
            Body::Socket(socket) => {
                let flow = Flow {
                    ends: (canonical(socket.local), canonical(socket.peer)),
                    found: socket.role == SocketRole::Found,
                    sent: 0,
                    retransmits: 0,
                    arrived: Union::from(socket.recv_seq),
                    ended: false,
                    close: None,
                };
                self.flows.entry(socket.cookie).or_insert(flow);
            }
            Body::Send(send) => self.with(send.cookie, |flow| flow.sent += u64::from(send.len)),
            Body::Recv(recv) => self.with(recv.cookie, |flow| {
                flow.ended |= recv.len == 0;
                flow.arrived.extend(recv.arrival.iter());
            }),
            Body::Arrive(arrive) => self.with(arrive.cookie, |flow| flow.arrived.extend([arrive])),
            Body::Retransmit(again) => self.with(again.cookie, |flow| {
                flow.retransmits += u64::from(again.segments);
            }),
            Body::Close(close) => {
                self.with(close.cookie, |flow| flow.close = Some(close.clone()));
            }
            _ => {}
        }
    }

    fn with(&mut self, cookie: SocketCookie, change: impl FnOnce(&mut Flow)) {
        if let Some(flow) = self.flows.get_mut(&cookie) {
            change(flow);
        }
    }

    pub(super) fn finish(self, lost: bool) -> Vec<Check> {
        let promises = [RETRANSMITS, SENT, RECEIVED];
        let (before, after) = (by_ends(self.before), by_ends(self.after));
        let pairs: Vec<_> = self
            .flows
            .values()
            .filter_map(|flow| Some((flow, kernel(flow, &before, &after)?)))
            .collect();
        if lost || pairs.is_empty() {
            let why = match (lost, self.after) {
                (true, _) => "events were lost".to_owned(),
                (false, Err(reason)) => format!("no connection closed, and {reason}"),
                (false, Ok(_)) => "no connection's totals are known".to_owned(),
            };
            return promises
                .map(|promise| promise.not_checked(why.clone()))
                .into();
        }
        vec![
            compare(RETRANSMITS, &pairs, |k| k.retransmits, |f, _| f.retransmits),
            compare(SENT, &pairs, |k| k.sent, |f, _| f.sent),
            compare(RECEIVED, &pairs, |k| k.received, received),
        ]
    }
}

/// The arrived bytes, and the FIN's one where it came: that nobody read it does not mean it did not.
fn received(flow: &Flow, kernel: &Kernel) -> u64 {
    let bytes = flow.arrived.bytes();
    let unread_end = kernel.closed && kernel.received == bytes + 1;
    bytes + u64::from(flow.ended || unread_end)
}

fn compare(
    promise: Promise,
    pairs: &[(&Flow, Kernel)],
    theirs: impl Fn(&Kernel) -> u64,
    ours: impl Fn(&Flow, &Kernel) -> u64,
) -> Check {
    let total: u64 = pairs.iter().map(|(_, kernel)| theirs(kernel)).sum();
    let differing: Vec<_> = pairs
        .iter()
        .filter(|(flow, kernel)| theirs(kernel) != ours(flow, kernel))
        .collect();
    let mut value = format!("{total} on {} sockets", pairs.len());
    if let Some((flow, kernel)) = differing.first() {
        value += &format!(
            ", {} differ: {} theirs, {} ours on {} → {}",
            differing.len(),
            theirs(kernel),
            ours(flow, kernel),
            flow.ends.0,
            flow.ends.1
        );
    }
    promise.judged(
        differing.is_empty(),
        value,
        &[
            ("sockets", pairs.len() as f64),
            ("total", total as f64),
            ("differing", differing.len() as f64),
        ],
    )
}

type Ends = (SocketAddr, SocketAddr);

fn by_ends(said: &Said<Vec<Socket>>) -> HashMap<Ends, &Socket> {
    let sockets = said.iter().flatten();
    sockets.map(|s| ((s.local, s.peer), s)).collect()
}

/// What the kernel counted during the recording; none where one end of that time is not known.
fn kernel(
    flow: &Flow,
    before: &HashMap<Ends, &Socket>,
    after: &HashMap<Ends, &Socket>,
) -> Option<Kernel> {
    let mut kernel = match &flow.close {
        Some(close) => Kernel {
            sent: close.bytes_sent.checked_sub(close.bytes_retrans)?,
            received: close.bytes_received,
            retransmits: u64::from(close.total_retrans),
            closed: true,
        },
        None => of(after.get(&flow.ends)?)?,
    };
    if flow.found {
        let base = of(before.get(&flow.ends)?)?;
        kernel.sent = kernel.sent.checked_sub(base.sent)?;
        kernel.received = kernel.received.checked_sub(base.received)?;
        kernel.retransmits = kernel.retransmits.checked_sub(base.retransmits)?;
    }
    Some(kernel)
}

fn of(socket: &Socket) -> Option<Kernel> {
    Some(Kernel {
        sent: socket.bytes_sent.checked_sub(socket.bytes_retrans)?,
        received: socket.bytes_received,
        retransmits: socket.total_retrans,
        closed: false,
    })
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The union of byte ranges of a stream whose numbers wrap.
#[derive(Debug)]
struct Union {
    /// Furthest end so far, on the unwrapped stream that began at `start`.
    end: u64,
    start: u64,
    /// Ranges by their first byte; they do not touch.
    ranges: BTreeMap<u64, u64>,
}

impl From<u32> for Union {
    /// Nothing yet, of a stream whose next byte is `seq`.
    fn from(seq: u32) -> Union {
        // Away from zero, so that what came before can be told.
        let start = u64::from(seq) + (1 << 32);
        Union {
            end: start,
            start,
            ranges: BTreeMap::new(),
        }
    }
}

impl Union {
    fn extend<'a>(&mut self, arrivals: impl IntoIterator<Item = &'a Arrive>) {
        for arrive in arrivals {
            let (lo, hi) = (self.unwrap(arrive.seq), self.unwrap(arrive.end_seq));
            self.add(lo.max(self.start), hi);
        }
    }

    fn unwrap(&self, seq: u32) -> u64 {
        let ahead = seq.wrapping_sub(self.end as u32).cast_signed();
        self.end.saturating_add_signed(i64::from(ahead))
    }

    fn add(&mut self, mut lo: u64, mut hi: u64) {
        if hi <= lo {
            return;
        }
        while let Some((&from, &to)) = self.ranges.range(..=hi).next_back() {
            if to < lo {
                break;
            }
            self.ranges.remove(&from);
            (lo, hi) = (lo.min(from), hi.max(to));
        }
        self.ranges.insert(lo, hi);
        self.end = self.end.max(hi);
    }

    fn bytes(&self) -> u64 {
        self.ranges.iter().map(|(lo, hi)| hi - lo).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrive(seq: u32, end_seq: u32) -> Arrive {
        Arrive {
            cookie: SocketCookie(1),
            time: Default::default(),
            seq,
            end_seq,
            rcv_nxt: seq,
            late: false,
        }
    }

    #[test]
    fn ranges_are_counted_once_whatever_their_order() {
        let mut union = Union::from(100);
        union.extend(&[arrive(100, 110), arrive(120, 130), arrive(90, 105)]);
        assert_eq!(union.bytes(), 20);
        union.extend(&[arrive(105, 125)]);
        assert_eq!((union.bytes(), union.ranges.len()), (30, 1));
    }

    #[test]
    fn numbers_wrap() {
        let mut union = Union::from(u32::MAX - 4);
        union.extend(&[arrive(u32::MAX - 4, 5), arrive(5, 10)]);
        assert_eq!((union.bytes(), union.ranges.len()), (15, 1));
    }
}
