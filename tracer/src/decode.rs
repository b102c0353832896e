//! Records of `events.h` into events, purely: every length and number is checked, nothing is assumed.

use std::mem::offset_of;
use std::net::{IpAddr, SocketAddr};

use thiserror::Error;
use tierscope_model::{
    Accepted, Arrive, Before, Block, BlockOperation, Body, Buffers, Close, Dropped, Event, File,
    FileId, FileName, FileOperation, Filtered, Loss, Off, Probe, Process, ProcessChange, Protocol,
    Recv, Retransmit, Send, Skipped, SmolStr, Socket, SocketCookie, SocketRole, Stack, Switch,
    Timestamp, Transmit, Turned, Usdt,
};
use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::wire_record::*;

/// Bytes that are not a record of `events.h`. Offsets are from the record's first byte.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The bytes end before the record does.
    #[error("a record of kind {kind} needs {needed} bytes, {found} are there")]
    Short {
        /// `ts_kind`; 0 where not even that is there.
        kind: u16,
        /// Bytes that it must have.
        needed: usize,
        /// Bytes that it has.
        found: usize,
    },
    /// The record goes on where it should have ended.
    #[error("a record of kind {kind} goes on after its end at byte {offset}, to byte {found}")]
    Trailing {
        /// `ts_kind`.
        kind: u16,
        /// Where it should end.
        offset: usize,
        /// Where it does end.
        found: usize,
    },
    /// Its `len` is not what it is.
    #[error("a record of kind {kind} says at byte 2 that it has {said} bytes, {found} are there")]
    Length {
        /// `ts_kind`.
        kind: u16,
        /// Its `len`.
        said: u16,
        /// Bytes that it has.
        found: usize,
    },
    /// A kind that this version does not know.
    #[error("kind {0} of a record is unknown: was it made by a later version?")]
    UnknownKind(u16),
    /// A number that the format does not define.
    #[error("a record of kind {kind} has {value} for `{field}` at byte {offset}")]
    Value {
        /// `ts_kind`.
        kind: u16,
        /// Field of the struct.
        field: &'static str,
        /// Where it stands.
        offset: usize,
        /// What it is.
        value: u64,
    },
}

/// Every probe, at its number in `ts_probe`.
const PROBES: [Probe; TS_PROBE_COUNT as usize] = [
    Probe::RequestStart,
    Probe::RequestEnd,
    Probe::DbAcquireStart,
    Probe::DbAcquireEnd,
    Probe::DbQueryStart,
    Probe::DbQueryEnd,
    Probe::CacheHit,
    Probe::CacheMiss,
    Probe::FileIoStart,
    Probe::FileIoEnd,
    Probe::SpanStart,
    Probe::SpanEnd,
    Probe::PgParseStart,
    Probe::PgParseDone,
    Probe::PgRewriteStart,
    Probe::PgRewriteDone,
    Probe::PgPlanStart,
    Probe::PgPlanDone,
    Probe::PgExecuteStart,
    Probe::PgExecuteDone,
    Probe::PgStatementStatus,
    Probe::PgTransactionStart,
    Probe::PgTransactionCommit,
    Probe::PgTransactionAbort,
    Probe::PgLockWaitStart,
    Probe::PgLockWaitDone,
    Probe::PgSortStart,
    Probe::PgSortDone,
    Probe::PgLwlockWaitStart,
    Probe::PgLwlockWaitDone,
    Probe::PgSmgrReadStart,
    Probe::PgSmgrReadDone,
    Probe::PgWalFlushStart,
    Probe::PgWalFlushDone,
    Probe::PgModifyStart,
    Probe::PgModifyDone,
];

