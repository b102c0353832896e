//! Whose request a packet belongs to, by the ids in the packets around it on its connection.
//!
//! nginx's requests and all answers carry the id in their head; in the lab's truth mode a statement carries
//! it as a bound value. What carries none is known by its neighbours: a client's request by its answer, an
//! answer of PostgreSQL's by what it answers.

use std::net::SocketAddr;

use tierscope_model::RequestId;
use tierscope_wire::http::{Head, parse_head};
use tierscope_wire::postgres::{bind_params, frontend};

use super::log::Seen;
use super::packet::{Flow, Packet};

/// A ping, and what goes before the last byte of its answer.
const SYNC: &[u8] = b"S\0\0\0\x04";
const READY: &[u8] = b"Z\0\0\0\x05";

/// What is spoken on a hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Talk {
    /// The end that serves.
    pub(super) server: SocketAddr,
    pub(super) protocol: Protocol,
}

/// The protocols of the lab's hops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// HTTP from outside: the id is the answer's.
    Client,
    /// HTTP behind nginx.
    Http,
    Postgres,
}

/// Where a packet's request is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// In itself.
    Own(RequestId),
    /// In the packet before it, the same way.
    Before,
    /// In the one after it, the same way.
    After,
    /// It is that of the packet that it answers.
    Asked,
    /// In the answer to it.
    Answered,
}

impl Talk {
    /// Where the request of a packet is named.
    pub(super) fn claim(self, packet: &Packet<'_>) -> Claim {
        let asks = packet.flow.to == self.server;
        match (self.protocol, asks) {
            (Protocol::Client, true) => Claim::Answered,
            (Protocol::Client | Protocol::Http, _) => {
                in_head(packet.captured).map_or(Claim::Before, Claim::Own)
            }
            (Protocol::Postgres, true) => in_statement(packet.captured),
            (Protocol::Postgres, false) => Claim::Asked,
        }
    }

    /// Bytes in the longest packet that is upkeep alone.
    pub(super) fn longest_upkeep(self) -> usize {
        match self.protocol {
            Protocol::Postgres => READY.len() + 1,
            Protocol::Client | Protocol::Http => 0,
        }
    }

    /// Whether a packet is a connection's upkeep alone: nobody waits for it.
    pub(super) fn is_upkeep(self, packet: &Packet<'_>) -> bool {
        self.protocol == Protocol::Postgres
            && match packet.captured {
                bytes if packet.flow.to == self.server => bytes == SYNC,
                bytes => bytes.len() == READY.len() + 1 && bytes.starts_with(READY),
            }
    }
}

fn in_head(bytes: &[u8]) -> Option<RequestId> {
    match parse_head(bytes) {
        Head::Request(head) => head.request_id,
        Head::Response(head) => head.request_id,
        Head::NotHttp | Head::NeedMore => None,
    }
}

fn in_statement(bytes: &[u8]) -> Claim {
    let ends = |bytes: &[u8]| bytes.starts_with(b"COMMIT") || bytes.starts_with(b"ROLLBACK");
    let mut messages = frontend(bytes).peekable();
    if messages
        .peek()
        .is_some_and(|m| m.tag == b'Q' && ends(m.body))
    {
        return Claim::Before;
    }
    let mut values = messages.flat_map(|message| bind_params(&message)).flatten();
    values.find_map(as_id).map_or(Claim::After, Claim::Own)
}

