//! Byte ranges of real traffic, compared with what the traced program did.

use tierscope_tracer::wire_record::*;

use crate::records::Records;
use crate::workload::{self, Workload};
use crate::{by_trampolines, can_trace, trace};

/// Traces a workload from before its first byte; its records and its clients' ports.
fn traced(name: &str) -> (Records, Vec<u16>) {
    let workload = Workload::start(name);
    let mut tracer = trace(&[workload.pid()]);
    let ports = workload.run();
    let records = Records::take(&mut tracer);
    records.check_no_loss();
    (records, ports)
}

/// As [`traced`], of a workload with one connection, checked in both directions.
fn traced_pair(name: &str) -> Option<(Records, u16)> {
    if !can_trace() {
        return None;
    }
    let (records, ports) = traced(name);
    assert_eq!(ports.len(), 1);
    records.check_pair(&records.pair(ports[0]));
    Some((records, ports[0]))
}

fn check_keep_alive(records: &Records, port: u16) {
    let pair = records.pair(port);
    let (there, back) = records.check_pair(&pair);
    records.check_arrivals(pair.server, there);
    records.check_arrivals(pair.client, back);
    let requests = records.sends_of(pair.client.cookie);
    assert_eq!(requests.len(), workload::KEEP_ALIVE_REQUESTS);
    for (i, send) in requests.iter().enumerate() {
        assert_eq!(send.head, workload::request(i).as_bytes());
        assert_eq!(u32::from(send.fixed.protocol), TS_PROTOCOL_HTTP);
        assert!(send.fixed.start_ts > 0 && send.fixed.start_ts <= send.fixed.head.ts);
    }
    for send in records.sends_of(pair.server.cookie) {
        assert_eq!(send.head, workload::ANSWER.as_bytes());
        assert_eq!(u32::from(send.fixed.protocol), TS_PROTOCOL_HTTP);
    }
    assert_eq!(
        records.ends_of(pair.client.cookie),
        1,
        "the end of the stream once"
    );
    for send in &records.sends {
        let left = send.fixed.transmit_seq.wrapping_sub(send.fixed.seq);
        assert_eq!(left, send.fixed.sent, "it left with its call");
    }
    assert!(records.transmits.is_empty(), "one record for each send");
    assert_eq!(records.arrive_records, 0, "and one for each read");
    check_accepted(records, pair.server);
}

/// A server's socket is handed out once, by accept, after it was established.
fn check_accepted(records: &Records, server: &ts_socket) {
    let accepted: Vec<_> = records
        .accepted
        .iter()
        .filter(|accepted| accepted.cookie == server.cookie)
        .collect();
    let [accepted] = accepted[..] else {
        panic!("accepted {} times", accepted.len());
    };
    assert!(accepted.head.ts >= server.head.ts);
    let first = records.recvs_of(server.cookie)[0];
    assert!(accepted.head.ts <= first.head.ts);
    assert_eq!(accepted.pid, first.pid);
}

#[test]
fn keep_alive() {
    let Some((records, port)) = traced_pair("keep_alive") else {
        return;
    };
    check_keep_alive(&records, port);
    let pair = records.pair(port);
    assert_eq!(u32::from(pair.client.role), TS_ROLE_CONNECT);
    assert_eq!(u32::from(pair.server.role), TS_ROLE_ACCEPT);
    assert!(pair.client.start_ts > 0 && pair.client.start_ts < pair.client.head.ts);
    assert_eq!(pair.client.local_addr[..4], [127, 0, 0, 1]);
    assert_eq!(pair.client.netns, pair.server.netns);
    assert!(pair.client.netns != 0 && pair.client.pid != 0);
    assert_eq!(records.filtered(TS_FILTER_RESYNC), 0);
}

#[test]
fn ipv6() {
    let Some((records, port)) = traced_pair("ipv6") else {
        return;
    };
    check_keep_alive(&records, port);
    let client = records.pair(port).client;
    assert_eq!(client.family, 10);
    assert_eq!(client.peer_addr, std::net::Ipv6Addr::LOCALHOST.octets());
}

#[test]
fn gathered_sends_are_captured_over_their_segments() {
    let Some((records, port)) = traced_pair("gathered") else {
        return;
    };
    let sends = records.sends_of(records.pair(port).server.cookie);
    assert_eq!(sends.len(), 3);
    assert_eq!(sends[0].head, workload::FEW.concat().as_bytes());
    assert_eq!(sends[0].fixed.tail_len, 0);
    assert_eq!(sends[1].fixed.sent as usize, 10 * workload::MANY_SEGMENTS);
    assert_eq!(sends[1].head, b"0123456789".repeat(8));
    assert_eq!(
        sends[1].fixed.tail_len, 0,
        "its end is beyond the 8th segment"
    );
    assert_eq!(sends[2].head, workload::LONG[..TS_HEAD_MAX as usize]);
    assert_eq!(sends[2].fixed.tail_len, 0, "so is this one's");
    assert_eq!(records.filtered(TS_FILTER_SEGMENTS_BEYOND), 2);
}

