//! What a tracer handed out, sorted by kind, and the checks that hold for every connection.

use std::fs;
use std::time::{Duration, Instant};

use tierscope_tracer::Tracer;
use tierscope_tracer::wire_record::*;
use zerocopy::FromBytes;

use crate::hidden::{self, Hidden};

/// One SEND with its captured bytes.
pub struct Send {
    pub fixed: ts_send,
    pub head: Vec<u8>,
}

/// One USDT record with its texts.
pub struct Usdt {
    pub fixed: ts_usdt,
    pub text: [String; 2],
}

/// Bytes that were handed to a device for the first time.
#[derive(Debug)]
pub struct Departure {
    pub ts: u64,
    pub seq: u32,
    pub end_seq: u32,
}

/// All records of a run.
#[derive(Default)]
pub struct Records {
    pub sockets: Vec<ts_socket>,
    pub sends: Vec<Send>,
    pub recvs: Vec<ts_recv>,
    /// In the order in which they came; those that a RECV told of too.
    pub arrivals: Vec<ts_arrive>,
    /// How many of them were records of their own.
    pub arrive_records: usize,
    pub retransmits: Vec<ts_retransmit>,
    pub closes: Vec<ts_close>,
    pub usdt: Vec<Usdt>,
    pub processes: Vec<ts_process>,
    pub losses: Vec<ts_loss>,
    pub filtered: Vec<ts_filtered>,
    pub switches: Vec<ts_switch>,
    pub buffers: Vec<ts_buffers>,
    pub files: Vec<ts_file>,
    pub names: Vec<(ts_file_name, String)>,
    /// Numbers of stacks, and their frames.
    pub stacks: Vec<(u32, String)>,
    pub blocks: Vec<ts_block>,
    pub transmits: Vec<ts_transmit>,
    pub accepted: Vec<ts_accepted>,
    pub skipped: Vec<ts_skipped>,
    pub turned: Vec<ts_turned>,
    /// What no program can have told.
    pub hidden: Hidden,
    pub dropped: Vec<ts_dropped>,
}

/// Both ends of one connection, as the kernel saw them.
pub struct Pair<'a> {
    pub client: &'a ts_socket,
    pub server: &'a ts_socket,
}

impl Records {
    /// Everything `tracer` has, counters included.
    pub fn take(tracer: &mut Tracer) -> Self {
        let mut records = Self::default();
        records.take_more(tracer);
        records
    }

    /// What `tracer` has had since.
    pub fn take_more(&mut self, tracer: &mut Tracer) {
        tracer.drain(&mut |record| self.add(record));
        for record in tracer.poll_counters().expect("counters") {
            self.add(&record);
        }
        self.arrivals.sort_by_key(|arrival| arrival.arrive_ts);
        self.hidden = hidden::so_far();
    }

    /// Takes more of `tracer` until `there` says so; what it waits for is `what`.
    pub fn take_until(
        &mut self,
        tracer: &mut Tracer,
        limit: Duration,
        what: &str,
        there: impl Fn(&Self) -> bool,
    ) {
        let deadline = Instant::now() + limit;
        while !there(self) {
            assert!(Instant::now() < deadline, "no {what}");
            std::thread::sleep(Duration::from_millis(5));
            self.take_more(tracer);
        }
    }

    fn add(&mut self, record: &[u8]) {
        let (head, _) = ts_head::read_from_prefix(record).expect("head");
        assert_eq!(
            usize::from(head.len),
            record.len(),
            "len is the whole record"
        );
        assert_eq!(record.len() % 8, 0, "records are padded to 8");
        match u32::from(head.kind) {
            TS_KIND_SOCKET => self.sockets.push(fixed(record)),
            TS_KIND_SEND => self.sends.push(send(record)),
            TS_KIND_RECV => self.recv(fixed(record)),
            TS_KIND_ARRIVE => {
                self.arrivals.push(fixed(record));
                self.arrive_records += 1;
            }
            TS_KIND_RETRANSMIT => self.retransmits.push(fixed(record)),
            TS_KIND_CLOSE => self.closes.push(fixed(record)),
            TS_KIND_USDT => self.usdt.push(usdt(record)),
            TS_KIND_PROCESS => self.processes.push(fixed(record)),
            TS_KIND_BUFFERS => self.buffers.push(fixed(record)),
            TS_KIND_FILE => self.files.push(fixed(record)),
            TS_KIND_FILE_NAME => self.names.push(name(record)),
            TS_KIND_STACK => self.stacks.push(stack(record)),
            TS_KIND_BLOCK => self.blocks.push(fixed(record)),
            TS_KIND_LOSS => self.losses.push(fixed(record)),
            TS_KIND_FILTERED => self.filtered.push(fixed(record)),
            TS_KIND_SWITCH => self.switches.push(fixed(record)),
            TS_KIND_TRANSMIT => self.transmits.push(fixed(record)),
            TS_KIND_ACCEPTED => self.accepted.push(fixed(record)),
            TS_KIND_SKIPPED => self.skipped.push(fixed(record)),
            TS_KIND_TURNED => self.turned.push(fixed(record)),
            TS_KIND_DROPPED => self.dropped.push(fixed(record)),
            kind => panic!("unknown kind {kind}"),
        }
    }

