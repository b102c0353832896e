//! What a captured packet says of itself: whose bytes of which stream it carries.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const TCP: u8 = 6;
const SYN: u8 = 2;

/// The way of a packet: one direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Flow {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
}

impl Flow {
    /// The other direction.
    pub(super) fn back(self) -> Flow {
        Flow {
            from: self.to,
            to: self.from,
        }
    }
}

/// Bytes of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bytes {
    /// Sequence number of the first.
    pub(super) seq: u32,
    /// How many.
    pub(super) len: u32,
}

impl Bytes {
    /// Whether both have a byte in common. Numbers wrap.
    pub(super) fn overlap(self, other: Bytes) -> bool {
        self.seq.wrapping_sub(other.seq) < other.len || other.seq.wrapping_sub(self.seq) < self.len
    }

    /// One past the last.
    pub(super) fn end(self) -> u32 {
        self.seq.wrapping_add(self.len)
    }
}

/// How far each flow has come.
#[derive(Debug, Default)]
pub(super) struct Reach(HashMap<Flow, u32>);

impl Reach {
    /// Whether these bytes go beyond what came of their flow before; else they are sent again.
    pub(super) fn extends(&mut self, flow: Flow, bytes: Bytes) -> bool {
        let end = bytes.end();
        let reached = self.0.entry(flow).or_insert(bytes.seq);
        // Numbers wrap.
        let beyond = (end.wrapping_sub(*reached) as i32) > 0;
        if beyond {
            *reached = end;
        }
        beyond
    }
}

/// A TCP packet that carries bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packet<'a> {
    pub(super) flow: Flow,
    pub(super) bytes: Bytes,
    /// As many of them as were captured.
    pub(super) captured: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads an IP packet that may be cut; `None` where it carries no bytes of a TCP stream.
    pub(super) fn read(packet: &'a [u8]) -> Option<Packet<'a>> {
        match packet.first()? >> 4 {
            4 => ipv4(packet),
            6 => ipv6(packet),
            _ => None,
        }
    }
}

fn ipv4(packet: &[u8]) -> Option<Packet<'_>> {
    let header = usize::from(packet.first()? & 15) * 4;
    let total = usize::from(u16_at(packet, 2)?);
    let address = |at: usize| -> Option<IpAddr> {
        let octets: [u8; 4] = packet.get(at..at + 4)?.try_into().ok()?;
        Some(Ipv4Addr::from(octets).into())
    };
    let rest = packet.get(header..).filter(|_| packet[9] == TCP)?;
    tcp(rest, total.checked_sub(header)?, address(12)?, address(16)?)
}

/// Without extension headers: what a host sends itself has none.
fn ipv6(packet: &[u8]) -> Option<Packet<'_>> {
    let total = usize::from(u16_at(packet, 4)?);
    let address = |at: usize| -> Option<IpAddr> {
        let octets: [u8; 16] = packet.get(at..at + 16)?.try_into().ok()?;
        Some(Ipv6Addr::from(octets).into())
    };
    let rest = packet.get(40..).filter(|_| packet[6] == TCP)?;
    tcp(rest, total, address(8)?, address(24)?)
}

/// A TCP segment of `total` bytes with its header.
fn tcp(segment: &[u8], total: usize, from: IpAddr, to: IpAddr) -> Option<Packet<'_>> {
    let header = usize::from(segment.get(12)? >> 4) * 4;
    let len = total.checked_sub(header).filter(|len| *len > 0)?;
    if segment.get(13)? & SYN != 0 {
        return None;
    }
    let captured = segment.get(header..)?;
    Some(Packet {
        flow: Flow {
            from: SocketAddr::new(from, u16_at(segment, 0)?),
            to: SocketAddr::new(to, u16_at(segment, 2)?),
        },
        bytes: Bytes {
            seq: u32::from_be_bytes(segment.get(4..8)?.try_into().ok()?),
            len: u32::try_from(len).ok()?,
        },
        captured: &captured[..len.min(captured.len())],
    })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let two = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_be_bytes(*two))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An IPv4 packet with twelve bytes of TCP options and `data`.
    fn packet(flags: u8, data: &[u8]) -> Vec<u8> {
        let total = (20 + 32 + data.len()) as u16;
        let mut packet = vec![0x45, 0];
        packet.extend(total.to_be_bytes());
        packet.extend([0, 0, 0, 0, 64, 6, 0, 0, 127, 0, 0, 1, 127, 0, 0, 2]);
        packet.extend([0x1f, 0x90, 0, 80, 0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 0]);
        packet.extend([0x80, flags, 0, 0, 0, 0, 0, 0]);
        packet.extend([1; 12]);
        packet.extend(data);
        packet
    }

    #[test]
    fn a_packet_tells_its_flow_and_bytes() {
        let whole = packet(0x18, b"hello");
        let read = Packet::read(&whole).expect("bytes");
        assert_eq!(read.flow.from, "127.0.0.1:8080".parse().expect("address"));
        assert_eq!(read.flow.to, "127.0.0.2:80".parse().expect("address"));
        assert_eq!((read.bytes.seq, read.bytes.len), (0xffff_fffe, 5));
        assert_eq!((read.captured, read.bytes.end()), (&b"hello"[..], 3));
        let cut = Packet::read(&whole[..54]).expect("bytes");
        assert_eq!((cut.bytes.len, cut.captured), (5, &b"he"[..]));
    }

    #[test]
    fn what_carries_no_bytes_is_none() {
        assert_eq!(Packet::read(&packet(0x10, b"")), None);
        assert_eq!(Packet::read(&packet(SYN, b"fast open")), None);
        let whole = packet(0x18, b"hello");
        for cut in 0..52 {
            assert_eq!(Packet::read(&whole[..cut]), None, "{cut}");
        }
    }

    #[test]
    fn what_is_sent_again_extends_nothing() {
        let flow = Packet::read(&packet(0x18, b"hello")).expect("bytes").flow;
        let mut reach = Reach::default();
        let mut extends = |seq, len| reach.extends(flow, Bytes { seq, len });
        assert!(extends(0xffff_fffe, 5));
        assert!(!extends(0xffff_fffe, 5) && !extends(1, 2));
        assert!(extends(1, 3), "a copy with more behind it");
        assert!(extends(4, 1));
    }

    #[test]
    fn ranges_overlap_across_the_wrap() {
        let bytes = |seq: u32, len| Bytes { seq, len };
        assert!(bytes(0xffff_fff0, 32).overlap(bytes(4, 1)));
        assert!(bytes(4, 1).overlap(bytes(0xffff_fff0, 32)));
        assert!(!bytes(0xffff_fff0, 16).overlap(bytes(0, 4)));
    }
}
