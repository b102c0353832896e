//! What the tracer saw, decoded. One variant per record kind of `events.h`.

use std::net::SocketAddr;

use smol_str::SmolStr;

use crate::{SocketCookie, Timestamp};

/// One observation.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// When the record was made (ns, CLOCK_MONOTONIC): the exit time of a call unless the body says otherwise.
    pub time: Timestamp,
    /// The CPU it was made on.
    pub cpu: u32,
    /// What was seen.
    pub body: Body,
}

/// The kinds of observation.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// A TCP socket of a traced process is established, or was found so.
    Socket(Socket),
    /// Bytes were written to a socket.
    Send(Send),
    /// Bytes were read from a socket.
    Recv(Recv),
    /// A data segment arrived at a socket.
    Arrive(Arrive),
    /// A segment was sent again.
    Retransmit(Retransmit),
    /// A socket is gone.
    Close(Close),
    /// An application's or PostgreSQL's own probe fired.
    Usdt(Usdt),
    /// A traced process was found, forked, or exited.
    Process(Process),
    /// Events that could not be delivered.
    Loss(Loss),
    /// Events that were left out on purpose.
    Filtered(Filtered),
    /// Bytes left for the device after their call's exit.
    Transmit(Transmit),
    /// A connection was handed to the process that listens.
    Accepted(Accepted),
    /// A traced thread is back on a CPU.
    Switch(Switch),
    /// A call on a regular file returned.
    File(File),
    /// The name of a file that [`Body::File`] events tell of.
    FileName(FileName),
    /// A block device did what a traced thread asked for.
    Block(Block),
    /// Buffers that a PostgreSQL backend looked up.
    Buffers(Buffers),
    /// A user stack with its symbols.
    Stack(Stack),
    /// Bytes written belong to requests that the sample leaves out.
    Skipped(Skipped),
    /// A thread turned to something that the sample leaves out.
    Turned(Turned),
    /// A packet was dropped on its sender's host.
    Dropped(Dropped),
}

/// How a socket came to be traced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SocketRole {
    /// A traced process connected it.
    Connect,
    /// A traced listener accepted it.
    Accept,
    /// It was open when tracing began; which end called is not known.
    Found,
}

/// What one end of a connection speaks, judged by content and kept for the connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Neither of the others, or not seen yet.
    #[default]
    Unknown,
    /// HTTP/1.
    Http,
    /// PostgreSQL, the client's end.
    PostgresFrontend,
    /// PostgreSQL, the server's end.
    PostgresBackend,
}

/// A TCP socket of a traced process.
#[derive(Clone, Debug, PartialEq)]
pub struct Socket {
    /// Identity.
    pub cookie: SocketCookie,
    /// When the SYN was sent or received; 0 where not seen.
    pub start: Timestamp,
    /// Process that owns it; 0 where the kernel's context does not tell (accepted in softirq).
    pub pid: u32,
    /// How it came to be traced.
    pub role: SocketRole,
    /// This end.
    pub local: SocketAddr,
    /// The other end.
    pub peer: SocketAddr,
    /// Next sequence number to be written.
    pub send_seq: u32,
    /// Next sequence number to be read.
    pub recv_seq: u32,
    /// Network namespace (inode number).
    pub netns: u32,
}

/// Bytes `[seq, seq + len)` written in one call.
#[derive(Clone, Debug, PartialEq)]
pub struct Send {
    /// Socket.
    pub cookie: SocketCookie,
    /// Entry of the call; the event's time is its exit.
    pub start: Timestamp,
    /// Process.
    pub pid: u32,
    /// Thread.
    pub tid: u32,
    /// First sequence number of the range.
    pub seq: u32,
    /// Bytes accepted by the socket, over 0.
    pub len: u32,
    /// What this end of the connection speaks.
    pub protocol: Protocol,
    /// First bytes of the range, scrubbed, byte for byte at their offsets; may be empty (`sendfile`).
    pub head: Vec<u8>,
    /// Last bytes of the range, up to 16, where the head does not hold them.
    pub tail: Vec<u8>,
    /// What had left for the device by the call's exit: one past the last such byte, and when that left.
    pub transmitted: Option<(u32, Timestamp)>,
}

/// Bytes `[seq, seq + len)` read in one call; `len` 0 is the end of the stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Recv {
    /// Socket.
    pub cookie: SocketCookie,
    /// Process.
    pub pid: u32,
    /// Thread.
    pub tid: u32,
    /// First sequence number of the range.
    pub seq: u32,
    /// Bytes taken.
    pub len: u32,
    /// The newest segment that had come in order by then, where no earlier event told of it.
    pub arrival: Option<Arrive>,
}

