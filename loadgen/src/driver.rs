//! The loop that sends and receives: one thread, epoll, a timer.
//!
//! Nothing but the socket call stands between two clock readings, and each readiness costs one
//! read, so that the stamps match what the kernel sees of the same calls.

use std::{
    collections::VecDeque,
    io::{ErrorKind as Io, Read as _, Write as _},
    net::TcpStream,
};

use crate::{
    answer::Answer,
    clock,
    error::LoadError,
    interrupt::Interrupt,
    link::{Flight, Link, State},
    options::LoadOptions,
    outbox::Outbox,
    poller::{Poller, TIMER},
    record::{ErrorKind, Record},
    schedule::Schedule,
    slow::Slow,
    socket_info::SocketInfo,
};

/// The token of the signals; a link's is its index.
const INTERRUPT: u64 = TIMER - 1;

/// Connections that are told of at most; a server that closes after each answer makes many.
const SOCKETS: usize = 65_535;

/// What the loop counts beside the records.
#[derive(Debug, Default, Clone)]
pub struct Counts {
    /// Connections opened again.
    pub reconnects: u64,
    /// Connects that failed.
    pub connect_failures: u64,
    /// Whether a signal ended the run early.
    pub interrupted: bool,
    /// What the kernel told of each connection when it was given up.
    pub sockets: Vec<SocketInfo>,
}

/// The loop's state.
pub struct Driver<'a> {
    options: &'a LoadOptions,
    timeout: u64,
    poller: Poller,
    interrupt: Interrupt,
    links: Vec<Link>,
    /// Open links without a request, the one that waited longest first.
    idle: VecDeque<usize>,
    schedule: Schedule<'a>,
    buffer: Vec<u8>,
    outbox: Outbox,
    counts: Counts,
}

impl<'a> Driver<'a> {
    /// A loop over open `links` that follows `schedule` and reports to `outbox`.
    pub fn new(
        options: &'a LoadOptions,
        links: Vec<Link>,
        schedule: Schedule<'a>,
        outbox: Outbox,
    ) -> Result<Self, LoadError> {
        let driver = Self {
            options,
            timeout: options.timeout.as_nanos() as u64,
            poller: Poller::new()?,
            interrupt: Interrupt::new()?,
            idle: (0..links.len()).collect(),
            links,
            schedule,
            buffer: vec![0; 64 * 1024],
            outbox,
            counts: Counts::default(),
        };
        driver.poller.readable(&driver.interrupt, INTERRUPT)?;
        for (index, link) in driver.links.iter().enumerate() {
            if let State::Open { stream, .. } = &link.state {
                driver.poller.readable(stream, index as u64)?;
            }
        }
        Ok(driver)
    }

    /// Runs until every request is answered, failed or given up.
    pub fn run(mut self) -> Result<Counts, LoadError> {
        loop {
            self.maintain(clock::now());
            let due = self.send_due();
            if due.is_none() && !self.links.iter().any(Link::is_busy) {
                break;
            }
            let wake = self.wake(due);
            for event in 0..self.poller.wait(wake)? {
                match self.poller.token(event) {
                    TIMER => {}
                    INTERRUPT => self.interrupted(),
                    index => self.ready(index as usize)?,
                }
            }
        }
        (0..self.links.len()).for_each(|index| self.note_socket(index));
        // A collector that is gone has its own error.
        _ = self.outbox.flush(clock::now());
        Ok(self.counts)
    }

    /// Gives up what is over its time and reconnects what is down.
    fn maintain(&mut self, now: u64) {
        for index in 0..self.links.len() {
            let late = |at: u64| at <= now;
            if !self.links[index].deadline(self.timeout).is_some_and(late) {
                continue;
            }
            match &self.links[index].state {
                State::Down { .. } => self.connect(index, now),
                State::Opening { .. } => self.connect_failed(index, now),
                State::Open { .. } => {
                    if !self.resume(index, now) {
                        self.fail(index, ErrorKind::Timeout, now);
                    }
                }
            }
        }
    }

    /// Sends what is due while a connection is free; returns when the next request is due.
    fn send_due(&mut self) -> Option<u64> {
        loop {
            let now = clock::now();
            let due = self.schedule.due(now)?;
            if due > now {
                return Some(due);
            }
            if due + self.timeout <= now {
                self.skip(due, ErrorKind::Unsent, now);
            } else if let Some(index) = self.idle.pop_front() {
                self.send(index, due);
            } else {
                return Some(due);
            }
        }
    }

    fn send(&mut self, index: usize, intended: u64) {
        let State::Open { stream, flight, .. } = &mut self.links[index].state else {
            return;
        };
        let send = clock::now();
        let written = stream.write(self.schedule.wire());
        let whole = written.is_ok_and(|length| length == self.schedule.wire().len());
        *flight = Some(Box::new(Flight {
            slow: self.schedule.pause().map(Slow::new),
            request: self.schedule.take(),
            intended,
            send,
            reads: None,
            answer: Answer::default(),
        }));
        if !whole {
            self.fail(index, ErrorKind::Send, send);
        }
    }

    /// The next request is not sent at all.
    fn skip(&mut self, intended: u64, error: ErrorKind, now: u64) {
        let request = self.schedule.take();
        self.emit(Record::unsent(request, intended, error), now);
    }