    fn recv(&mut self, recv: ts_recv) {
        self.recvs.push(recv);
        if recv.arrive_ts == 0 {
            return;
        }
        assert!(recv.arrive_ts <= recv.head.ts, "it came before it was read");
        let end = recv.seq.wrapping_add(recv.taken);
        assert!(
            before(recv.arrive_seq, end),
            "it was read, at least in part"
        );
        self.arrivals.push(ts_arrive {
            cookie: recv.cookie,
            arrive_ts: recv.arrive_ts,
            seq: recv.arrive_seq,
            end_seq: recv.arrive_end_seq,
            rcv_nxt: recv.arrive_seq,
            late: recv.arrive_late,
            ..Default::default()
        });
    }

    /// How many events were left out for `reason`.
    pub fn filtered(&self, reason: u32) -> u64 {
        let of_reason = self
            .filtered
            .iter()
            .filter(|record| record.reason == reason);
        of_reason.map(|record| record.count).sum()
    }

    /// The two sockets of the connection from `client_port`.
    pub fn pair(&self, client_port: u16) -> Pair<'_> {
        let mut client = self.sockets.iter().filter(|s| s.local_port == client_port);
        let mut server = self.sockets.iter().filter(|s| s.peer_port == client_port);
        let pair = Pair {
            client: client.next().expect("client socket"),
            server: server.next().expect("server socket"),
        };
        assert!(
            client.next().is_none() && server.next().is_none(),
            "one record per socket"
        );
        pair
    }

    pub fn sends_of(&self, cookie: u64) -> Vec<&Send> {
        self.sends
            .iter()
            .filter(|send| send.fixed.cookie == cookie)
            .collect()
    }

    /// Reads that took bytes.
    pub fn recvs_of(&self, cookie: u64) -> Vec<&ts_recv> {
        let of_socket = self.recvs.iter().filter(|recv| recv.cookie == cookie);
        of_socket.filter(|recv| recv.taken > 0).collect()
    }

    /// Bytes of one socket that were sent again.
    pub fn retransmitted(&self, cookie: u64) -> u64 {
        let of_socket = self.retransmits.iter().filter(|r| r.cookie == cookie);
        of_socket
            .map(|r| u64::from(r.end_seq.wrapping_sub(r.seq)))
            .sum()
    }

    /// Bytes of one socket that were dropped before they left, as often as they were.
    pub fn dropped_of(&self, cookie: u64) -> u64 {
        let of_socket = self.dropped.iter().filter(|d| d.cookie == cookie);
        of_socket
            .map(|d| u64::from(d.end_seq.wrapping_sub(d.seq)))
            .sum()
    }

    /// How often the end of the stream was read.
    pub fn ends_of(&self, cookie: u64) -> usize {
        let of_socket = self.recvs.iter().filter(|recv| recv.cookie == cookie);
        of_socket.filter(|recv| recv.taken == 0).count()
    }

    /// Lengths of the sends of one socket, in order.
    pub fn lengths(&self, cookie: u64) -> Vec<u32> {
        self.sends_of(cookie)
            .iter()
            .map(|send| send.fixed.sent)
            .collect()
    }

    /// Checks one direction byte for byte: sends and reads follow each other without gap or overlap, from the
    /// same number to the same number. Returns how many bytes there were.
    pub fn check_direction(&self, from: &ts_socket, to: &ts_socket) -> u32 {
        assert_eq!(
            from.send_seq, to.recv_seq,
            "both ends begin at the same byte"
        );
        let sent = self.end_of_sends(from);
        assert_eq!(sent, self.end_of_reads(to), "all that was sent was read");
        let bytes = sent.wrapping_sub(from.send_seq);
        self.check_departures(from, to, bytes);
        bytes
    }

    /// When which bytes of one socket left for the first time, in that order.
    pub fn departures(&self, cookie: u64) -> Vec<Departure> {
        let inline = self.sends_of(cookie).into_iter().map(|send| Departure {
            ts: send.fixed.transmit_ts,
            seq: send.fixed.seq,
            end_seq: send.fixed.transmit_seq,
        });
        let later = self.transmits.iter().filter(|t| t.cookie == cookie);
        let later = later.map(|t| Departure {
            ts: t.head.ts,
            seq: t.seq,
            end_seq: t.end_seq,
        });
        let mut all: Vec<_> = inline.filter(|d| d.ts > 0).chain(later).collect();
        let first = all.first().map_or(0, |departure| departure.seq);
        // What one packet took along of several sends has one time.
        all.sort_by_key(|departure| (departure.ts, departure.seq.wrapping_sub(first) as i32));
        all
    }

    /// Checks that each of `bytes` bytes left `from` once, and none came to `to` before.
    ///
    /// What left hidden may be untold.
    fn check_departures(&self, from: &ts_socket, to: &ts_socket, bytes: u32) {
        let departures = self.departures(from.cookie);
        let (mut next, mut untold) = (from.send_seq, 0);
        for departure in &departures {
            assert!(
                !before(departure.seq, next),
                "bytes left twice: {departure:?}"
            );
            untold += u64::from(departure.seq != next);
            next = departure.end_seq;
        }
        let end = from.send_seq.wrapping_add(bytes);
        assert!(!before(end, next), "more left than was sent");
        untold += u64::from(next != end);
        let hidden = self.hidden.departures;
        assert!(untold <= hidden, "{untold} untold, {hidden} hidden");
        for departure in departures {
            let last = departure.end_seq.wrapping_sub(1);
            let came = self
                .arrivals
                .iter()
                .find(|a| a.cookie == to.cookie && !before(last, a.seq) && before(last, a.end_seq));
            assert!(
                came.is_none_or(|a| departure.ts <= a.arrive_ts),
                "{departure:?}"
            );
        }
    }

    /// One past the last byte sent; checks that the sends follow each other.
    pub fn end_of_sends(&self, socket: &ts_socket) -> u32 {
        let sends = self.sends_of(socket.cookie);
        contiguous(
            socket.send_seq,
            sends.iter().map(|s| (s.fixed.seq, s.fixed.sent)),
        )
    }

    /// One past the last byte read; checks that the reads follow each other.
    pub fn end_of_reads(&self, socket: &ts_socket) -> u32 {
        let recvs = self.recvs_of(socket.cookie);
        contiguous(socket.recv_seq, recvs.iter().map(|r| (r.seq, r.taken)))
    }

    /// Checks that the segments that arrived at `to`, whatever their order, hold every one of `bytes` bytes, but for
    /// those that came hidden.
    pub fn check_arrivals(&self, to: &ts_socket, bytes: u32) {
        let from_start = |seq: u32| seq.wrapping_sub(to.recv_seq);
        let of_socket = self.arrivals.iter().filter(|a| a.cookie == to.cookie);
        let mut ranges: Vec<_> = of_socket
            .map(|a| (from_start(a.seq), from_start(a.end_seq)))
            .collect();
        ranges.sort_unstable();
        let (mut next, mut untold) = (0, 0);
        for (from, end) in ranges {
            untold += from.saturating_sub(next);
            next = next.max(end);
        }
        assert!(next <= bytes, "more arrived than was sent");
        untold += bytes - next;
        let hidden = self.hidden.arrivals;
        assert!(
            u64::from(untold) <= hidden * PACKET_MAX,
            "{untold} bytes untold, {hidden} segments hidden"
        );
    }

    /// Checks a whole connection and that both sockets closed with the same totals. Returns the bytes each way.
    pub fn check_pair(&self, pair: &Pair<'_>) -> (u32, u32) {
        let there = self.check_direction(pair.client, pair.server);
        let back = self.check_direction(pair.server, pair.client);
        for (socket, sent, received) in [(pair.client, there, back), (pair.server, back, there)] {
            let mut closes = self
                .closes
                .iter()
                .filter(|close| close.cookie == socket.cookie);
            let close = closes.next().expect("a CLOSE for each SOCKET");
            assert!(closes.next().is_none(), "and one only");
            // The kernel counts bytes as sent before it drops them.
            let counted = close.bytes_sent - close.bytes_retrans - u64::from(sent);
            assert!(counted <= self.dropped_of(socket.cookie), "{counted} more");
            assert!(self.retransmitted(socket.cookie) <= close.bytes_retrans);
            if self.filtered(TS_FILTER_RETRANSMIT_FAILED) == 0 {
                let untold = close.bytes_retrans - self.retransmitted(socket.cookie);
                let hidden = self.hidden.retransmits;
                assert!(
                    untold <= hidden * PACKET_MAX,
                    "{untold} bytes untold, {hidden} packets hidden"
                );
            }
            // The kernel counts a FIN that was received as a byte.
            assert!((received.into()..=u64::from(received) + 1).contains(&close.bytes_received));
        }
        (there, back)
    }

    /// The texts of one probe, in the order in which it fired.
    pub fn texts_of(&self, probe: u32) -> Vec<&str> {
        let of_probe = self
            .usdt
            .iter()
            .filter(|u| u32::from(u.fixed.probe) == probe);
        of_probe.map(|u| u.text[0].as_str()).collect()
    }

    /// Nothing was lost, but for a switch here and there on 6.1, and that is counted.
    pub fn check_no_loss(&self) {
        let few = |loss: &ts_loss| loss.program == TS_PROGRAM_SWITCH && loss.count <= 3;
        let kept_away = |loss: &ts_loss| keeps_storage_away() && few(loss);
        assert!(self.losses.iter().all(kept_away), "{:?}", self.losses);
    }
}