#[test]
fn sendfile_has_its_range_but_no_bytes() {
    let Some((records, port)) = traced_pair("sendfile") else {
        return;
    };
    let sends = records.sends_of(records.pair(port).server.cookie);
    assert_eq!(sends[0].head, workload::ANSWER.as_bytes());
    let file: u32 = sends[1..].iter().map(|send| send.fixed.sent).sum();
    assert_eq!(file as usize, workload::FILE_BYTES);
    assert!(
        sends[1..]
            .iter()
            .all(|send| send.head.is_empty() && send.fixed.tail_len == 0)
    );
    assert_eq!(
        records.filtered(TS_FILTER_UNREADABLE),
        sends.len() as u64 - 1
    );
}

#[test]
fn a_large_send_is_one_range() {
    let Some((records, port)) = traced_pair("large") else {
        return;
    };
    let pair = records.pair(port);
    let sends = records.sends_of(pair.server.cookie);
    assert_eq!(
        records.lengths(pair.server.cookie),
        [workload::LARGE_BYTES as u32]
    );
    assert_eq!(sends[0].head.len(), TS_HEAD_MAX as usize);
    let last = workload::LARGE_BYTES as u64 / 8;
    let tail = [last - 2, last - 1].map(u64::to_be_bytes).concat();
    assert_eq!(sends[0].fixed.tail[..], tail);
    records.check_arrivals(pair.client, workload::LARGE_BYTES as u32);
}

#[test]
fn half_closed() {
    let Some((records, port)) = traced_pair("half_close") else {
        return;
    };
    let pair = records.pair(port);
    records.check_arrivals(pair.server, workload::HALF_CLOSED.0.len() as u32);
    assert_eq!(
        records.lengths(pair.server.cookie),
        [workload::HALF_CLOSED.1.len() as u32]
    );
    assert_eq!(records.ends_of(pair.server.cookie), 1);
    assert_eq!(records.ends_of(pair.client.cookie), 1);
    assert_eq!(records.filtered(TS_FILTER_RESYNC), 0, "a FIN is no byte");
}

#[test]
fn sockets_opened_before_tracing() {
    if !can_trace() {
        return;
    }
    let workload = Workload::start("found");
    let mut tracer = trace(&[workload.pid()]);
    let ports = workload.run();
    let records = Records::take(&mut tracer);
    records.check_no_loss();
    let [old_client, new_client] = ports[..] else {
        panic!("two connections, not {ports:?}");
    };
    let pair = records.pair(old_client);
    for socket in [pair.client, pair.server] {
        assert_eq!(u32::from(socket.role), TS_ROLE_FOUND);
        assert_eq!(socket.pid, pair.client.pid);
    }
    let there = records.check_direction(pair.client, pair.server);
    let back = records.check_direction(pair.server, pair.client);
    assert_eq!(there as usize, workload::request(0).len());
    assert_eq!(back as usize, workload::ANSWER.len());
    assert_eq!(
        u32::from(records.pair(new_client).server.role),
        TS_ROLE_ACCEPT
    );
    check_keep_alive(&records, new_client);
}

#[test]
fn a_send_under_way_when_tracing_begins() {
    if !can_trace() {
        return;
    }
    let (records, ports) = traced("in_flight");
    let pair = records.pair(ports[0]);
    let sends = records.sends_of(pair.server.cookie);
    if by_trampolines(&trace(&[]), "bytes sent") {
        assert_eq!(
            sends.len(),
            0,
            "its beginning was not seen, so neither is its end"
        );
        return;
    }
    assert_eq!(sends.len(), 1);
    assert!(
        (sends[0].fixed.sent as usize) < workload::LARGE_BYTES,
        "its rest"
    );
    assert_eq!(
        records.end_of_sends(pair.server),
        records.end_of_reads(pair.client)
    );
    let read = records
        .end_of_reads(pair.client)
        .wrapping_sub(pair.client.recv_seq);
    assert_eq!(read as usize, workload::LARGE_BYTES);
}

