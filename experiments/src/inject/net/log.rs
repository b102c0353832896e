//! The packets that rules log, in the order in which the kernel saw them.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use netlink_packet_core::DefaultNla;
use netlink_packet_netfilter::NetfilterMessageInner;
use netlink_packet_netfilter::nflog::{PacketNla, ULogMessage};

use super::netlink::{Netlink, Type, attribute};
use super::packet::{Bytes, Flow, Packet, Reach};
use super::urgent::urgent;
use super::whose::{Claim, Talk};
use crate::inject::clock::now;

const SUBSYSTEM: u8 = 4;
/// As much of a packet as is looked at: its headers and a message's head.
const CAPTURED: u32 = 2048;
/// Groups that are tried for a free one.
const GROUPS: std::ops::Range<u16> = 4_100..4_356;
/// How often it looks whether it is to end.
const LOOK: Duration = Duration::from_millis(5);
/// Packets that are remembered; a window has some thousands.
const LIMIT: usize = 1 << 20;

/// A logged packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// When it was logged. CLOCK_MONOTONIC nanoseconds, a little late.
    pub(super) at: u64,
    /// The rule that logged it: the first letter of its prefix.
    pub(super) rule: u8,
    pub(super) flow: Flow,
    pub(super) bytes: Bytes,
    /// The same rule logged these bytes before: they are sent again.
    pub(super) again: bool,
    pub(super) claim: Claim,
}

/// A log that a thread of its own fills.
pub(super) struct Log {
    /// What rules name it by.
    pub(super) group: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Log {
    /// Begins one, of packets that talk so.
    pub(super) fn start(talk: Talk) -> io::Result<Log> {
        let mut netlink = Netlink::open()?;
        let group = take_group(&mut netlink)?;
        let (seen, stop) = (
            Arc::<Mutex<Vec<Seen>>>::default(),
            Arc::<AtomicBool>::default(),
        );
        let reader = Reader {
            netlink,
            talk,
            reach: HashMap::new(),
            seen: seen.clone(),
            stop: stop.clone(),
        };
        let thread = std::thread::Builder::new().name("packet log".to_owned());
        Ok(Log {
            group,
            seen,
            stop,
            thread: Some(thread.spawn(move || reader.read())?),
        })
    }

    /// What was seen by now.
    pub(super) fn seen(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends it: all that was seen.
    pub(super) fn finish(mut self) -> io::Result<Vec<Seen>> {
        self.halt()?;
        Ok(std::mem::take(&mut *self.seen()))
    }

    fn halt(&mut self) -> io::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        let done = self.thread.take().map(JoinHandle::join);
        match done {
            None => Ok(()),
            Some(done) => done.unwrap_or_else(|_| Err(io::Error::other("the packet log died"))),
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let _ = self.halt();
    }
}

struct Reader {
    netlink: Netlink,
    talk: Talk,
    /// By rule.
    reach: HashMap<u8, Reach>,
    seen: Arc<Mutex<Vec<Seen>>>,
    stop: Arc<AtomicBool>,
}

impl Reader {
    fn read(mut self) -> io::Result<()> {
        urgent();
        loop {
            let stop = self.stop.load(Ordering::Relaxed);
            let messages = self.netlink.next(LOOK)?;
            if messages.is_empty() && stop {
                return Ok(());
            }
            let at = now();
            let entries: Vec<Seen> = messages.iter().filter_map(|m| self.entry(m, at)).collect();
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.extend(entries);
            if seen.len() > LIMIT {
                return Err(io::Error::other("too many packets to remember"));
            }
        }
    }

    fn entry(&mut self, said: &NetfilterMessageInner, at: u64) -> Option<Seen> {
        let NetfilterMessageInner::ULog(ULogMessage::Packet(attributes)) = said else {
            return None;
        };
        let rule = attributes.iter().find_map(|attribute| match attribute {
            PacketNla::Prefix(prefix) => prefix.to_bytes().first().copied(),
            _ => None,
        });
        let bytes = attributes.iter().find_map(|attribute| match attribute {
            PacketNla::Payload(bytes) => Some(bytes),
            _ => None,
        });
        let packet = Packet::read(bytes?)?;
        let rule = rule?;
        let reach = self.reach.entry(rule).or_default();
        Some(Seen {
            at,
            rule,
            flow: packet.flow,
            bytes: packet.bytes,
            again: !reach.extends(packet.flow, packet.bytes),
            claim: self.talk.claim(&packet),
        })
    }
}

/// Binds a free group; every packet is told of at once.
fn take_group(netlink: &mut Netlink) -> io::Result<u16> {
    let config = Type {
        subsystem: SUBSYSTEM,
        message: libc::NFULNL_MSG_CONFIG as u8,
    };
    let mut failed = io::ErrorKind::AddrInUse.into();
    for group in GROUPS {
        match netlink.ask(config, group, settings()) {
            Ok(()) => return Ok(group),
            // Another process has it.
            Err(error) if busy(&error) => failed = error,
            Err(error) => return Err(error),
        }
    }
    Err(failed)
}

fn busy(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ResourceBusy | io::ErrorKind::PermissionDenied
    )
}

fn settings() -> Vec<DefaultNla> {
    let mut copied = CAPTURED.to_be_bytes().to_vec();
    copied.extend([libc::NFULNL_COPY_PACKET as u8, 0]);
    vec![
        attribute(libc::NFULA_CFG_CMD, vec![libc::NFULNL_CFG_CMD_BIND as u8]),
        attribute(libc::NFULA_CFG_MODE, copied),
        attribute(libc::NFULA_CFG_QTHRESH, 1_u32.to_be_bytes().to_vec()),
    ]
}