/// Decodes one record, from its head to its last byte of padding.
///
/// # Errors
///
/// [`DecodeError`] for anything that the BPF programs would not have written.
pub fn decode(record: &[u8]) -> Result<Event, DecodeError> {
    let (head, _) = ts_head::read_from_prefix(record).map_err(|_| DecodeError::Short {
        kind: 0,
        needed: size_of::<ts_head>(),
        found: record.len(),
    })?;
    let raw = Raw {
        kind: head.kind,
        bytes: record,
    };
    if usize::from(head.len) != record.len() {
        return Err(DecodeError::Length {
            kind: head.kind,
            said: head.len,
            found: record.len(),
        });
    }
    let body = match u32::from(head.kind) {
        TS_KIND_SOCKET => Body::Socket(socket(raw)?),
        TS_KIND_SEND => Body::Send(send(raw)?),
        TS_KIND_RECV => Body::Recv(recv(raw)?),
        TS_KIND_ARRIVE => Body::Arrive(arrive(raw)?),
        TS_KIND_RETRANSMIT => Body::Retransmit(retransmit(raw)?),
        TS_KIND_CLOSE => Body::Close(close(raw)?),
        TS_KIND_USDT => Body::Usdt(usdt(raw)?),
        TS_KIND_PROCESS => Body::Process(process(raw)?),
        TS_KIND_LOSS => Body::Loss(loss(raw)?),
        TS_KIND_FILTERED => Body::Filtered(filtered(raw)?),
        TS_KIND_TRANSMIT => Body::Transmit(transmit(raw)?),
        TS_KIND_ACCEPTED => Body::Accepted(accepted(raw)?),
        TS_KIND_SWITCH => Body::Switch(switch(raw)?),
        TS_KIND_FILE => Body::File(file(raw)?),
        TS_KIND_FILE_NAME => Body::FileName(file_name(raw)?),
        TS_KIND_BLOCK => Body::Block(block(raw)?),
        TS_KIND_BUFFERS => Body::Buffers(buffers(raw)?),
        TS_KIND_STACK => Body::Stack(stack(raw)?),
        TS_KIND_SKIPPED => Body::Skipped(skipped(raw)?),
        TS_KIND_TURNED => Body::Turned(turned(raw)?),
        TS_KIND_DROPPED => Body::Dropped(dropped(raw)?),
        _ => return Err(DecodeError::UnknownKind(head.kind)),
    };
    Ok(Event {
        time: Timestamp(head.ts),
        cpu: head.cpu,
        body,
    })
}

/// A record's bytes and what it claims to be.
#[derive(Clone, Copy)]
struct Raw<'a> {
    kind: u16,
    bytes: &'a [u8],
}

impl<'a> Raw<'a> {
    /// A record that is nothing but its struct.
    fn fixed<T: FromBytes + KnownLayout + Immutable>(self) -> Result<T, DecodeError> {
        let (fixed, _) = self.with_text(|_| 0)?;
        Ok(fixed)
    }

    /// A struct and the text behind it, padded to 8 bytes.
    fn with_text<T: FromBytes + KnownLayout + Immutable>(
        self,
        text_len: impl FnOnce(&T) -> usize,
    ) -> Result<(T, &'a [u8]), DecodeError> {
        let found = self.bytes.len();
        let short = |needed| DecodeError::Short {
            kind: self.kind,
            needed,
            found,
        };
        let (fixed, text) = T::read_from_prefix(self.bytes).map_err(|_| short(size_of::<T>()))?;
        let text_len = text_len(&fixed);
        let offset = (size_of::<T>() + text_len).next_multiple_of(8);
        match text.get(..text_len) {
            Some(text) if offset == found => Ok((fixed, text)),
            Some(_) if offset < found => Err(DecodeError::Trailing {
                kind: self.kind,
                offset,
                found,
            }),
            _ => Err(short(offset)),
        }
    }

    fn value(self, field: &'static str, offset: usize, value: impl Into<u64>) -> DecodeError {
        DecodeError::Value {
            kind: self.kind,
            field,
            offset,
            value: value.into(),
        }
    }
}

/// The error for a number that a field of a record cannot have.
macro_rules! value {
    ($raw:ident, $struct:ident.$field:ident, $value:expr) => {
        $raw.value(stringify!($field), offset_of!($struct, $field), $value)
    };
}