#[test]
fn children_forked_later() {
    if !can_trace() {
        return;
    }
    let workload = Workload::start("late_child");
    let pid = workload.pid();
    let mut tracer = trace(&[pid]);
    let ports = workload.run();
    let records = Records::take(&mut tracer);
    assert_eq!(ports.len(), 0, "the child's output was not ours");
    let changes: Vec<_> = records
        .processes
        .iter()
        .map(|p| (u32::from(p.change), p.pid, p.parent))
        .collect();
    let child = records.processes[1].pid;
    assert_eq!(
        changes,
        [
            (TS_PROCESS_FOUND, pid, 0),
            (TS_PROCESS_FORK, child, pid),
            (TS_PROCESS_EXIT, child, 0),
            (TS_PROCESS_EXIT, pid, 0)
        ]
    );
    let client = records
        .sockets
        .iter()
        .find(|s| u32::from(s.role) == TS_ROLE_CONNECT)
        .expect("client");
    assert_eq!(client.pid, child);
    check_keep_alive(&records, client.local_port);
}

#[test]
fn children_forked_earlier() {
    if !can_trace() {
        return;
    }
    let workload = Workload::start("early_child");
    let pid = workload.pid();
    let mut tracer = trace(&[pid]);
    workload.run();
    let records = Records::take(&mut tracer);
    records.check_no_loss();
    let found = |p: &&ts_process| u32::from(p.change) == TS_PROCESS_FOUND;
    let found: Vec<_> = records
        .processes
        .iter()
        .filter(found)
        .map(|p| p.pid)
        .collect();
    assert_eq!((found.len(), found[0]), (2, pid));
    let client = records
        .sockets
        .iter()
        .find(|s| u32::from(s.role) == TS_ROLE_CONNECT);
    let client = client.expect("client");
    assert_eq!(client.pid, found[1]);
    check_keep_alive(&records, client.local_port);
}

#[test]
fn what_is_lost_on_the_way_is_sent_again() {
    if !can_trace() {
        return;
    }
    let workload = Workload::start("lossy");
    let mut tracer = trace(&[workload.pid()]);
    let lines = workload.run_and_read();
    let records = Records::take(&mut tracer);
    records.check_no_loss();
    let said = |key: &str| -> u32 {
        let line = lines.iter().find_map(|line| line.strip_prefix(key));
        line.expect(key).parse().expect("number")
    };
    let pair = records.pair(said("client ") as u16);
    let (_, back) = records.check_pair(&pair);
    records.check_arrivals(pair.client, back);
    check_segments(&records, pair.server);
    let own = std::fs::read_link("/proc/self/ns/net").expect("namespace");
    assert_ne!(
        own.display().to_string(),
        format!("net:[{}]", pair.server.netns)
    );
    let out_of_order = records
        .arrivals
        .iter()
        .any(|a| (a.seq.wrapping_sub(a.rcv_nxt) as i32) > 0);
    assert!(out_of_order, "arrivals tell of the hole");
    assert!(
        records.arrivals.iter().any(|a| a.late != 0),
        "the reader held the socket at times"
    );
}

#[test]
fn a_packet_that_its_own_host_drops_has_not_left() {
    let Some((records, port)) = traced_pair("held_back") else {
        return;
    };
    let pair = records.pair(port);
    records.check_direction(pair.client, pair.server);
    let sends = records.sends_of(pair.client.cookie);
    let large = &sends.last().expect("SEND").fixed;
    let first = records.dropped.first().expect("DROPPED");
    assert_eq!((first.cookie, first.seq), (pair.client.cookie, large.seq));
    assert_eq!(
        first.end_seq.wrapping_sub(first.seq) as usize,
        workload::HELD_BACK_BYTES
    );
    assert!((large.start_ts..=large.head.ts).contains(&first.head.ts));
    let left = records.departures(pair.client.cookie);
    let left = left.iter().find(|departure| departure.seq == large.seq);
    assert!(left.is_none_or(|left| left.ts > first.head.ts), "{left:?}");
}

/// As many segments were sent again as the kernel counted.
fn check_segments(records: &Records, socket: &ts_socket) {
    let of_socket = records
        .retransmits
        .iter()
        .filter(|r| r.cookie == socket.cookie);
    let told: u32 = of_socket.map(|r| r.segments).sum();
    let mut closes = records.closes.iter();
    let close = closes
        .find(|close| close.cookie == socket.cookie)
        .expect("CLOSE");
    assert_eq!(records.filtered(TS_FILTER_RETRANSMIT_FAILED), 0);
    let untold = close.total_retrans - told;
    // Of what one packet carries, a few bytes more than one segment are another.
    let hidden = 2 * records.hidden.retransmits;
    assert!(
        u64::from(untold) <= hidden,
        "{untold} untold, {hidden} hidden"
    );
    assert!(told > 0);
}

#[test]
fn sequence_numbers_that_wrap() {
    let Some((records, port)) = traced_pair("wrapped") else {
        return;
    };
    let pair = records.pair(port);
    let end = records.end_of_sends(pair.client);
    assert!(
        end < pair.client.send_seq,
        "{end} after {}",
        pair.client.send_seq
    );
    let (there, _) = records.check_pair(&pair);
    assert_eq!(there as usize, workload::WRAPPING_BYTES);
    records.check_arrivals(pair.server, there);
}

