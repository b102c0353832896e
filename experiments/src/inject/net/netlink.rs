//! The kernel's packet filter by netlink: requests that it acknowledges, and the packets that it hands out.

use std::io;
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use netlink_packet_core::{
    DefaultNla, NLM_F_ACK, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_netfilter::{
    NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily,
    NetfilterSubsystem,
};
use netlink_sys::{Socket, protocols::NETLINK_NETFILTER};

/// Room for many packets' heads: user space may come late.
const RECEIVE_BUFFER: usize = 8 << 20;
/// More than one message, and more than a captured head.
const MESSAGE: usize = 64 << 10;

/// A message's subsystem and type.
#[derive(Clone, Copy, Debug)]
pub(super) struct Type {
    pub(super) subsystem: u8,
    pub(super) message: u8,
}

/// A connection to the packet filter.
pub(super) struct Netlink {
    socket: Socket,
    buffer: Vec<u8>,
}

impl Netlink {
    pub(super) fn open() -> io::Result<Netlink> {
        let mut socket = Socket::new(NETLINK_NETFILTER)?;
        socket.bind_auto()?;
        socket.set_rx_buf_sz(RECEIVE_BUFFER)?;
        Ok(Netlink {
            socket,
            buffer: Vec::with_capacity(MESSAGE),
        })
    }

    /// Sends a request on `resource` (a queue, a group) and waits until it is done.
    pub(super) fn ask(
        &mut self,
        kind: Type,
        resource: u16,
        attributes: Vec<DefaultNla>,
    ) -> io::Result<()> {
        self.send(kind, resource, attributes, NLM_F_REQUEST | NLM_F_ACK)?;
        loop {
            for message in self.receive()? {
                match message.payload {
                    NetlinkPayload::Error(said) if said.code.is_none() => return Ok(()),
                    NetlinkPayload::Error(said) => return Err(said.to_io()),
                    // A packet that came before the answer goes its way without us.
                    _ => {}
                }
            }
        }
    }

    /// Sends a message that is not acknowledged.
    pub(super) fn tell(
        &self,
        kind: Type,
        resource: u16,
        attributes: Vec<DefaultNla>,
    ) -> io::Result<()> {
        self.send(kind, resource, attributes, NLM_F_REQUEST)
    }

    /// What came, once there is anything; nothing after `patience`.
    pub(super) fn next(&mut self, patience: Duration) -> io::Result<Vec<NetfilterMessageInner>> {
        if !self.wait(patience)? {
            return Ok(Vec::new());
        }
        let messages = self.receive()?.into_iter();
        let inner = messages.filter_map(|message| match message.payload {
            NetlinkPayload::InnerMessage(message) => Some(message.inner),
            _ => None,
        });
        Ok(inner.collect())
    }

    fn send(
        &self,
        kind: Type,
        resource: u16,
        attributes: Vec<DefaultNla>,
        flags: u16,
    ) -> io::Result<()> {
        let mut header = NetlinkHeader::default();
        header.flags = flags;
        let inner = NetfilterMessageInner::Other {
            subsys: NetfilterSubsystem::Other(kind.subsystem),
            message_type: kind.message,
            attributes,
        };
        let about = NetfilterHeader::new(NetfilterProtoFamily::Unspec, 0, resource);
        let body = NetlinkPayload::from(NetfilterMessage::new(about, inner));
        let mut message = NetlinkMessage::new(header, body);
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.send(&bytes, 0).map(|_| ())
    }

    /// Whether something came within `patience`.
    fn wait(&self, patience: Duration) -> io::Result<bool> {
        let mut wanted = libc::pollfd {
            fd: self.socket.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        let patience = libc::timespec {
            tv_sec: patience.as_secs() as i64,
            tv_nsec: i64::from(patience.subsec_nanos()),
        };
        // SAFETY: one pollfd and a timespec of ours, which live through the call; no signal mask.
        let ready =
            unsafe { libc::ppoll(&raw mut wanted, 1, &raw const patience, std::ptr::null()) };
        match ready {
            0.. => Ok(ready > 0),
            _ => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => Ok(false),
                error => Err(error),
            },
        }
    }

    /// The messages of one datagram.
    fn receive(&mut self) -> io::Result<Vec<NetlinkMessage<NetfilterMessage>>> {
        self.buffer.clear();
        self.socket.recv(&mut self.buffer, 0)?;
        let mut messages = Vec::new();
        let mut at = 0;
        while let Some(rest) = self.buffer.get(at..).filter(|rest| !rest.is_empty()) {
            let message = NetlinkMessage::<NetfilterMessage>::deserialize(rest)
                .map_err(|error| io::Error::other(error.to_string()))?;
            // Each begins on a multiple of four.
            at += (message.header.length as usize).next_multiple_of(4).max(4);
            messages.push(message);
        }
        Ok(messages)
    }
}

/// An attribute; its value's integers are in network order.
pub(super) fn attribute(kind: libc::c_int, value: Vec<u8>) -> DefaultNla {
    DefaultNla::new(kind as u16, value)
}
