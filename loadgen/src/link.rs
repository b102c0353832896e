//! One connection: closed, opening, or open with at most one request in flight.

use std::{
    io,
    net::{SocketAddr, TcpStream},
    os::fd::AsRawFd as _,
};

use nix::{
    errno::Errno,
    sys::socket::{
        AddressFamily, SockFlag, SockType, SockaddrStorage, connect, setsockopt, socket, sockopt,
    },
};

use crate::{
    answer::Answer,
    clock::SECOND,
    options::LoadOptions,
    record::{ErrorKind, Record},
    request::Request,
    slow::Slow,
    socket_info::{SocketInfo, rtt},
};

/// Wait before the second try to connect; it doubles up to [`BACKOFF_LIMIT`].
const BACKOFF: u64 = SECOND / 100;
const BACKOFF_LIMIT: u64 = SECOND;

/// A request that was sent.
#[derive(Debug)]
pub struct Flight {
    /// What was sent.
    pub request: Request,
    /// When it was due, ns.
    pub intended: u64,
    /// Directly before its write, ns.
    pub send: u64,
    /// Directly after the first and the latest read of its answer, ns.
    pub reads: Option<(u64, u64)>,
    /// What came back so far.
    pub answer: Answer,
    /// Where it is to be read slowly.
    pub slow: Option<Slow>,
}

impl Flight {
    /// Notes a read that returned at `now`.
    pub fn stamp(&mut self, now: u64) {
        let first = self.reads.map_or(now, |(first, _)| first);
        self.reads = Some((first, now));
    }

    /// The record of its end; an answer that `error` cut short has no last byte and no status.
    pub fn record(self, error: Option<ErrorKind>, port: u16) -> Record {
        let whole = error.is_none();
        Record {
            id: self.answer.id,
            send_ns: Some(self.send),
            first_byte_ns: self.reads.map(|(first, _)| first),
            last_byte_ns: self.reads.map(|(_, last)| last).filter(|_| whole),
            status: self.answer.status.filter(|_| whole),
            bytes: self.answer.bytes,
            queries: self.answer.queries,
            error,
            local_port: Some(port),
            ..Record::unsent(self.request, self.intended, ErrorKind::Unsent)
        }
    }
}

/// Where a connection stands.
#[derive(Debug)]
pub enum State {
    /// Not connected; next try at `retry`, ns.
    Down { retry: u64 },
    /// Connecting, given up at `deadline`, ns.
    Opening { stream: TcpStream, deadline: u64 },
    /// Connected.
    Open {
        stream: TcpStream,
        port: u16,
        flight: Option<Box<Flight>>,
        /// The kernel's round trip of SYN and answer, µs; the only sample it had then.
        handshake_us: Option<u32>,
    },
}

/// A connection and how long it waits before the next try.
#[derive(Debug)]
pub struct Link {
    /// Where it stands.
    pub state: State,
    backoff: u64,
}

impl Link {
    /// Connects and waits for it.
    pub fn open(options: &LoadOptions) -> io::Result<Self> {
        let stream = unconnected(options, SockFlag::empty())?;
        // It holds for connect(2), too.
        stream.set_write_timeout(Some(options.timeout))?;
        let target = SockaddrStorage::from(options.target);
        match connect(stream.as_raw_fd(), &target) {
            Err(Errno::EINPROGRESS) => return Err(io::ErrorKind::TimedOut.into()),
            connected => connected?,
        }
        stream.set_write_timeout(None)?;
        stream.set_nonblocking(true)?;
        let state = opened(stream)?;
        Ok(Self { state, backoff: 0 })
    }

    /// What the kernel tells of an open connection.
    pub fn info(&self) -> Option<SocketInfo> {
        match &self.state {
            State::Open {
                stream,
                port,
                handshake_us,
                ..
            } => SocketInfo::of(stream, *port, *handshake_us),
            _ => None,
        }
    }

    /// Gives up what there is; the next try comes at once after a good answer, later otherwise.
    pub fn drop_connection(&mut self, now: u64) {
        self.state = State::Down {
            retry: now + self.backoff,
        };
        self.backoff = (self.backoff * 2).clamp(BACKOFF, BACKOFF_LIMIT);
    }

    /// An answer came: the server is well.
    pub fn answered(&mut self) {
        self.backoff = 0;
    }

    /// Starts to connect; given up at `deadline`, ns.
    pub fn connect(&mut self, options: &LoadOptions, deadline: u64) -> io::Result<()> {
        let stream = connecting(options)?;
        self.state = State::Opening { stream, deadline };
        Ok(())
    }

    /// The connect ended: open now, or down for the reason returned.
    pub fn finish_connect(&mut self) -> io::Result<()> {
        let down = State::Down { retry: u64::MAX };
        if let State::Opening { stream, .. } = std::mem::replace(&mut self.state, down) {
            stream.take_error()?.map_or(Ok(()), Err)?;
            self.state = opened(stream)?;
        }
        Ok(())
    }

    /// The time by which something must be done here, if no event comes: `timeout` in ns.
    pub fn deadline(&self, timeout: u64) -> Option<u64> {
        match &self.state {
            State::Down { retry } => Some(*retry),
            State::Opening { deadline, .. } => Some(*deadline),
            State::Open { flight, .. } => {
                let flight = flight.as_ref()?;
                let over = flight.slow.as_ref().and_then(Slow::until);
                Some(over.map_or(flight.intended + timeout, |over| {
                    over.min(flight.intended + timeout)
                }))
            }
        }
    }

    /// Whether an answer is awaited.
    pub fn is_busy(&self) -> bool {
        matches!(
            &self.state,
            State::Open {
                flight: Some(_),
                ..
            }
        )
    }
}

fn opened(stream: TcpStream) -> io::Result<State> {
    stream.set_nodelay(true)?;
    let port = stream.local_addr()?.port();
    let handshake_us = rtt(&stream);
    Ok(State::Open {
        stream,
        port,
        flight: None,
        handshake_us,
    })
}

/// std connects blocking only.
fn connecting(options: &LoadOptions) -> io::Result<TcpStream> {
    let stream = unconnected(options, SockFlag::SOCK_NONBLOCK)?;
    let target = SockaddrStorage::from(options.target);
    match connect(stream.as_raw_fd(), &target) {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(stream),
        Err(error) => Err(error.into()),
    }
}

/// The window that a connection offers is that of its buffer when it connects.
fn unconnected(options: &LoadOptions, flags: SockFlag) -> io::Result<TcpStream> {
    let family = match options.target {
        SocketAddr::V4(_) => AddressFamily::Inet,
        SocketAddr::V6(_) => AddressFamily::Inet6,
    };
    let flags = flags | SockFlag::SOCK_CLOEXEC;
    let stream = TcpStream::from(socket(family, SockType::Stream, flags, None)?);
    if let Some(bytes) = options.receive_buffer {
        setsockopt(&stream, sockopt::RcvBuf, &bytes)?;
    }
    Ok(stream)
}
