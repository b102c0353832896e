//! Makes the events that the tracer would: sockets, writes, segments, reads and probes, on one clock.

use std::net::SocketAddr;

use tierscope_assembler::{Counts, Options};
use tierscope_model::{
    Arrive, Body, Close, Event, Loss, Probe, Protocol, Recv, RequestId, Retransmit, Send, Socket,
    SocketCookie, SocketRole, Timestamp, Trace, Transmit, Usdt,
};

pub const CLIENT: u32 = 100;
pub const NGINX: u32 = 200;
pub const APP: u32 = 300;
pub const POSTGRES: u32 = 400;

/// Bytes of a send that are captured, as the tracer does.
const CAPTURE: usize = 512;
const CAPTURE_FRONTEND: usize = 2048;

/// One connection: end 0 connected, end 1 accepted.
#[derive(Clone, Debug)]
pub struct Conn {
    pub cookies: [SocketCookie; 2],
    pub pids: [u32; 2],
    pub protocols: [Protocol; 2],
    /// Next to be written by each end, and next to be read from it.
    pub written: [u32; 2],
    pub read: [u32; 2],
    /// Segments that came in order at each end and that no event told of yet.
    pub waiting: [Vec<Arrive>; 2],
}

/// A call's thread: process and thread id.
pub type Thread = (u32, u32);

/// The events so far; `now` moves on with each.
pub struct World {
    pub now: u64,
    pub step: u64,
    pub events: Vec<Event>,
    /// At most so many bytes of a send are captured.
    pub capture: usize,
    /// Segments come out of order and twice.
    pub disorder: bool,
    /// Sends so far: all of one's bytes leave within the call, or half of them, or none, by turns.
    pub sends: u64,
    next: u64,
}

impl World {
    pub fn new() -> World {
        World {
            now: 1_000_000_000,
            step: 1_000,
            events: Vec::new(),
            capture: usize::MAX,
            disorder: false,
            sends: 0,
            next: 1,
        }
    }

    pub fn push(&mut self, body: Body) {
        self.now += self.step;
        self.events.push(Event {
            time: Timestamp(self.now),
            cpu: 0,
            body,
        });
    }

    /// A connection from `pids[0]` to `pids[1]` whose sequence numbers begin at `seq`.
    pub fn connect(&mut self, pids: [u32; 2], protocols: [Protocol; 2], seq: [u32; 2]) -> Conn {
        let port = u16::try_from(20_000 + self.next).expect("few connections");
        let addresses = [
            SocketAddr::from(([127, 0, 0, 1], port)),
            SocketAddr::from(([127, 0, 0, 1], pids[1] as u16)),
        ];
        self.connect_at(addresses, pids, protocols, seq)
    }

    pub fn connect_at(
        &mut self,
        at: [SocketAddr; 2],
        pids: [u32; 2],
        protocols: [Protocol; 2],
        seq: [u32; 2],
    ) -> Conn {
        let conn = self.conn(pids, protocols, seq);
        for end in 0..2 {
            self.announce(&conn, end, at, 1);
        }
        conn
    }

    /// A connection that nothing tells of yet.
    pub fn conn(&mut self, pids: [u32; 2], protocols: [Protocol; 2], seq: [u32; 2]) -> Conn {
        let cookies = [SocketCookie(self.next), SocketCookie(self.next + 1)];
        self.next += 2;
        Conn {
            cookies,
            pids,
            protocols,
            written: seq,
            read: seq,
            waiting: [Vec::new(), Vec::new()],
        }
    }

    /// End `end` of a connection is established in network namespace `netns`.
    pub fn announce(&mut self, conn: &Conn, end: usize, at: [SocketAddr; 2], netns: u32) {
        let roles = [SocketRole::Connect, SocketRole::Accept];
        self.push(Body::Socket(Socket {
            cookie: conn.cookies[end],
            start: Timestamp(self.now),
            pid: conn.pids[end],
            role: roles[end],
            local: at[end],
            peer: at[1 - end],
            send_seq: conn.written[end],
            recv_seq: conn.written[1 - end],
            netns,
        }));
    }

    pub fn http(&mut self, pids: [u32; 2]) -> Conn {
        self.connect(pids, [Protocol::Http; 2], [1_000, 2_000])
    }

    pub fn postgres(&mut self, pids: [u32; 2]) -> Conn {
        self.connect(
            pids,
            [Protocol::PostgresFrontend, Protocol::PostgresBackend],
            [1_000, 2_000],
        )
    }