fn socket(raw: Raw<'_>) -> Result<Socket, DecodeError> {
    let socket: ts_socket = raw.fixed()?;
    let address = |bytes: [u8; 16], port| match socket.family {
        2 => Ok(SocketAddr::from((
            [bytes[0], bytes[1], bytes[2], bytes[3]],
            port,
        ))),
        // Both ends of one connection may differ in whether IPv4 is mapped.
        10 => Ok(SocketAddr::new(IpAddr::from(bytes).to_canonical(), port)),
        family => Err(value!(raw, ts_socket.family, family)),
    };
    let role = match u32::from(socket.role) {
        TS_ROLE_CONNECT => SocketRole::Connect,
        TS_ROLE_ACCEPT => SocketRole::Accept,
        TS_ROLE_FOUND => SocketRole::Found,
        role => return Err(value!(raw, ts_socket.role, role)),
    };
    Ok(Socket {
        cookie: SocketCookie(socket.cookie),
        start: Timestamp(socket.start_ts),
        pid: socket.pid,
        role,
        local: address(socket.local_addr, socket.local_port)?,
        peer: address(socket.peer_addr, socket.peer_port)?,
        send_seq: socket.send_seq,
        recv_seq: socket.recv_seq,
        netns: socket.netns,
    })
}

fn send(raw: Raw<'_>) -> Result<Send, DecodeError> {
    let (send, head) = raw.with_text(|send: &ts_send| usize::from(send.head_len))?;
    let protocol = match u32::from(send.protocol) {
        TS_PROTOCOL_UNKNOWN => Protocol::Unknown,
        TS_PROTOCOL_HTTP => Protocol::Http,
        TS_PROTOCOL_PG_FRONTEND => Protocol::PostgresFrontend,
        TS_PROTOCOL_PG_BACKEND => Protocol::PostgresBackend,
        protocol => return Err(value!(raw, ts_send.protocol, protocol)),
    };
    if u32::from(send.head_len) > send.sent || send.sent == 0 {
        return Err(value!(raw, ts_send.sent, send.sent));
    }
    let tail = send.tail.get(..usize::from(send.tail_len));
    let tail = tail.ok_or_else(|| value!(raw, ts_send.tail_len, send.tail_len))?;
    Ok(Send {
        cookie: SocketCookie(send.cookie),
        start: Timestamp(send.start_ts),
        pid: send.pid,
        tid: send.tid,
        seq: send.seq,
        len: send.sent,
        protocol,
        head: head.to_vec(),
        tail: tail.to_vec(),
        transmitted: time(send.transmit_ts).map(|time| (send.transmit_seq, time)),
    })
}

/// A time of which 0 says that there is none.
fn time(ts: u64) -> Option<Timestamp> {
    (ts != 0).then_some(Timestamp(ts))
}

/// What stands before the first NUL.
fn utf8(bytes: &[u8]) -> SmolStr {
    if bytes.is_empty() {
        return SmolStr::default();
    }
    match str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => String::from_utf8_lossy(bytes).into(),
    }
}

fn text(bytes: &[u8]) -> SmolStr {
    utf8(bytes.split(|&byte| byte == 0).next().unwrap_or_default())
}

fn recv(raw: Raw<'_>) -> Result<Recv, DecodeError> {
    let recv: ts_recv = raw.fixed()?;
    if recv.arrive_late > 1 {
        return Err(value!(raw, ts_recv.arrive_late, recv.arrive_late));
    }
    let cookie = SocketCookie(recv.cookie);
    let arrival = time(recv.arrive_ts).map(|time| Arrive {
        cookie,
        time,
        seq: recv.arrive_seq,
        end_seq: recv.arrive_end_seq,
        // It came in order.
        rcv_nxt: recv.arrive_seq,
        late: recv.arrive_late == 1,
    });
    Ok(Recv {
        cookie,
        pid: recv.pid,
        tid: recv.tid,
        seq: recv.seq,
        len: recv.taken,
        arrival,
    })
}

fn arrive(raw: Raw<'_>) -> Result<Arrive, DecodeError> {
    let arrive: ts_arrive = raw.fixed()?;
    if arrive.late > 1 {
        return Err(value!(raw, ts_arrive.late, arrive.late));
    }
    Ok(Arrive {
        cookie: SocketCookie(arrive.cookie),
        time: Timestamp(arrive.arrive_ts),
        seq: arrive.seq,
        end_seq: arrive.end_seq,
        rcv_nxt: arrive.rcv_nxt,
        late: arrive.late == 1,
    })
}

