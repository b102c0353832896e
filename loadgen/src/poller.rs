//! Waiting for sockets and for a time at once: epoll with a timer in it.
//!
//! A timerfd has no slack, so the wake-up is as exact as the scheduler allows.

use std::{io, os::fd::AsFd};

use nix::{
    errno::Errno,
    sys::{
        epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
        time::TimeSpec,
        timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags},
    },
};

use crate::clock::SECOND;

/// Most events taken at once.
const EVENTS: usize = 256;

/// The token that says no more than that the time has come.
pub const TIMER: u64 = u64::MAX;

/// Descriptors with a token each, and a timer. Level-triggered; a descriptor leaves when closed.
pub struct Poller {
    epoll: Epoll,
    timer: TimerFd,
    events: Vec<EpollEvent>,
}

impl Poller {
    /// Nothing but the timer.
    pub fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let poller = Self {
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
            timer: TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?,
            events: vec![EpollEvent::empty(); EVENTS],
        };
        poller.readable(&poller.timer, TIMER)?;
        Ok(poller)
    }

    /// Watches a new descriptor until it can be read.
    pub fn readable(&self, fd: impl AsFd, token: u64) -> io::Result<()> {
        Ok(self
            .epoll
            .add(fd, EpollEvent::new(EpollFlags::EPOLLIN, token))?)
    }

    /// Watches a new socket until its connect has ended.
    pub fn connecting(&self, fd: impl AsFd, token: u64) -> io::Result<()> {
        Ok(self
            .epoll
            .add(fd, EpollEvent::new(EpollFlags::EPOLLOUT, token))?)
    }

    /// From now on does not watch a socket; its end and its failure are told still.
    pub fn ignored(&self, fd: impl AsFd, token: u64) -> io::Result<()> {
        let mut event = EpollEvent::new(EpollFlags::empty(), token);
        Ok(self.epoll.modify(fd, &mut event)?)
    }

    /// From now on watches a socket that has connected, or was ignored, until it can be read.
    pub fn connected(&self, fd: impl AsFd, token: u64) -> io::Result<()> {
        let mut event = EpollEvent::new(EpollFlags::EPOLLIN, token);
        Ok(self.epoll.modify(fd, &mut event)?)
    }

    /// Waits for an event, until `wake` (CLOCK_MONOTONIC ns) at most; returns how many came.
    pub fn wait(&mut self, wake: u64) -> io::Result<usize> {
        let at = TimeSpec::new((wake / SECOND) as i64, (wake % SECOND) as i64);
        let absolute = TimerSetTimeFlags::TFD_TIMER_ABSTIME;
        self.timer.set(Expiration::OneShot(at), absolute)?;
        match self.epoll.wait(&mut self.events, EpollTimeout::NONE) {
            Err(Errno::EINTR) => Ok(0),
            ready => Ok(ready?),
        }
    }

    /// The token of one of the events that came.
    pub fn token(&self, event: usize) -> u64 {
        self.events[event].data()
    }
}
