//! What the kernel itself tells of a connection (`getsockopt(TCP_INFO)`), for comparison.

use std::{mem::offset_of, net::TcpStream, os::fd::AsRawFd as _};

use nix::libc;
use serde::{Deserialize, Serialize};

/// A connection's figures at its end. Only what the kernel says: no clock of ours is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketInfo {
    /// The connection's own port.
    pub local_port: u16,
    /// `tcpi_rtt` directly after the connection was made: of SYN and its answer, µs.
    pub handshake_us: Option<u32>,
    /// `tcpi_rtt`, smoothed, µs.
    pub rtt_us: u32,
    /// `tcpi_min_rtt`, µs.
    pub min_rtt_us: u32,
    /// `tcpi_total_retrans`, segments.
    pub total_retrans: u32,
    /// `tcpi_bytes_sent`.
    pub bytes_sent: u64,
    /// `tcpi_bytes_retrans`.
    pub bytes_retrans: u64,
    /// `tcpi_bytes_received`.
    pub bytes_received: u64,
}

impl SocketInfo {
    /// Asks the kernel; none where it does not answer in full.
    pub(crate) fn of(stream: &TcpStream, port: u16, handshake_us: Option<u32>) -> Option<Self> {
        let info = tcp_info(stream)?;
        Some(Self {
            local_port: port,
            handshake_us,
            rtt_us: info.rtt,
            min_rtt_us: info.min_rtt,
            total_retrans: info.total_retrans,
            bytes_sent: info.bytes_sent,
            bytes_retrans: info.bytes_retrans,
            bytes_received: info.bytes_received,
        })
    }
}

/// The smoothed round trip so far, µs.
pub(crate) fn rtt(stream: &TcpStream) -> Option<u32> {
    tcp_info(stream).map(|info| info.rtt)
}

/// `struct tcp_info` of linux/tcp.h up to `tcpi_bytes_retrans` (Linux 4.19); libc's ends before it.
#[repr(C)]
#[derive(Default)]
struct TcpInfo {
    states: [u8; 8],
    timers_and_segments: [u32; 9],
    ages: [u32; 4],
    pmtu: u32,
    rcv_ssthresh: u32,
    rtt: u32,
    rttvar: u32,
    windows: [u32; 4],
    rcv_rtt: u32,
    rcv_space: u32,
    total_retrans: u32,
    pacing: [u64; 2],
    bytes_acked: u64,
    bytes_received: u64,
    segments: [u32; 2],
    notsent_bytes: u32,
    min_rtt: u32,
    data_segments: [u32; 2],
    delivery_rate: u64,
    busy: [u64; 3],
    delivered: [u32; 2],
    bytes_sent: u64,
    bytes_retrans: u64,
}

// As in the kernel's header.
const _: () = assert!(offset_of!(TcpInfo, rtt) == 68 && offset_of!(TcpInfo, min_rtt) == 148);
const _: () = assert!(offset_of!(TcpInfo, bytes_received) == 128);
const _: () = assert!(offset_of!(TcpInfo, bytes_sent) == 200);

fn tcp_info(stream: &TcpStream) -> Option<TcpInfo> {
    let mut info = TcpInfo::default();
    let whole = size_of::<TcpInfo>();
    let mut length = whole as libc::socklen_t;
    // SAFETY: `info` is plain old data that any bytes are valid for, `length` is its size, and both
    // live through the call; the kernel writes at most `length` bytes.
    let outcome = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut length,
        )
    };
    (outcome == 0 && length as usize == whole).then_some(info)
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::TcpListener,
    };

    use super::*;

    #[test]
    fn the_kernel_counts_what_was_written_and_read() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let address = listener.local_addr().expect("its address");
        let mut client = TcpStream::connect(address).expect("connected");
        let (mut server, _) = listener.accept().expect("accepted");
        let handshake = rtt(&client).expect("told");
        assert!((1..1_000_000).contains(&handshake), "{handshake} µs");
        client.write_all(&[1; 1000]).expect("written");
        server.read_exact(&mut [0; 1000]).expect("read");
        server.write_all(&[2; 30]).expect("written");
        client.read_exact(&mut [0; 30]).expect("read");
        let info = SocketInfo::of(&client, 7, Some(handshake)).expect("told");
        assert_eq!((info.bytes_sent, info.bytes_received), (1000, 30));
        assert_eq!((info.bytes_retrans, info.total_retrans), (0, 0));
        assert!(info.min_rtt_us <= handshake, "{info:?}");
    }
}