fn retransmit(raw: Raw<'_>) -> Result<Retransmit, DecodeError> {
    let retransmit: ts_retransmit = raw.fixed()?;
    Ok(Retransmit {
        cookie: SocketCookie(retransmit.cookie),
        seq: retransmit.seq,
        end_seq: retransmit.end_seq,
        segments: retransmit.segments,
    })
}

fn close(raw: Raw<'_>) -> Result<Close, DecodeError> {
    let close: ts_close = raw.fixed()?;
    Ok(Close {
        cookie: SocketCookie(close.cookie),
        bytes_sent: close.bytes_sent,
        bytes_retrans: close.bytes_retrans,
        bytes_received: close.bytes_received,
        total_retrans: close.total_retrans,
    })
}

fn usdt(raw: Raw<'_>) -> Result<Usdt, DecodeError> {
    let text_len = |usdt: &ts_usdt| usdt.text_len.iter().copied().map(usize::from).sum();
    let (usdt, text) = raw.with_text(text_len)?;
    let probe = PROBES.get(usize::from(usdt.probe));
    let (first, second) = text.split_at(usize::from(usdt.text_len[0]));
    Ok(Usdt {
        probe: *probe.ok_or_else(|| value!(raw, ts_usdt.probe, usdt.probe))?,
        pid: usdt.pid,
        tid: usdt.tid,
        args: usdt.args,
        text: [first, second].map(utf8),
    })
}

fn process(raw: Raw<'_>) -> Result<Process, DecodeError> {
    let process: ts_process = raw.fixed()?;
    let change = match u32::from(process.change) {
        TS_PROCESS_FOUND => ProcessChange::Found,
        TS_PROCESS_FORK => ProcessChange::Fork,
        TS_PROCESS_EXIT => ProcessChange::Exit,
        change => return Err(value!(raw, ts_process.change, change)),
    };
    Ok(Process {
        change,
        pid: process.pid,
        parent: process.parent,
        service: process.service,
        comm: text(&process.comm),
    })
}

fn loss(raw: Raw<'_>) -> Result<Loss, DecodeError> {
    let loss: ts_loss = raw.fixed()?;
    Ok(Loss {
        program: loss.program,
        on_cpu: loss.on_cpu,
        count: loss.count,
        first: Timestamp(loss.first_ts),
        last: Timestamp(loss.last_ts),
    })
}

fn filtered(raw: Raw<'_>) -> Result<Filtered, DecodeError> {
    let filtered: ts_filtered = raw.fixed()?;
    Ok(Filtered {
        reason: filtered.reason,
        count: filtered.count,
    })
}

fn transmit(raw: Raw<'_>) -> Result<Transmit, DecodeError> {
    let transmit: ts_transmit = raw.fixed()?;
    Ok(Transmit {
        cookie: SocketCookie(transmit.cookie),
        seq: transmit.seq,
        end_seq: transmit.end_seq,
    })
}

fn dropped(raw: Raw<'_>) -> Result<Dropped, DecodeError> {
    let dropped: ts_dropped = raw.fixed()?;
    Ok(Dropped {
        cookie: SocketCookie(dropped.cookie),
        seq: dropped.seq,
        end_seq: dropped.end_seq,
    })
}

fn accepted(raw: Raw<'_>) -> Result<Accepted, DecodeError> {
    let accepted: ts_accepted = raw.fixed()?;
    Ok(Accepted {
        cookie: SocketCookie(accepted.cookie),
        pid: accepted.pid,
        tid: accepted.tid,
    })
}