/// Whether this kernel, a 6.1, keeps a thread's storage from a program that runs in the middle of another's look at
/// it.
pub fn keeps_storage_away() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("osrelease");
    release.starts_with("6.1.")
}

/// The most bytes of a stream that one packet carries over the loopback device.
const PACKET_MAX: u64 = 1 << 16;

/// Whether `a` stands before `b` in a stream, whose numbers wrap.
pub fn before(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}

/// The end of ranges that must follow each other from `start`.
fn contiguous(start: u32, ranges: impl Iterator<Item = (u32, u32)>) -> u32 {
    ranges.fold(start, |next, (seq, len)| {
        assert_eq!(seq, next, "a range begins where the last one ended");
        seq.wrapping_add(len)
    })
}

fn fixed<T: FromBytes>(record: &[u8]) -> T {
    T::read_from_bytes(record).expect("a record of its struct's size")
}

fn send(record: &[u8]) -> Send {
    let (fixed, rest) = ts_send::read_from_prefix(record).expect("SEND");
    let (head, padding) = rest.split_at(fixed.head_len.into());
    check_padding(padding);
    assert!(fixed.sent > 0);
    let tail_len = usize::from(fixed.tail_len);
    assert!(fixed.tail[tail_len..].iter().all(|byte| *byte == 0));
    Send {
        fixed,
        head: head.to_vec(),
    }
}