    /// The first time at which something must happen without an event.
    fn wake(&self, due: Option<u64>) -> u64 {
        let sending = due.map(|due| match self.idle.is_empty() {
            true => self.schedule.give_up(due, self.timeout),
            false => due,
        });
        let deadlines = self
            .links
            .iter()
            .filter_map(|link| link.deadline(self.timeout));
        // The loop ends before there is neither a request to send nor one in flight.
        deadlines.chain(sending).min().unwrap_or(0)
    }

    fn ready(&mut self, index: usize) -> Result<(), LoadError> {
        match &self.links[index].state {
            State::Down { .. } => Ok(()),
            State::Opening { .. } => self.opened(index),
            State::Open { .. } => {
                if !self.leaves(index)? {
                    self.read(index);
                }
                Ok(())
            }
        }
    }

    /// Whether what can be read is left for later; then nothing is heard of it until then.
    fn leaves(&mut self, index: usize) -> Result<bool, LoadError> {
        let Some((stream, slow)) = slow(&mut self.links[index]) else {
            return Ok(false);
        };
        let leaves = slow.leaves(clock::now());
        if leaves {
            self.poller.ignored(stream, index as u64)?;
        }
        Ok(leaves)
    }

    /// Goes on with an answer that was let lie long enough.
    fn resume(&mut self, index: usize, now: u64) -> bool {
        let Some((stream, slow)) = slow(&mut self.links[index]) else {
            return false;
        };
        slow.resume(now) && self.poller.connected(stream, index as u64).is_ok()
    }

    fn read(&mut self, index: usize) {
        let State::Open { stream, flight, .. } = &mut self.links[index].state else {
            return;
        };
        let got = stream.read(&mut self.buffer);
        let now = clock::now();
        if matches!(&got, Err(error) if matches!(error.kind(), Io::WouldBlock | Io::Interrupted)) {
            return;
        }
        let Some(flight) = flight else {
            // Nothing is asked: the server closes an idle connection, or speaks unasked.
            self.reopen(index, now);
            return;
        };
        match got {
            Ok(0) if flight.answer.ends_by_close() => self.complete(index, now),
            Ok(0) => self.fail(index, ErrorKind::Closed, now),
            Ok(length) => {
                flight.stamp(now);
                match flight.answer.feed(&self.buffer[..length]) {
                    Ok(true) => self.complete(index, now),
                    Ok(false) => {}
                    Err(_) => self.fail(index, ErrorKind::Malformed, now),
                }
            }
            Err(_) => self.fail(index, ErrorKind::Closed, now),
        }
    }

    fn complete(&mut self, index: usize, now: u64) {
        let link = &mut self.links[index];
        let State::Open { port, flight, .. } = &mut link.state else {
            return;
        };
        let (port, flight) = (*port, flight.take());
        link.answered();
        let close = flight.as_ref().is_some_and(|flight| flight.answer.close);
        if let Some(flight) = flight {
            self.emit(flight.record(None, port), now);
        }
        if close {
            self.reopen(index, now);
        } else {
            self.idle.push_back(index);
        }
    }

    fn fail(&mut self, index: usize, error: ErrorKind, now: u64) {
        if let State::Open { port, flight, .. } = &mut self.links[index].state {
            let port = *port;
            if let Some(flight) = flight.take() {
                self.emit(flight.record(Some(error), port), now);
            }
        }
        self.reopen(index, now);
    }

    fn reopen(&mut self, index: usize, now: u64) {
        self.idle.retain(|idle| *idle != index);
        self.note_socket(index);
        self.links[index].drop_connection(now);
    }

    fn note_socket(&mut self, index: usize) {
        if self.counts.sockets.len() < SOCKETS {
            let info = self.links[index].info();
            self.counts.sockets.extend(info);
        }
    }

    fn connect(&mut self, index: usize, now: u64) {
        let link = &mut self.links[index];
        let started = link.connect(self.options, now + self.timeout);
        let watched = match &link.state {
            State::Opening { stream, .. } => self.poller.connecting(stream, index as u64).is_ok(),
            _ => false,
        };
        if started.is_err() || !watched {
            self.connect_failed(index, now);
        }
    }

    fn connect_failed(&mut self, index: usize, now: u64) {
        self.counts.connect_failures += 1;
        self.links[index].drop_connection(now);
    }

    fn opened(&mut self, index: usize) -> Result<(), LoadError> {
        if self.links[index].finish_connect().is_err() {
            self.connect_failed(index, clock::now());
        } else if let State::Open { stream, .. } = &self.links[index].state {
            self.poller.connected(stream, index as u64)?;
            self.counts.reconnects += 1;
            self.idle.push_back(index);
        }
        Ok(())
    }

    /// The first signal ends the sending, a second one the waiting too.
    fn interrupted(&mut self) {
        let now = clock::now();
        let again = self.interrupt.take() > 1 || self.counts.interrupted;
        self.counts.interrupted = true;
        self.schedule.stop(now);
        while let Some(due) = self.schedule.due(now) {
            self.skip(due, ErrorKind::Interrupted, now);
        }
        for index in 0..self.links.len() {
            if again && self.links[index].is_busy() {
                self.fail(index, ErrorKind::Interrupted, now);
            }
        }
    }

    fn emit(&mut self, record: Record, now: u64) {
        if self.outbox.push(record, now).is_err() {
            self.schedule.stop(now);
        }
    }
}

/// The connection and its answer that is read slowly, where it is one.
fn slow(link: &mut Link) -> Option<(&TcpStream, &mut Slow)> {
    match &mut link.state {
        State::Open {
            stream,
            flight: Some(flight),
            ..
        } => Some((stream, flight.slow.as_mut()?)),
        _ => None,
    }
}
