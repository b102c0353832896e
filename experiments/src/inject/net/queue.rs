//! A packet queue of the kernel's: what a rule queues waits there until user space says what becomes of it.

use std::io;
use std::time::Duration;

use netlink_packet_core::{DefaultNla, Nla as _};
use netlink_packet_netfilter::{NetfilterMessageInner, NetfilterSubsystem};

use super::netlink::{Netlink, Type, attribute};

const SUBSYSTEM: u8 = 3;
/// As much of a packet as is looked at: its headers and a message's head.
const CAPTURED: u32 = 2048;
/// Packets that may wait at once; one more goes its way unasked.
const LENGTH: u32 = 16_384;
/// Queues that are tried for a free one.
const NUMBERS: std::ops::Range<u16> = 4_100..4_356;

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Drop,
    Accept,
}

/// A packet that waits.
pub(super) struct Queued {
    /// The kernel's number for it.
    pub(super) id: u32,
    /// Its first bytes, from the IP header on.
    pub(super) packet: Vec<u8>,
}

/// A queue that is ours. Closed, the kernel drops what waits in it.
pub(super) struct Queue {
    netlink: Netlink,
    /// What rules name it by.
    pub(super) number: u16,
}

impl Queue {
    /// Takes a free one.
    pub(super) fn open() -> io::Result<Queue> {
        let mut netlink = Netlink::open()?;
        let mut failed = io::ErrorKind::AddrInUse.into();
        for number in NUMBERS {
            match netlink.ask(message(libc::NFQNL_MSG_CONFIG), number, settings()) {
                Ok(()) => return Ok(Queue { netlink, number }),
                // Another process has it.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => failed = error,
                Err(error) => return Err(error),
            }
        }
        Err(failed)
    }

    /// The packets that came, after `patience` none.
    pub(super) fn next(&mut self, patience: Duration) -> io::Result<Vec<Queued>> {
        let messages = self.netlink.next(patience)?;
        Ok(messages.into_iter().filter_map(queued).collect())
    }

    /// Lets a packet go, one way or the other.
    pub(super) fn decide(&self, id: u32, verdict: Verdict) -> io::Result<()> {
        let verdict = match verdict {
            Verdict::Drop => 0_u32,
            Verdict::Accept => 1,
        };
        let value = [verdict.to_be_bytes(), id.to_be_bytes()].concat();
        let attributes = vec![attribute(libc::NFQA_VERDICT_HDR, value)];
        self.netlink
            .tell(message(libc::NFQNL_MSG_VERDICT), self.number, attributes)
    }
}

fn message(kind: libc::c_int) -> Type {
    Type {
        subsystem: SUBSYSTEM,
        message: kind as u8,
    }
}

/// Binds the queue; large packets come whole, and where it is full they pass.
fn settings() -> Vec<DefaultNla> {
    let flags = (libc::NFQA_CFG_F_FAIL_OPEN | libc::NFQA_CFG_F_GSO) as u32;
    let mut copied = CAPTURED.to_be_bytes().to_vec();
    copied.push(libc::NFQNL_COPY_PACKET as u8);
    vec![
        attribute(
            libc::NFQA_CFG_CMD,
            vec![libc::NFQNL_CFG_CMD_BIND as u8, 0, 0, 0],
        ),
        attribute(libc::NFQA_CFG_PARAMS, copied),
        attribute(libc::NFQA_CFG_QUEUE_MAXLEN, LENGTH.to_be_bytes().to_vec()),
        attribute(libc::NFQA_CFG_MASK, flags.to_be_bytes().to_vec()),
        attribute(libc::NFQA_CFG_FLAGS, flags.to_be_bytes().to_vec()),
    ]
}

fn queued(message: NetfilterMessageInner) -> Option<Queued> {
    let NetfilterMessageInner::Other {
        subsys: NetfilterSubsystem::Other(SUBSYSTEM),
        attributes,
        ..
    } = message
    else {
        return None;
    };
    let value = |kind: libc::c_int| {
        let mut found = attributes.iter().filter(|a| i32::from(a.kind()) == kind);
        found.next().map(|attribute| {
            let mut bytes = vec![0; attribute.value_len()];
            attribute.emit_value(&mut bytes);
            bytes
        })
    };
    let id = value(libc::NFQA_PACKET_HDR)?;
    Some(Queued {
        id: u32::from_be_bytes(*id.first_chunk()?),
        packet: value(libc::NFQA_PAYLOAD)?,
    })
}
