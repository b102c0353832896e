//! Pass 4b: what a PostgreSQL backend did for an exchange.
//!
//! A backend is one process with one connection: between the read of a request and the send of
//! ReadyForQuery everything it does belongs to that exchange.

use std::collections::{HashMap, VecDeque};

use tierscope_model::{Attributes, Probe, SpanEvent, Timestamp, Usdt};

use crate::postgres::Statement;

/// Marks kept per backend that is not known to serve a traced connection.
const MARK_LIMIT: usize = 4096;
const TEXT_LIMIT: usize = 1024;

/// `LockTagType` of PostgreSQL's storage/lock.h.
const LOCK_TYPES: [&str; 11] = [
    "relation",
    "extend",
    "frozenid",
    "page",
    "tuple",
    "transactionid",
    "virtualxid",
    "spectoken",
    "object",
    "userlock",
    "advisory",
];

/// `LOCKMODE` of PostgreSQL's storage/lockdefs.h.
const LOCK_MODES: [&str; 9] = [
    "none",
    "AccessShare",
    "RowShare",
    "RowExclusive",
    "ShareUpdateExclusive",
    "Share",
    "ShareRowExclusive",
    "Exclusive",
    "AccessExclusive",
];

/// A stretch of work inside the backend.
#[derive(Clone, Debug)]
pub(crate) struct Phase {
    pub(crate) name: &'static str,
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    pub(crate) attributes: Attributes,
}

/// Everything the backend did for one exchange.
#[derive(Clone, Debug, Default)]
pub(crate) struct Work {
    pub(crate) phases: Vec<Phase>,
    pub(crate) points: Vec<SpanEvent>,
    /// The statement's text as the backend reported it, also for one prepared before tracing began.
    pub(crate) statement: Option<Statement>,
}

/// The probes of all backends, until their exchange is finished.
#[derive(Default)]
pub(crate) struct Backends {
    marks: HashMap<u32, VecDeque<(Timestamp, Usdt)>>,
}

impl Backends {
    pub(crate) fn probe(&mut self, usdt: Usdt, time: Timestamp) {
        let marks = self.marks.entry(usdt.pid).or_default();
        if marks.len() >= MARK_LIMIT {
            marks.pop_front();
        }
        marks.push_back((time, usdt));
    }

    /// Takes what backend `pid` did in `[from, to]`; what it did before belongs to nobody.
    pub(crate) fn take(&mut self, pid: u32, from: Timestamp, to: Timestamp) -> Work {
        let mut work = Work::default();
        let mut open: Vec<(Timestamp, Usdt)> = Vec::new();
        let Some(marks) = self.marks.get_mut(&pid) else {
            return work;
        };
        while let Some((time, usdt)) = marks.pop_front_if(|(time, _)| *time <= to) {
            if time >= from {
                work.note(&mut open, time, usdt);
            }
        }
        work
    }

    pub(crate) fn exited(&mut self, pid: u32) {
        self.marks.remove(&pid);
    }
}

impl Work {
    fn note(&mut self, open: &mut Vec<(Timestamp, Usdt)>, time: Timestamp, usdt: Usdt) {
        match usdt.probe {
            Probe::PgStatementStatus if !usdt.text[0].is_empty() => {
                let text = &usdt.text[0];
                self.statement
                    .get_or_insert_with(|| Statement::new(text, text.len() >= TEXT_LIMIT));
            }
            Probe::PgTransactionStart => self.point("transaction start", time),
            Probe::PgTransactionCommit => self.point("transaction commit", time),
            Probe::PgTransactionAbort => self.point("transaction abort", time),
            probe if phase_of(probe).is_some() => open.push((time, usdt)),
            probe => self.close(open, probe, time),
        }
    }

    fn close(&mut self, open: &mut Vec<(Timestamp, Usdt)>, done: Probe, end: Timestamp) {
        let Some(at) = open
            .iter()
            .rposition(|(_, start)| done_of(start.probe) == Some(done))
        else {
            return;
        };
        let (start, usdt) = open.remove(at);
        let Some(name) = phase_of(usdt.probe) else {
            return;
        };
        self.phases.push(Phase {
            name,
            start,
            end,
            attributes: attributes(&usdt),
        });
    }

    fn point(&mut self, name: &str, time: Timestamp) {
        self.points.push(SpanEvent {
            time,
            name: name.to_owned(),
            attributes: Attributes::new(),
        });
    }
}

fn phase_of(probe: Probe) -> Option<&'static str> {
    Some(match probe {
        Probe::PgParseStart => "parse",
        Probe::PgRewriteStart => "rewrite",
        Probe::PgPlanStart => "plan",
        Probe::PgExecuteStart => "execute",
        Probe::PgLockWaitStart => "lock wait",
        _ => return None,
    })
}

fn done_of(start: Probe) -> Option<Probe> {
    Some(match start {
        Probe::PgParseStart => Probe::PgParseDone,
        Probe::PgRewriteStart => Probe::PgRewriteDone,
        Probe::PgPlanStart => Probe::PgPlanDone,
        Probe::PgExecuteStart => Probe::PgExecuteDone,
        Probe::PgLockWaitStart => Probe::PgLockWaitDone,
        _ => return None,
    })
}

fn attributes(usdt: &Usdt) -> Attributes {
    let mut attributes = Attributes::new();
    if usdt.probe == Probe::PgLockWaitStart {
        let name =
            |names: &[&'static str], at: u64| names.get(at as usize).copied().unwrap_or("other");
        attributes.set("tierscope.lock.type", name(&LOCK_TYPES, usdt.args[4]));
        attributes.set("tierscope.lock.mode", name(&LOCK_MODES, usdt.args[5]));
        let [a, b, c, d, ..] = usdt.args;
        attributes.set("tierscope.lock.tag", format!("{a}/{b}/{c}/{d}"));
    }
    attributes
}
