//! The thread at which queued packets wait until they may pass, and what it did with them.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::packet::{Bytes, Flow, Packet};
use super::queue::{Queue, Queued, Verdict};
use super::urgent::urgent;
use crate::inject::clock::now;

/// How often it looks whether it is to end.
const LOOK: Duration = Duration::from_millis(5);

/// What becomes of a packet that comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Pass,
    Drop,
    /// It waits until then. CLOCK_MONOTONIC nanoseconds.
    Until(u64),
}

/// Decides about each packet, in the order in which they come.
pub(super) trait Judge: Send {
    /// What becomes of one that came at `now`; `rests`: no further one is chosen.
    fn decide(&mut self, packet: &Packet<'_>, now: u64, rests: bool) -> Decision;
}

/// A packet that did not simply pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Touched {
    pub(super) flow: Flow,
    pub(super) bytes: Bytes,
    /// When it came.
    pub(super) from_ns: u64,
    /// When it went, or was dropped.
    pub(super) to_ns: u64,
    pub(super) dropped: bool,
}

/// What both sides of a gate know.
#[derive(Default)]
struct State {
    rests: AtomicBool,
    stops: AtomicBool,
    /// Packets that wait.
    waiting: AtomicUsize,
}

/// A gate that works.
pub(super) struct Gate {
    /// The queue that leads to it.
    pub(super) queue: u16,
    state: Arc<State>,
    thread: Option<JoinHandle<io::Result<Vec<Touched>>>>,
}

impl Gate {
    pub(super) fn open(judge: Box<dyn Judge>) -> io::Result<Gate> {
        let queue = Queue::open()?;
        let number = queue.number;
        let state = Arc::<State>::default();
        let keeper = Keeper {
            queue,
            judge,
            waiting: BTreeMap::new(),
            touched: Vec::new(),
            state: state.clone(),
        };
        let thread = std::thread::Builder::new().name("packet gate".to_owned());
        Ok(Gate {
            queue: number,
            state,
            thread: Some(thread.spawn(move || keeper.keep())?),
        })
    }

    /// Chooses no more, and returns when nothing waits: until then what was sent again waits behind its
    /// first copy.
    pub(super) fn rest(&self) {
        self.state.rests.store(true, Ordering::SeqCst);
        while self.state.waiting.load(Ordering::SeqCst) > 0 && self.works() {
            std::thread::sleep(LOOK);
        }
    }

    fn works(&self) -> bool {
        self.thread
            .as_ref()
            .is_some_and(|thread| !thread.is_finished())
    }

    /// Ends it, once what waits has gone: what it did. No rule may lead to it any more.
    pub(super) fn close(mut self) -> io::Result<Vec<Touched>> {
        self.halt()
    }

    fn halt(&mut self) -> io::Result<Vec<Touched>> {
        self.state.stops.store(true, Ordering::SeqCst);
        let done = self.thread.take().map(JoinHandle::join);
        match done {
            None => Ok(Vec::new()),
            Some(done) => done.unwrap_or_else(|_| Err(io::Error::other("the packet gate died"))),
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = self.halt();
    }
}

struct Keeper {
    queue: Queue,
    judge: Box<dyn Judge>,
    /// By when they may go; of several the one that came first. The kernel's number, and where in `touched`.
    waiting: BTreeMap<(u64, usize), u32>,
    touched: Vec<Touched>,
    state: Arc<State>,
}

impl Keeper {
    fn keep(mut self) -> io::Result<Vec<Touched>> {
        urgent();
        loop {
            let stop = self.state.stops.load(Ordering::SeqCst);
            let came = self.queue.next(self.patience())?;
            let idle = came.is_empty();
            for packet in came {
                self.take(&packet)?;
            }
            self.release()?;
            self.state
                .waiting
                .store(self.waiting.len(), Ordering::SeqCst);
            if stop && idle && self.waiting.is_empty() {
                return Ok(self.touched);
            }
        }
    }

    fn patience(&self) -> Duration {
        let first = self.waiting.first_key_value();
        first.map_or(LOOK, |((due, _), _)| {
            Duration::from_nanos(due.saturating_sub(now())).min(LOOK)
        })
    }

    fn take(&mut self, queued: &Queued) -> io::Result<()> {
        let from_ns = now();
        let Some(packet) = Packet::read(&queued.packet) else {
            return self.queue.decide(queued.id, Verdict::Accept);
        };
        let mut touched = Touched {
            flow: packet.flow,
            bytes: packet.bytes,
            from_ns,
            to_ns: from_ns,
            dropped: false,
        };
        let rests = self.state.rests.load(Ordering::SeqCst);
        match self.judge.decide(&packet, from_ns, rests) {
            Decision::Pass => return self.queue.decide(queued.id, Verdict::Accept),
            Decision::Drop => {
                touched.dropped = true;
                self.queue.decide(queued.id, Verdict::Drop)?;
            }
            Decision::Until(due) => {
                self.waiting.insert((due, self.touched.len()), queued.id);
            }
        }
        self.touched.push(touched);
        Ok(())
    }

    /// Lets go what has waited long enough.
    fn release(&mut self) -> io::Result<()> {
        while let Some(entry) = self.waiting.first_entry() {
            let (due, at) = *entry.key();
            if due > now() {
                break;
            }
            let id = entry.remove();
            self.touched[at].to_ns = now();
            self.queue.decide(id, Verdict::Accept)?;
        }
        Ok(())
    }
}
