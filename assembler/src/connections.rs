//! Pass 2: which socket belongs to which connection.
//!
//! Two traced sockets with mirrored addresses that live at the same time are the two ends of one
//! connection. The key is the socket cookie; descriptors are reused, cookies are not.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use rustc_hash::{FxHashMap, FxHashSet};
use tierscope_model::{
    Accepted, Dropped, Incomplete, Nanos, Recv, RequestId, Retransmit, Send, Skipped, Socket,
    SocketCookie, Timestamp, Transmit,
};

use crate::connection::Connection;
use crate::exchange::Exchange;
use crate::passage::Gaps;
use crate::postgres::Begun;
use crate::tally::Tally;

/// Most connections held open at a time.
const LIMIT: usize = 65_536;
/// A connection of which one end closed is kept this long for what the other end's last call tells.
const LINGER: Nanos = 1_000_000_000;

/// Address pair and network namespace: in another one the same addresses may be others'.
type Tuple = (SocketAddr, SocketAddr, u32);

/// Which end of which connection a socket is.
#[derive(Clone, Copy)]
struct Place {
    number: u64,
    end: usize,
    tuple: Tuple,
}

/// All connections of the recording, the open ones.
#[derive(Default)]
pub(crate) struct Connections {
    open: BTreeMap<u64, Connection>,
    sockets: FxHashMap<SocketCookie, Place>,
    tuples: BTreeMap<Tuple, SocketCookie>,
    next: u64,
    /// Processes that were seen to read requests.
    servers: FxHashSet<u32>,
    pub(crate) tally: Tally,
    /// Events on sockets that were never announced.
    pub(crate) unknown: u64,
}

impl Connections {
    pub(crate) fn new(gaps: Gaps, sampled: bool) -> Connections {
        let mut connections = Connections::default();
        connections.tally.departures_unmeasured = gaps.departures;
        connections.tally.sampled = sampled;
        connections
    }

    /// A socket is established at `time`.
    pub(crate) fn socket(
        &mut self,
        socket: &Socket,
        time: Timestamp,
        out: &mut Vec<Box<Exchange>>,
    ) {
        if self.sockets.contains_key(&socket.cookie) {
            return;
        }
        let tuple = (socket.local, socket.peer, socket.netns);
        if let Some(earlier) = self.tuples.get(&tuple).copied() {
            // Its addresses are taken anew: the earlier socket is gone, though nothing said so.
            self.close(earlier, time, out);
        }
        let (number, end) = self.join(socket, time).unwrap_or_else(|| {
            self.next += 1;
            self.open.insert(self.next, Connection::new(socket, time));
            (self.next, 0)
        });
        self.sockets
            .insert(socket.cookie, Place { number, end, tuple });
        self.tuples.insert(tuple, socket.cookie);
    }

    fn join(&mut self, socket: &Socket, time: Timestamp) -> Option<(u64, usize)> {
        // Loopback does not leave its namespace.
        let others = if socket.local.ip().is_loopback() {
            socket.netns..=socket.netns
        } else {
            0..=u32::MAX
        };
        let mirrored = |netns| (socket.peer, socket.local, netns);
        let range = mirrored(*others.start())..=mirrored(*others.end());
        let vacant = self.tuples.range(range).filter_map(|(_, cookie)| {
            let Place { number, end, .. } = *self.sockets.get(cookie)?;
            let connection = self.open.get(&number)?;
            let distance = connection.distance(1 - end, socket);
            connection
                .is_vacant(1 - end)
                .then_some((distance, number, 1 - end))
        });
        let (_, number, end) = vacant.min()?;
        self.open.get_mut(&number)?.join(end, socket, time);
        Some((number, end))
    }

    /// Returns the PostgreSQL requests that this send completed.
    pub(crate) fn send(
        &mut self,
        send: &Send,
        time: Timestamp,
        out: &mut Vec<Box<Exchange>>,
    ) -> Vec<Begun> {
        let Some((connection, end, tally)) = self.find(send.cookie) else {
            return Vec::new();
        };
        let begun = connection.send(end, send, time, tally, out);
        connection.finished(time, tally, out);
        begun
    }

    pub(crate) fn recv(&mut self, recv: &Recv, time: Timestamp, out: &mut Vec<Box<Exchange>>) {
        let Some((connection, end, tally)) = self.find(recv.cookie) else {
            return;
        };
        let serves = connection.recv(end, recv, time, tally);
        connection.finished(time, tally, out);
        if serves {
            self.servers.insert(recv.pid);
        }
    }

    /// Whether the process was seen to read requests.
    pub(crate) fn is_server(&self, pid: u32) -> bool {
        self.servers.contains(&pid)
    }

