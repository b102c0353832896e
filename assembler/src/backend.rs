//! Pass 4b: what a PostgreSQL backend did for an exchange.
//!
//! A backend is one process with one connection: between the read of a request and the send of
//! ReadyForQuery everything it does belongs to that exchange.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;
use smol_str::ToSmolStr;
use tierscope_model::{
    Attributes, Buffers, Evidence, Probe, Slice, Span, SpanEvent, Timestamp, Usdt, attr,
};

use crate::page_read::PageReads;
use crate::phase::{self, Phase};
use crate::probed::Probed;
use crate::sql_text::Statement;
use crate::threads::Threads;
use crate::waits;

/// Marks kept per backend; what serves no traced connection is never asked for.
const LIMIT: usize = 16_384;

/// Everything the backend did for one exchange.
#[derive(Clone, Debug, Default)]
pub(crate) struct Work {
    pub(crate) phases: Vec<Phase>,
    pub(crate) points: Vec<SpanEvent>,
    /// The statement's text as the backend reported it, also for one prepared before tracing began.
    pub(crate) statement: Option<Statement>,
    /// Attributes that no phase took.
    pub(crate) attributes: Attributes,
    /// What its process did: tiles the exchange's time at the server, or is empty.
    pub(crate) slices: Vec<Slice>,
}

/// Something a backend told of itself.
#[derive(Clone, Debug)]
pub(crate) enum Mark {
    Probe(Usdt),
    Buffers(Buffers),
    /// Reads of pages, told by the last of them.
    Reads(Phase),
}

#[derive(Default)]
struct Backend {
    marks: VecDeque<(Timestamp, Mark)>,
    reads: PageReads,
}

/// What all backends told, until their exchange is finished.
#[derive(Default)]
pub(crate) struct Backends {
    known: FxHashMap<u32, Backend>,
    /// Marks forgotten at the limit.
    pub(crate) over_budget: u64,
}

impl Backends {
    pub(crate) fn probe(&mut self, usdt: Usdt, time: Timestamp) {
        let backend = self.known.entry(usdt.pid).or_default();
        match usdt.probe {
            Probe::PgSmgrReadStart => backend.reads.start(usdt, time),
            Probe::PgSmgrReadDone => {
                if let Some(read) = backend.reads.done(&usdt, time) {
                    self.read(usdt.pid, read);
                }
            }
            _ => self.push(usdt.pid, time, Mark::Probe(usdt)),
        }
    }

    pub(crate) fn buffers(&mut self, buffers: Buffers, time: Timestamp) {
        self.push(buffers.pid, time, Mark::Buffers(buffers));
    }

    /// Reads of one relation with nothing told in between become one at once: a scan is long.
    fn read(&mut self, pid: u32, read: Phase) {
        let backend = self.known.entry(pid).or_default();
        match backend.marks.back_mut() {
            Some((_, Mark::Reads(last))) if last.of == read.of => last.absorb(&read),
            _ => self.push(pid, read.start, Mark::Reads(read)),
        }
    }

    fn push(&mut self, pid: u32, time: Timestamp, mark: Mark) {
        let marks = &mut self.known.entry(pid).or_default().marks;
        if marks.len() >= LIMIT {
            marks.pop_front();
            self.over_budget += 1;
        }
        marks.push_back((time, mark));
    }

    /// Takes what backend `pid` did in `[from, to]`; what it did before belongs to nobody.
    pub(crate) fn take(
        &mut self,
        pid: u32,
        (from, to): (Timestamp, Timestamp),
        threads: &mut Threads,
    ) -> Work {
        let mut probed = Probed::default();
        if let Some(backend) = self.known.get_mut(&pid) {
            let marks = &mut backend.marks;
            while let Some((time, mark)) = marks.pop_front_if(|(time, _)| *time <= to) {
                if time >= from {
                    probed.note(time, mark);
                }
            }
        }
        let probes = probed.any;
        let mut work = probed.finish(to);
        work.slices = threads.slices(pid, from, to);
        if !probes {
            work.phases.extend(waits::phases(&work.slices));
        }
        let did = threads.did(pid, (from, to), |_, _| true);
        work.phases.extend(did);
        work
    }

    pub(crate) fn exited(&mut self, pid: u32) {
        self.known.remove(&pid);
    }
}

/// Spans of what a backend did, under the exchange's span at the server. Where it `completed` as many
/// statements as it executed, and several, each execution has its rows.
pub(crate) fn spans(mut phases: Vec<Phase>, server: &Span, completed: &[Option<u64>]) -> Vec<Span> {
    let pid = server.resource.pid.to_smolstr();
    phases.retain(|phase| server.start <= phase.start && phase.end <= server.end);
    let executions = || phases.iter().filter(|phase| phase.name == "execute");
    if completed.len() > 1 && executions().count() == completed.len() {
        let executions = phases.iter_mut().filter(|phase| phase.name == "execute");
        for (phase, rows) in executions.zip(completed) {
            if let Some(rows) = rows {
                phase.attributes.set(attr::DB_RESPONSE_RETURNED_ROWS, *rows);
            }
        }
    }
    phase::spans(server, phases, |_| Evidence::Backend(pid.clone()))
}