    /// End `end` writes `bytes` in one call; they arrive.
    pub fn write(&mut self, conn: &mut Conn, end: usize, tid: u32, bytes: &[u8]) {
        let limit = if conn.protocols[end] == Protocol::PostgresFrontend {
            CAPTURE_FRONTEND
        } else {
            CAPTURE
        };
        let head = &bytes[..bytes.len().min(limit).min(self.capture)];
        let tail = if head.len() < bytes.len() {
            &bytes[bytes.len().saturating_sub(16)..]
        } else {
            &[]
        };
        let seq = conn.written[end];
        let len = bytes.len() as u32;
        conn.written[end] = seq.wrapping_add(len);
        let start = Timestamp(self.now + self.step / 2);
        let until = [len, len / 2, 0][(self.sends % 3) as usize];
        let until = seq.wrapping_add(until);
        self.sends += 1;
        let left = Timestamp(self.now + self.step * 3 / 4);
        self.push(Body::Send(Send {
            cookie: conn.cookies[end],
            start,
            pid: conn.pids[end],
            tid,
            seq,
            len,
            protocol: conn.protocols[end],
            head: head.to_vec(),
            tail: tail.to_vec(),
            transmitted: (until != seq).then_some((until, left)),
        }));
        if until != conn.written[end] {
            let (cookie, end_seq) = (conn.cookies[end], conn.written[end]);
            self.push(Body::Transmit(Transmit {
                cookie,
                seq: until,
                end_seq,
            }));
        }
        self.arrive(conn, end, seq, conn.written[end]);
    }

    /// Segments of `[lo, hi)` arrive; in disorder, the second half first, and the first half twice.
    /// Those in order wait for the read that takes them.
    fn arrive(&mut self, conn: &mut Conn, end: usize, lo: u32, hi: u32) {
        let middle = lo.wrapping_add(hi.wrapping_sub(lo) / 2);
        let segments = match self.disorder {
            true => vec![(middle, hi, lo), (lo, middle, lo), (lo, middle, hi)],
            false => vec![(lo, hi, lo)],
        };
        for (at, (seq, end_seq, rcv_nxt)) in segments.into_iter().enumerate() {
            if at == 1 {
                let cookie = conn.cookies[end];
                self.push(Body::Retransmit(Retransmit {
                    cookie,
                    seq,
                    end_seq,
                    segments: 1,
                }));
            }
            self.now += self.step;
            let arrive = Arrive {
                cookie: conn.cookies[1 - end],
                time: Timestamp(self.now),
                seq,
                end_seq,
                rcv_nxt,
                late: false,
            };
            if rcv_nxt == seq {
                conn.waiting[1 - end].push(arrive);
            } else {
                self.events.push(Event {
                    time: Timestamp(self.now),
                    cpu: 0,
                    body: Body::Arrive(arrive),
                });
            }
        }
    }

    /// End `end` reads all that the other wrote, in one call.
    pub fn read(&mut self, conn: &mut Conn, end: usize, tid: u32) {
        let (seq, until) = (conn.read[1 - end], conn.written[1 - end]);
        conn.read[1 - end] = until;
        let newest = conn.waiting[end].pop();
        for older in std::mem::take(&mut conn.waiting[end]) {
            self.push(Body::Arrive(older));
        }
        self.push(Body::Recv(Recv {
            cookie: conn.cookies[end],
            pid: conn.pids[end],
            tid,
            seq,
            len: until.wrapping_sub(seq),
            arrival: newest,
        }));
    }

    /// `end` says `bytes` in one send, and the other end reads them.
    pub fn say(&mut self, conn: &mut Conn, end: usize, bytes: &[u8]) {
        self.write(conn, end, conn.pids[end], bytes);
        self.read(conn, 1 - end, conn.pids[1 - end]);
    }

    /// Both sockets of a connection go.
    pub fn close(&mut self, conn: &Conn) {
        for cookie in conn.cookies {
            let totals = Close {
                cookie,
                bytes_sent: 0,
                bytes_retrans: 0,
                bytes_received: 0,
                total_retrans: 0,
            };
            self.push(Body::Close(totals));
        }
    }

    /// A probe of the application on `tid`; `args` after the id.
    pub fn app(&mut self, tid: u32, probe: Probe, id: RequestId, args: [u64; 2], text: &str) {
        let args = [(id.0 >> 64) as u64, id.0 as u64, args[0], args[1], 0, 0];
        self.usdt((APP, tid), probe, args, text);
    }

    pub fn usdt(&mut self, (pid, tid): Thread, probe: Probe, args: [u64; 6], text: &str) {
        self.push(Body::Usdt(Usdt {
            probe,
            pid,
            tid,
            args,
            text: [text.into(), "/path".into()],
        }));
    }

    pub fn loss(&mut self, first: u64, last: u64) {
        let (first, last) = (Timestamp(first), Timestamp(last));
        self.push(Body::Loss(Loss {
            program: 0,
            on_cpu: 0,
            count: 1,
            first,
            last,
        }));
    }
}

impl World {
    /// What the assembler makes of the events so far.
    pub fn assemble(self) -> (Vec<Trace>, Counts) {
        self.assemble_with(Options::default())
    }

    pub fn assemble_with(self, options: Options) -> (Vec<Trace>, Counts) {
        let (assembled, counts) = super::assemble(&[], self.events, options);
        let traces: Vec<Trace> = assembled.iter().map(|a| super::trace(a).clone()).collect();
        for trace in &traces {
            assert_eq!(tierscope_assembler::check(trace), [], "{trace:#?}");
        }
        (traces, counts)
    }

    /// Lets so many milliseconds pass.
    pub fn wait(&mut self, ms: u64) {
        self.now += ms * 1_000_000;
    }
}
