//! Sends and reads that a program asks for by io_uring.

use std::net::TcpStream;
use std::os::fd::AsRawFd;

use io_uring::{IoUring, opcode, squeue, types};

use crate::records::Records;
use crate::workload::{Workload, connect, finish, gate, listen, say};
use crate::{can_trace, trace};

const REQUEST: &[u8] = b"GET /ring HTTP/1.1\r\n\r\n";
static ANSWER: [u8; 200_000] = [b'a'; 200_000];

/// One request and its answer, all by the ring.
pub fn exchange() {
    let ring = IoUring::new(8);
    gate();
    let mut ring = match ring {
        Ok(ring) => ring,
        Err(error) => return say(format_args!("no io_uring: {error}")),
    };
    let listener = listen();
    let (client, server) = connect(&listener);
    // A copy is in memory for sure; only such bytes are captured.
    send_all(&mut ring, &client, &Vec::from(REQUEST));
    receive_all(&mut ring, &server, REQUEST.len());
    send_all(&mut ring, &server, &ANSWER[..1000]);
    receive_all(&mut ring, &client, 1000);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut ring = IoUring::new(8).expect("a second ring");
            receive_all(&mut ring, &client, ANSWER.len());
        });
        send_all(&mut ring, &server, &ANSWER);
    });
    finish(client, server);
}

fn send_all(ring: &mut IoUring, socket: &TcpStream, mut bytes: &[u8]) {
    let fd = types::Fd(socket.as_raw_fd());
    while !bytes.is_empty() {
        let send = opcode::Send::new(fd, bytes.as_ptr(), bytes.len() as u32);
        bytes = &bytes[run(ring, &send.build())..];
    }
}

fn receive_all(ring: &mut IoUring, socket: &TcpStream, mut left: usize) {
    let fd = types::Fd(socket.as_raw_fd());
    let mut buffer = [0; 4096];
    while left > 0 {
        let room = buffer.len().min(left) as u32;
        let receive = opcode::Recv::new(fd, buffer.as_mut_ptr(), room);
        left -= run(ring, &receive.build());
    }
}

/// The bytes that one operation moved.
fn run(ring: &mut IoUring, entry: &squeue::Entry) -> usize {
    // SAFETY: the buffer lives in the caller, who waits here until the operation is done.
    unsafe { ring.submission().push(entry) }.expect("room for one");
    ring.submit_and_wait(1).expect("submitted");
    let result = ring.completion().next().expect("done").result();
    usize::try_from(result).expect("bytes")
}

#[test]
fn sends_and_reads_by_io_uring_are_whole() {
    if !can_trace() {
        return;
    }
    let workload = Workload::start("uring");
    let mut tracer = trace(&[workload.pid()]);
    let lines = workload.run_and_read();
    let Some(port) = lines[0].strip_prefix("client ") else {
        return println!("skipped: {}", lines[0]);
    };
    let records = Records::take(&mut tracer);
    records.check_no_loss();
    let pair = records.pair(port.parse().expect("port"));
    let (there, back) = records.check_pair(&pair);
    assert_eq!(there as usize, REQUEST.len());
    assert_eq!(back as usize, 1000 + ANSWER.len());
    assert_eq!(records.sends_of(pair.client.cookie)[0].head, REQUEST);
}
