//! The host's TCP connections as the kernel's own diagnostics tell them (`ss -ti`).

use std::net::{IpAddr, SocketAddr};
use std::process::Command;

use serde::{Deserialize, Serialize};

use super::outside::Said;

/// One end of an established connection, with its totals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Socket {
    /// This end.
    pub local: SocketAddr,
    /// The other end.
    pub peer: SocketAddr,
    /// `tcpi_bytes_sent`.
    pub bytes_sent: u64,
    /// `tcpi_bytes_retrans`.
    pub bytes_retrans: u64,
    /// `tcpi_bytes_received`.
    pub bytes_received: u64,
    /// `tcpi_total_retrans`, segments.
    pub total_retrans: u64,
}

/// All established connections of the host.
pub(super) fn ask() -> Said<Vec<Socket>> {
    let output = Command::new("ss")
        .args(["-tinHO", "state", "established"])
        .output();
    let output = output.map_err(|e| format!("ss (iproute2): {e}"))?;
    if !output.status.success() {
        return Err(format!(
            "ss: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        ));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().filter_map(socket).collect())
}

/// `0 0 127.0.0.1:8080 127.0.0.1:50000 cubic … bytes_sent:1 … retrans:0/2 …`
fn socket(line: &str) -> Option<Socket> {
    let mut words = line.split_whitespace().skip(2);
    let local = address(words.next()?)?;
    let peer = address(words.next()?)?;
    let words: Vec<_> = words.collect();
    // What is zero is left out.
    let number = |key: &str| {
        let value = words.iter().find_map(|word| word.strip_prefix(key));
        value.map_or(Some(0), |value| value.parse().ok())
    };
    let retrans = words
        .iter()
        .find_map(|word| word.strip_prefix("retrans:")?.split_once('/'));
    Some(Socket {
        local,
        peer,
        bytes_sent: number("bytes_sent:")?,
        bytes_retrans: number("bytes_retrans:")?,
        bytes_received: number("bytes_received:")?,
        total_retrans: retrans.map_or(Some(0), |(_, total)| total.parse().ok())?,
    })
}

/// An address as `ss` writes it: IPv6 in brackets, an interface behind `%`.
fn address(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let host = host.split('%').next()?;
    let ip: IpAddr = host.parse().ok()?;
    Some(SocketAddr::new(ip.to_canonical(), port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_ss_is_read() {
        let line = "0      0      127.0.0.1:5432 127.0.0.1:48250 cubic wscale:7,7 rto:204 rtt:0.1/0.05 \
                    bytes_sent:470 bytes_retrans:12 bytes_acked:471 bytes_received:99 segs_out:5 \
                    retrans:0/2 minrtt:0.02";
        let socket = socket(line).expect("a socket");
        assert_eq!(socket.local, "127.0.0.1:5432".parse().expect("an address"));
        assert_eq!((socket.bytes_sent, socket.bytes_retrans), (470, 12));
        assert_eq!((socket.bytes_received, socket.total_retrans), (99, 2));
    }

    #[test]
    fn what_is_zero_is_left_out_and_ipv6_is_in_brackets() {
        let socket = socket("0 0 [::ffff:127.0.0.1]:80 [::1%lo]:9 cubic").expect("a socket");
        assert_eq!(socket.local, "127.0.0.1:80".parse().expect("an address"));
        assert_eq!(socket.peer, "[::1]:9".parse().expect("an address"));
        assert_eq!(socket.bytes_sent, 0);
    }
}