fn switch(raw: Raw<'_>) -> Result<Switch, DecodeError> {
    let switch: ts_switch = raw.fixed()?;
    let off = match u32::from(switch.off) {
        TS_OFF_PREEMPTED => Off::Preempted,
        TS_OFF_SLEEPING => Off::Sleeping,
        TS_OFF_BLOCKED => Off::Blocked,
        TS_OFF_OTHER => Off::Other,
        off => return Err(value!(raw, ts_switch.off, off)),
    };
    if switch.gap > 1 {
        return Err(value!(raw, ts_switch.gap, switch.gap));
    }
    if switch.throttled > 1 {
        return Err(value!(raw, ts_switch.throttled, switch.throttled));
    }
    if switch.unseen > 1 {
        return Err(value!(raw, ts_switch.unseen, switch.unseen));
    }
    Ok(Switch {
        pid: switch.pid,
        tid: switch.tid,
        off_at: time(switch.off_ts),
        woken_at: time(switch.wake_ts),
        off,
        syscall: (switch.syscall != TS_NO_SYSCALL).then_some(switch.syscall),
        wait_event: switch.wait_event,
        before: Before {
            pid: switch.prev_pid,
            tid: switch.prev_tid,
            comm: text(&switch.prev_comm),
            since: Timestamp(switch.prev_since_ts),
            until: Timestamp(switch.head.ts) - u64::from(switch.prev_ended_ns),
        },
        gap: switch.gap == 1,
        throttled: switch.throttled == 1,
        unseen: switch.unseen == 1,
    })
}

fn skipped(raw: Raw<'_>) -> Result<Skipped, DecodeError> {
    let skipped: ts_skipped = raw.fixed()?;
    Ok(Skipped {
        cookie: SocketCookie(skipped.cookie),
        seq: skipped.seq,
        end_seq: skipped.end_seq,
    })
}

fn turned(raw: Raw<'_>) -> Result<Turned, DecodeError> {
    let turned: ts_turned = raw.fixed()?;
    Ok(Turned {
        pid: turned.pid,
        tid: turned.tid,
    })
}

fn file(raw: Raw<'_>) -> Result<File, DecodeError> {
    let file: ts_file = raw.fixed()?;
    let operation = match u32::from(file.op) {
        TS_FILE_READ => FileOperation::Read,
        TS_FILE_WRITE => FileOperation::Write,
        TS_FILE_SYNC => FileOperation::Sync,
        TS_FILE_OPEN => FileOperation::Open,
        op => return Err(value!(raw, ts_file.op, op)),
    };
    Ok(File {
        operation,
        file: FileId {
            dev: file.dev,
            ino: file.ino,
        },
        start: Timestamp(file.start_ts),
        result: file.result,
        offset: u64::try_from(file.offset).ok(),
        pid: file.pid,
        tid: file.tid,
        stack: (file.stack != 0).then_some(file.stack),
    })
}

fn file_name(raw: Raw<'_>) -> Result<FileName, DecodeError> {
    let (name, components) = raw.with_text(|name: &ts_file_name| usize::from(name.text_len))?;
    let components = components
        .split(|&byte| byte == 0)
        .filter(|part| !part.is_empty());
    let mut path = String::from(if name.cut == 0 { "" } else { "…" });
    for part in components.rev() {
        path.push('/');
        path.push_str(&String::from_utf8_lossy(part));
    }
    Ok(FileName {
        file: FileId {
            dev: name.dev,
            ino: name.ino,
        },
        path,
    })
}

fn block(raw: Raw<'_>) -> Result<Block, DecodeError> {
    let block: ts_block = raw.fixed()?;
    let operation = match u32::from(block.op) {
        TS_BLOCK_READ => BlockOperation::Read,
        TS_BLOCK_WRITE => BlockOperation::Write,
        TS_BLOCK_FLUSH => BlockOperation::Flush,
        TS_BLOCK_OTHER => BlockOperation::Other,
        op => return Err(value!(raw, ts_block.op, op)),
    };
    Ok(Block {
        operation,
        issued: Timestamp(block.issue_ts),
        dev: block.dev,
        sector: block.sector,
        bytes: block.bytes,
        error: block.error,
        pid: block.pid,
        tid: block.tid,
    })
}

fn buffers(raw: Raw<'_>) -> Result<Buffers, DecodeError> {
    let buffers: ts_buffers = raw.fixed()?;
    Ok(Buffers {
        pid: buffers.pid,
        tid: buffers.tid,
        hits: buffers.hits,
        reads: buffers.reads,
    })
}

fn stack(raw: Raw<'_>) -> Result<Stack, DecodeError> {
    let (stack, frames) = raw.with_text(|stack: &ts_stack| usize::from(stack.text_len))?;
    Ok(Stack {
        stack: stack.stack,
        frames: String::from_utf8_lossy(frames)
            .lines()
            .map(str::to_owned)
            .collect(),
    })
}