/// A data segment `[seq, end_seq)` arrived.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrive {
    /// Receiving socket.
    pub cookie: SocketCookie,
    /// When; the event may be later than that.
    pub time: Timestamp,
    /// First sequence number.
    pub seq: u32,
    /// One past the last.
    pub end_seq: u32,
    /// What the receiver expected next when it came: a segment that ends at or before this is spurious.
    pub rcv_nxt: u32,
    /// The socket was in its reader's hands: the true arrival is earlier, by up to the reader's call.
    pub late: bool,
}

/// Bytes `[seq, end_seq)` were sent again; a FIN alone has none.
#[derive(Clone, Debug, PartialEq)]
pub struct Retransmit {
    /// Sending socket.
    pub cookie: SocketCookie,
    /// First sequence number.
    pub seq: u32,
    /// One past the last.
    pub end_seq: u32,
    /// As many as `tcpi_total_retrans` counts of it.
    pub segments: u32,
}

/// A socket is gone, with the kernel's own totals.
#[derive(Clone, Debug, PartialEq)]
pub struct Close {
    /// Socket.
    pub cookie: SocketCookie,
    /// `tcpi_bytes_sent`.
    pub bytes_sent: u64,
    /// `tcpi_bytes_retrans`.
    pub bytes_retrans: u64,
    /// `tcpi_bytes_received`.
    pub bytes_received: u64,
    /// `tcpi_total_retrans`, segments.
    pub total_retrans: u32,
}

/// The probes we attach to, one per `ts_probe` of `events.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are the probes' own")]
pub enum Probe {
    RequestStart,
    RequestEnd,
    DbAcquireStart,
    DbAcquireEnd,
    DbQueryStart,
    DbQueryEnd,
    CacheHit,
    CacheMiss,
    FileIoStart,
    FileIoEnd,
    SpanStart,
    SpanEnd,
    PgParseStart,
    PgParseDone,
    PgRewriteStart,
    PgRewriteDone,
    PgPlanStart,
    PgPlanDone,
    PgExecuteStart,
    PgExecuteDone,
    PgStatementStatus,
    PgTransactionStart,
    PgTransactionCommit,
    PgTransactionAbort,
    PgLockWaitStart,
    PgLockWaitDone,
    PgSortStart,
    PgSortDone,
    PgLwlockWaitStart,
    PgLwlockWaitDone,
    PgSmgrReadStart,
    PgSmgrReadDone,
    PgWalFlushStart,
    PgWalFlushDone,
    PgModifyStart,
    PgModifyDone,
}

impl Probe {
    /// Whether it is the application's own, with the request id in its first two arguments.
    pub fn is_application(self) -> bool {
        self < Probe::PgParseStart
    }
}

/// A user-space probe fired.
#[derive(Clone, Debug, PartialEq)]
pub struct Usdt {
    /// Which.
    pub probe: Probe,
    /// Process.
    pub pid: u32,
    /// Thread.
    pub tid: u32,
    /// Its integer arguments in order; a string argument's slot holds its address, of no use.
    pub args: [u64; 6],
    /// Its string arguments in order, scrubbed.
    pub text: [SmolStr; 2],
}

/// What happened to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProcessChange {
    /// It was there when tracing began.
    Found,
    /// A traced process forked it.
    Fork,
    /// It ended.
    Exit,
}

/// A traced process.
#[derive(Clone, Debug, PartialEq)]
pub struct Process {
    /// What happened.
    pub change: ProcessChange,
    /// Process id.
    pub pid: u32,
    /// Parent's process id; 0 for `Found` and `Exit`.
    pub parent: u32,
    /// Index of the traced service in the recording's header (a child has its parent's).
    pub service: u32,
    /// Process name.
    pub comm: SmolStr,
}

/// Events that one program could not deliver on one CPU.
#[derive(Clone, Debug, PartialEq)]
pub struct Loss {
    /// Program, as in the recording's header.
    pub program: u32,
    /// CPU they were lost on; `u32::MAX` where the kernel does not tell.
    pub on_cpu: u32,
    /// How many, since the last such record.
    pub count: u64,
    /// The first of them.
    pub first: Timestamp,
    /// The last of them.
    pub last: Timestamp,
}

/// Events left out on purpose, since the last such record.
#[derive(Clone, Debug, PartialEq)]
pub struct Filtered {
    /// Reason, as in the recording's header.
    pub reason: u32,
    /// How many.
    pub count: u64,
}

/// Bytes `[seq, end_seq)` left for the device for the first time, after their call's exit.
#[derive(Clone, Debug, PartialEq)]
pub struct Transmit {
    /// Sending socket.
    pub cookie: SocketCookie,
    /// First sequence number.
    pub seq: u32,
    /// One past the last.
    pub end_seq: u32,
}

/// A packet of bytes `[seq, end_seq)` was dropped on its sender's host before any of them had left.
#[derive(Clone, Debug, PartialEq)]
pub struct Dropped {
    /// Sending socket.
    pub cookie: SocketCookie,
    /// First sequence number.
    pub seq: u32,
    /// One past the last.
    pub end_seq: u32,
}