#[test]
fn a_send_without_a_copy_is_whole() {
    let Some((records, port)) = traced_pair("zero_copy") else {
        return;
    };
    let sends = records.sends_of(records.pair(port).server.cookie);
    let [send] = sends[..] else {
        panic!("{} sends", sends.len());
    };
    assert_eq!(send.fixed.sent as usize, workload::ZERO_COPY_BYTES);
    assert_eq!(send.head, [b'z'; TS_HEAD_MAX as usize]);
}

#[test]
fn what_is_spliced_into_a_socket_is_whole() {
    let Some((records, port)) = traced_pair("spliced_in") else {
        return;
    };
    let lengths = records.lengths(records.pair(port).server.cookie);
    let [head, spliced @ .., end] = &lengths[..] else {
        panic!("{lengths:?}");
    };
    assert_eq!((*head as usize, *end), (workload::ANSWER.len(), 7));
    assert_eq!(
        spliced.iter().sum::<u32>() as usize,
        workload::SPLICED_BYTES
    );
}

#[test]
fn spliced_bytes_move_the_cursor() {
    if !can_trace() {
        return;
    }
    let (records, ports) = traced("spliced");
    let pair = records.pair(ports[0]);
    let offset = |r: &&ts_recv| {
        (
            r.seq.wrapping_sub(pair.server.recv_seq) as usize,
            r.taken as usize,
        )
    };
    let reads: Vec<_> = records
        .recvs_of(pair.server.cookie)
        .iter()
        .map(offset)
        .collect();
    assert_eq!(reads, [(0, 13), (13 + workload::SPLICED_BYTES, 12)]);
    assert_eq!(records.filtered(TS_FILTER_RESYNC), 1);
    records.check_direction(pair.server, pair.client);
}

#[test]
fn refused_connections_and_datagrams_leave_no_socket() {
    if !can_trace() {
        return;
    }
    let (records, _) = traced("refused");
    assert!(records.sockets.is_empty() && records.closes.is_empty());
    // TCP's own functions see no datagram.
    let tracer = trace(&[]);
    let others = ["bytes sent", "bytes read"].map(|event| !by_trampolines(&tracer, event));
    let seen = others.iter().filter(|seen| **seen).count();
    assert_eq!(records.filtered(TS_FILTER_NOT_TCP), seen as u64);
}

#[test]
fn peeking_takes_nothing() {
    let Some((records, port)) = traced_pair("peek") else {
        return;
    };
    let recvs = records.recvs_of(records.pair(port).server.cookie);
    assert_eq!(recvs.iter().map(|r| r.taken).collect::<Vec<_>>(), [10]);
    assert!(records.filtered(TS_FILTER_PEEK) >= 1);
    assert_eq!(records.filtered(TS_FILTER_RECV_ERROR), 1);
}

#[test]
fn two_writers_on_one_socket() {
    let Some((records, port)) = traced_pair_unordered("two_writers") else {
        return;
    };
    let pair = records.pair(port);
    let mut ranges: Vec<_> = records
        .sends_of(pair.server.cookie)
        .iter()
        .map(|s| (s.fixed.seq, s.fixed.sent))
        .collect();
    ranges.sort_by_key(|(seq, _)| seq.wrapping_sub(pair.server.send_seq));
    let mut next = pair.server.send_seq;
    for (seq, sent) in ranges {
        assert_eq!(seq, next, "no gap, no overlap");
        next = seq.wrapping_add(sent);
    }
    let total = workload::WRITERS * workload::LARGE_BYTES as u32;
    assert_eq!(next.wrapping_sub(pair.server.send_seq), total);
    assert!(
        records.filtered(TS_FILTER_SEND_OVERLAP) > 0,
        "the kernel interleaved them"
    );
}

/// Sends of several threads are recorded as they end, not in the order of their bytes.
fn traced_pair_unordered(name: &str) -> Option<(Records, u16)> {
    can_trace()
        .then(|| traced(name))
        .map(|(records, ports)| (records, ports[0]))
}

#[test]
fn a_send_cut_short() {
    let Some((records, port)) = traced_pair("cut_short") else {
        return;
    };
    let sends = records.sends_of(records.pair(port).server.cookie);
    assert_eq!(
        sends[0].fixed.tail_len, 0,
        "the captured tail is not its tail"
    );
    assert_eq!(sends[0].head, [b'x'; TS_HEAD_MAX as usize]);
    assert_eq!(records.filtered(TS_FILTER_SEND_ERROR), 1);
}