/// A name with its components in the order of a path.
fn name(record: &[u8]) -> (ts_file_name, String) {
    let (fixed, rest) = ts_file_name::read_from_prefix(record).expect("FILE_NAME");
    let (text, padding) = rest.split_at(fixed.text_len.into());
    check_padding(padding);
    let text = text.strip_suffix(&[0]).expect("each ends by a NUL");
    let parts: Vec<_> = text.split(|byte| *byte == 0).rev().collect();
    let path = String::from_utf8_lossy(&parts.join(&b'/')).into_owned();
    (fixed, format!("/{path}"))
}

fn stack(record: &[u8]) -> (u32, String) {
    let (fixed, rest) = ts_stack::read_from_prefix(record).expect("STACK");
    let (text, padding) = rest.split_at(fixed.text_len.into());
    check_padding(padding);
    (fixed.stack, String::from_utf8_lossy(text).into_owned())
}

fn usdt(record: &[u8]) -> Usdt {
    let (fixed, rest) = ts_usdt::read_from_prefix(record).expect("USDT");
    let (first, rest) = rest.split_at(fixed.text_len[0].into());
    let (second, padding) = rest.split_at(fixed.text_len[1].into());
    check_padding(padding);
    let text = [first, second].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    Usdt { fixed, text }
}

fn check_padding(padding: &[u8]) {
    assert!(
        padding.len() < 8 && padding.iter().all(|byte| *byte == 0),
        "{padding:?}"
    );
}