fn as_id(value: &[u8]) -> Option<RequestId> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// The request of a logged packet, if the log names it.
pub(super) fn whose(log: &[Seen], at: usize) -> Option<RequestId> {
    let seen = log.get(at)?;
    // What is sent again stands where its first copy did not.
    let first = |other: &&Seen| !other.again;
    let mut before = log[..at].iter().rev().filter(first);
    let mut after = log[at + 1..].iter().filter(first);
    let own = |flow: Flow| {
        move |other: &Seen| match other.claim {
            Claim::Own(id) if other.flow == flow => Some(id),
            _ => None,
        }
    };
    match seen.claim {
        Claim::Own(id) => Some(id),
        Claim::Before => before.find_map(own(seen.flow)),
        Claim::After => after.find_map(own(seen.flow)),
        Claim::Asked => {
            let asks = |s: &Seen| !s.again && s.flow == seen.flow.back();
            whose(log, log[..at].iter().rposition(asks)?)
        }
        Claim::Answered => after.find_map(own(seen.flow.back())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inject::net::packet::Bytes;

    const ID: &str = "00f067aa0ba902b74bf92f3577b34da6";

    /// A log of packets on one connection: whether each asks, and what it carries.
    fn log(protocol: Protocol, packets: &[(bool, &[u8])]) -> Vec<Seen> {
        let [client, server] = [4000, 80].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let forth = Flow {
            from: client,
            to: server,
        };
        let talk = Talk { server, protocol };
        let seen = packets.iter().zip(1..).map(|((asks, captured), at)| {
            let flow = if *asks { forth } else { forth.back() };
            let bytes = Bytes { seq: at, len: 1 };
            let packet = Packet {
                flow,
                bytes,
                captured,
            };
            Seen {
                at: u64::from(at),
                rule: b'f',
                flow,
                bytes,
                again: false,
                claim: talk.claim(&packet),
            }
        });
        seen.collect()
    }

    fn whose_all(log: &[Seen]) -> Vec<Option<String>> {
        let ids = (0..log.len()).map(|at| whose(log, at));
        ids.map(|id| id.map(|id| id.to_string())).collect()
    }

    fn other() -> String {
        ID.replace('0', "1")
    }

    #[test]
    fn a_clients_request_is_known_by_its_answer() {
        let answer = |id: &str| format!("HTTP/1.1 200 OK\r\nX-Request-ID: {id}\r\n\r\nbody");
        let (first, second) = (answer(ID), answer(&other()));
        let seen = log(
            Protocol::Client,
            &[
                (
                    true,
                    b"POST /a HTTP/1.1\r\nX-Request-ID: ffffffffffffffffffffffffffffffff\r\n\r\n",
                ),
                (true, b"body"),
                (false, first.as_bytes()),
                (false, b"more body"),
                (true, b"GET /b HTTP/1.1\r\n\r\n"),
                (false, second.as_bytes()),
            ],
        );
        let (first, second) = (Some(ID.to_owned()), Some(other()));
        let mut expected = vec![first; 4];
        expected.extend([second.clone(), second]);
        assert_eq!(whose_all(&seen), expected);
    }

    #[test]
    fn an_answer_that_is_sent_again_is_no_answer_to_what_came_since() {
        let answer = |id: &str| format!("HTTP/1.1 200 OK\r\nX-Request-ID: {id}\r\n\r\n");
        let (first, second) = (answer(ID), answer(&other()));
        let request = (true, &b"GET / HTTP/1.1\r\n\r\n"[..]);
        let mut seen = log(
            Protocol::Client,
            &[
                request,
                (false, first.as_bytes()),
                request,
                (false, first.as_bytes()),
                (false, second.as_bytes()),
            ],
        );
        seen[3].again = true;
        assert_eq!(whose_all(&seen)[2], Some(other()));
    }

    #[test]
    fn a_transaction_is_known_by_its_statements() {
        let bind = |id: &str| {
            let mut body = b"\0s\0\0\0\0\x01\0\0\0\x20".to_vec();
            body.extend(id.as_bytes());
            body.extend([0, 0]);
            let mut message = vec![b'B'];
            message.extend((body.len() as u32 + 4).to_be_bytes());
            message.extend(body);
            message
        };
        let (first, second) = (bind(ID), bind(&other()));
        let seen = log(
            Protocol::Postgres,
            &[
                (true, b"Q\0\0\0\x0aBEGIN\0"),
                (false, b"C\0\0\0\x0aBEGIN\0"),
                (true, &first),
                (false, b"2\0\0\0\x04"),
                (true, b"Q\0\0\0\x0bCOMMIT\0"),
                (false, b"C\0\0\0\x0bCOMMIT\0"),
                (true, &second),
                (false, b"2\0\0\0\x04"),
            ],
        );
        let (first, second) = (Some(ID.to_owned()), Some(other()));
        let mut expected = vec![first; 6];
        expected.extend([second.clone(), second]);
        assert_eq!(whose_all(&seen), expected);
    }

    #[test]
    fn a_ping_is_upkeep() {
        let [client, server] = [4000, 80].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let talk = Talk {
            server,
            protocol: Protocol::Postgres,
        };
        let is = |asks: bool, captured| {
            let flow = Flow {
                from: client,
                to: server,
            };
            talk.is_upkeep(&Packet {
                flow: if asks { flow } else { flow.back() },
                bytes: Bytes { seq: 1, len: 1 },
                captured,
            })
        };
        assert!(is(true, b"S\0\0\0\x04") && is(false, b"Z\0\0\0\x05I"));
        assert!(!is(true, b"P\0\0\0\x04") && !is(false, b"2\0\0\0\x04Z\0\0\0\x05I"));
    }
}