/// accept(2) returned an established connection.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    /// The connection's socket.
    pub cookie: SocketCookie,
    /// Process.
    pub pid: u32,
    /// Thread.
    pub tid: u32,
}

/// How a thread left its CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Off {
    /// It had to make room and stayed runnable.
    Preempted,
    /// It waits, interruptibly.
    Sleeping,
    /// It waits, uninterruptibly: for a disk, a page, a lock of the kernel's.
    Blocked,
    /// It was stopped, or is traced by a debugger.
    Other,
}

/// A traced thread is back on a CPU at the event's time.
#[derive(Clone, Debug, PartialEq)]
pub struct Switch {
    /// Process.
    pub pid: u32,
    /// Thread.
    pub tid: u32,
    /// When it left its CPU; none for a new thread.
    pub off_at: Option<Timestamp>,
    /// When it was woken; none if it was never asleep, or if that was not seen.
    pub woken_at: Option<Timestamp>,
    /// How it left.
    pub off: Off,
    /// Number of the system call in which it left (x86-64); none in a page fault or an interrupt.
    pub syscall: Option<u32>,
    /// PostgreSQL's wait event when it left (`wait_event_info`); 0 none.
    pub wait_event: u32,
    /// What had that CPU before it.
    pub before: Before,
    /// Returns between the last one told and this one were left out by sampling.
    pub gap: bool,
    /// When it began to wait for a CPU, its cgroup had used its CPU quota up.
    pub throttled: bool,
    /// It had come back to a CPU before [`Switch::off_at`], and the kernel told nobody: when is not known.
    pub unseen: bool,
}

/// Bytes `[seq, end_seq)`, written by this socket, that sampling leaves out.
#[derive(Clone, Debug, PartialEq)]
pub struct Skipped {
    /// Socket.
    pub cookie: SocketCookie,
    /// First sequence number.
    pub seq: u32,
    /// One past the last.
    pub end_seq: u32,
}

/// From the event's time on a thread works for something that sampling leaves out.
#[derive(Clone, Debug, PartialEq)]
pub struct Turned {
    /// Process.
    pub pid: u32,
    /// Thread.
    pub tid: u32,
}

/// What had a CPU before a thread came there: of all that ran there while the thread was runnable what did so
/// for the longest time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Before {
    /// Process; 0: the CPU was idle.
    pub pid: u32,
    /// Thread.
    pub tid: u32,
    /// The thread's name.
    pub comm: SmolStr,
    /// Since when it ran there.
    pub since: Timestamp,
    /// And until when.
    pub until: Timestamp,
}

/// What was asked of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub enum FileOperation {
    Read,
    Write,
    Sync,
    Open,
}

/// Which file: its device and inode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId {
    /// The kernel's `dev_t`.
    pub dev: u32,
    /// Inode number.
    pub ino: u64,
}

/// A traced process's call on a regular file; the event's time is its exit.
#[derive(Clone, Debug, PartialEq)]
pub struct File {
    /// What.
    pub operation: FileOperation,
    /// On which; all zero where that is not known.
    pub file: FileId,
    /// Entry of the call.
    pub start: Timestamp,
    /// Bytes, 0, or a negative errno.
    pub result: i64,
    /// Where in the file; none where that is not known.
    pub offset: Option<u64>,
    /// Process.
    pub pid: u32,
    /// Thread.
    pub tid: u32,
    /// The user stack's number; none where it was not taken.
    pub stack: Option<u32>,
}

/// A file's name, told before its first [`File`] event.
#[derive(Clone, Debug, PartialEq)]
pub struct FileName {
    /// Which.
    pub file: FileId,
    /// Path from the root, through every mount; begins with `…/` where it was too long.
    pub path: String,
}

/// What was asked of a block device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub enum BlockOperation {
    Read,
    Write,
    Flush,
    Other,
}

/// A block device did what a traced thread asked for; the event's time is its completion.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// What.
    pub operation: BlockOperation,
    /// When it was given to the device.
    pub issued: Timestamp,
    /// The kernel's `dev_t`.
    pub dev: u32,
    /// First sector (512 bytes).
    pub sector: u64,
    /// Bytes.
    pub bytes: u32,
    /// The block layer's status; 0: done.
    pub error: u32,
    /// Process.
    pub pid: u32,
    /// Thread.
    pub tid: u32,
}

/// Buffers that a PostgreSQL backend looked up since its last such event, told at the end of an execution.
#[derive(Clone, Debug, PartialEq)]
pub struct Buffers {
    /// Process.
    pub pid: u32,
    /// Thread.
    pub tid: u32,
    /// Found in shared buffers.
    pub hits: u32,
    /// Had to be read.
    pub reads: u32,
}

/// A user stack that [`File::stack`] refers to.
#[derive(Clone, Debug, PartialEq)]
pub struct Stack {
    /// Its number.
    pub stack: u32,
    /// Innermost frame first.
    pub frames: Vec<String>,
}