    pub(crate) fn arrive(&mut self, arrive: &tierscope_model::Arrive) {
        if let Some((connection, end, _)) = self.find(arrive.cookie) {
            connection.arrive(end, arrive);
        }
    }

    pub(crate) fn transmit(
        &mut self,
        transmit: &Transmit,
        time: Timestamp,
        out: &mut Vec<Box<Exchange>>,
    ) {
        if let Some((connection, end, tally)) = self.find(transmit.cookie) {
            connection.transmit(end, transmit, time);
            connection.finished(time, tally, out);
        }
    }

    pub(crate) fn dropped(&mut self, dropped: &Dropped, time: Timestamp) {
        if let Some((connection, end, _)) = self.find(dropped.cookie) {
            connection.dropped(end, dropped, time);
        }
    }

    pub(crate) fn skipped(&mut self, skipped: &Skipped) {
        if let Some((connection, end, _)) = self.find(skipped.cookie) {
            connection.skipped(end, skipped);
        }
    }

    pub(crate) fn accepted(&mut self, accepted: &Accepted, time: Timestamp) {
        if let Some((connection, _, _)) = self.find(accepted.cookie) {
            connection.accepted(time);
        }
    }

    pub(crate) fn retransmit(&mut self, retransmit: &Retransmit, time: Timestamp) {
        if let Some((connection, end, tally)) = self.find(retransmit.cookie) {
            connection.retransmit(end, retransmit, time, tally);
        }
    }

    pub(crate) fn close(
        &mut self,
        cookie: SocketCookie,
        time: Timestamp,
        out: &mut Vec<Box<Exchange>>,
    ) {
        let Some(&Place { number, end, .. }) = self.sockets.get(&cookie) else {
            return;
        };
        if self
            .open
            .get_mut(&number)
            .is_some_and(|connection| connection.close(end, time))
        {
            self.end(number, time, Incomplete::ConnectionClosed, out);
        }
    }

    /// Closes what is overdue, and beyond the limit the oldest.
    pub(crate) fn sweep(&mut self, now: Timestamp, timeout: Nanos, out: &mut Vec<Box<Exchange>>) {
        for connection in self.open.values_mut() {
            connection.settle(now, &mut self.tally, out);
            connection.expire(now, timeout, out);
        }
        let lingered = now - LINGER;
        let stale =
            |(number, c): (&u64, &Connection)| c.half_closed_before(lingered).then_some(*number);
        let stale: Vec<u64> = self.open.iter().filter_map(stale).collect();
        for number in stale {
            self.end(number, now, Incomplete::ConnectionClosed, out);
        }
        while self.open.len() > LIMIT {
            let Some(oldest) = self.open.keys().next().copied() else {
                break;
            };
            self.tally.over_budget += 1;
            self.end(oldest, now, Incomplete::Budget, out);
        }
    }

    /// The recording ended.
    pub(crate) fn finish(&mut self, now: Timestamp, out: &mut Vec<Box<Exchange>>) {
        let all: Vec<u64> = self.open.keys().copied().collect();
        for number in all {
            self.end(number, now, Incomplete::RecordingEdge, out);
        }
    }

    /// When the oldest exchange that is open began.
    pub(crate) fn oldest(&self) -> Option<Timestamp> {
        self.open.values().filter_map(Connection::oldest).min()
    }

    /// Whether an exchange is open that may turn out to be the caller of `id`, passed on by `pid` at `start`.
    pub(crate) fn may_hold_caller(&self, pid: u32, start: Timestamp, id: RequestId) -> bool {
        self.open
            .values()
            .any(|connection| connection.may_hold_caller(pid, start, id))
    }

    fn end(
        &mut self,
        number: u64,
        now: Timestamp,
        reason: Incomplete,
        out: &mut Vec<Box<Exchange>>,
    ) {
        let Some(mut connection) = self.open.remove(&number) else {
            return;
        };
        connection.end(now, reason, &mut self.tally, out);
        for cookie in connection.cookies() {
            let place = self.sockets.remove(&cookie);
            // The address pair may be another connection's by now.
            if let Some(tuple) = place
                .map(|p| p.tuple)
                .filter(|t| self.tuples.get(t) == Some(&cookie))
            {
                self.tuples.remove(&tuple);
            }
        }
    }

    fn find(&mut self, cookie: SocketCookie) -> Option<(&mut Connection, usize, &mut Tally)> {
        let Some(&Place { number, end, .. }) = self.sockets.get(&cookie) else {
            self.unknown += 1;
            return None;
        };
        Some((self.open.get_mut(&number)?, end, &mut self.tally))
    }
}
