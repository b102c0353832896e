//! Pass 4b: phases of a backend's work from its probes.

use tierscope_model::{Attributes, Buffers, Probe, SmolStr, SpanEvent, Timestamp, Usdt, attr};

use crate::backend::{Mark, Work};
use crate::lock;
use crate::phase::Phase;
use crate::sql_text::Statement;

const TEXT_LIMIT: usize = 1024;

/// The probes of one exchange so far.
#[derive(Default)]
pub(crate) struct Probed {
    work: Work,
    open: Vec<Open>,
    /// The last mark was the start of an execution.
    starts: bool,
    buffers: Vec<(Timestamp, Buffers)>,
    /// The statement that runs, as last reported.
    running: Option<Statement>,
    /// Executions among the phases, and what they ran.
    executed: Vec<(usize, Option<Statement>)>,
    /// When an execution ended, or the transaction before: what a commit follows.
    done: Option<Timestamp>,
    /// The first WAL flush since then.
    flush: Option<Timestamp>,
    /// PostgreSQL's probes are attached: one fired.
    pub(crate) any: bool,
}

/// A phase that goes on.
struct Open {
    start: Timestamp,
    usdt: Usdt,
    /// It is what the one before it is made of: a portal's execution begins with that of its statement.
    same: bool,
}

impl Probed {
    pub(crate) fn note(&mut self, time: Timestamp, mark: Mark) {
        self.any = true;
        let starts = matches!(&mark, Mark::Probe(usdt) if usdt.probe == Probe::PgExecuteStart);
        match mark {
            Mark::Probe(usdt) => self.probe(time, usdt),
            Mark::Buffers(buffers) => self.buffers.push((time, buffers)),
            Mark::Reads(reads) => self.work.phases.push(reads),
        }
        self.starts = starts;
    }

    fn probe(&mut self, time: Timestamp, usdt: Usdt) {
        match usdt.probe {
            Probe::PgStatementStatus => self.runs(&usdt),
            Probe::PgTransactionStart => self.point("transaction start", time),
            Probe::PgTransactionCommit => self.commit(time),
            Probe::PgTransactionAbort => {
                self.point("transaction abort", time);
                self.fail(time);
            }
            probe if phase_of(probe).is_some() => {
                if probe == Probe::PgExecuteStart {
                    self.runs(&usdt);
                }
                let same = probe == Probe::PgExecuteStart && self.starts;
                let start = time;
                self.open.push(Open { start, usdt, same });
            }
            probe => self.close(probe, time),
        }
    }

    /// Older recordings tell it before an execution starts, not with it.
    fn runs(&mut self, usdt: &Usdt) {
        let text = usdt.text[0].as_str();
        if text.is_empty() {
            return;
        }
        let statement = Statement::new(text, text.len() >= TEXT_LIMIT);
        self.work.statement.get_or_insert_with(|| statement.clone());
        self.running = Some(statement);
    }

    fn close(&mut self, done: Probe, end: Timestamp) {
        let is_start = |open: &Open| done_of(open.usdt.probe) == Some(done);
        let Some(at) = self.open.iter().rposition(is_start) else {
            return;
        };
        let open = self.open.remove(at);
        let start = open.start;
        self.push(open, end);
        match done {
            Probe::PgExecuteDone => (self.done, self.flush) = (Some(end), None),
            Probe::PgWalFlushDone => self.flush = self.flush.or(Some(start)),
            _ => {}
        }
    }

    fn push(&mut self, open: Open, end: Timestamp) {
        let Open { start, usdt, same } = open;
        let Some(name) = phase_of(usdt.probe).filter(|_| !same) else {
            return;
        };
        let mut phase = Phase::new(name, start, end);
        match usdt.probe {
            Probe::PgLockWaitStart => phase.attributes = lock::attributes(&usdt.args),
            Probe::PgLwlockWaitStart => {
                let tranche = usdt.text[0].clone();
                phase.of = Some(tranche.as_str().into());
                phase.attributes.set(attr::LWLOCK_TRANCHE, tranche);
                let mode = lock::lwlock_mode(usdt.args[1]);
                phase.attributes.set(attr::LOCK_MODE, mode);
            }
            Probe::PgExecuteStart => {
                let place = self.work.phases.len();
                self.executed.push((place, self.running.clone()));
            }
            _ => {}
        }
        self.work.phases.push(phase);
    }

    /// A commit begins with its WAL flush; without one, a COMMIT begins where its execution ended. Any
    /// other statement's commit writes nothing and is a point in time.
    fn commit(&mut self, time: Timestamp) {
        self.point("transaction commit", time);
        let commits = |statement: &Statement| {
            let text = statement.text.trim_start().to_ascii_uppercase();
            text.starts_with("COMMIT") || text.starts_with("END")
        };
        let asked = self.running.as_ref().is_some_and(commits);
        let start = self.flush.or(self.done.filter(|_| asked));
        if let Some(start) = start {
            self.work.phases.push(Phase::new("commit", start, time));
        }
        (self.done, self.flush) = (Some(time), None);
    }

    /// An error ends whatever was under way, without a word.
    fn fail(&mut self, time: Timestamp) {
        for open in std::mem::take(&mut self.open) {
            self.push(open, time);
        }
        (self.done, self.flush) = (Some(time), None);
    }

    fn point(&mut self, name: &'static str, time: Timestamp) {
        self.work.points.push(SpanEvent {
            time,
            name: SmolStr::new_static(name),
            attributes: Attributes::new(),
        });
    }

    /// All that the backend did until `to`: what has no end by then lasted at least so long.
    pub(crate) fn finish(mut self, to: Timestamp) -> Work {
        for open in std::mem::take(&mut self.open) {
            let is_told = !open.same;
            self.push(open, to);
            if let Some(phase) = self.work.phases.last_mut().filter(|_| is_told) {
                phase.attributes.set(attr::NOT_MEASURED, "end: not seen");
            }
        }
        for (time, buffers) in std::mem::take(&mut self.buffers) {
            self.looked_up(time, &buffers);
        }
        self.name_executions();
        self.work
    }

    /// Of several executions in one exchange each says what it ran.
    fn name_executions(&mut self) {
        if self.executed.len() < 2 {
            return;
        }
        for (place, statement) in &self.executed {
            let summary = statement.as_ref().map(|s| s.summary.clone());
            if let (Some(summary), Some(phase)) = (summary, self.work.phases.get_mut(*place)) {
                phase.attributes.set(attr::DB_QUERY_SUMMARY, summary);
            }
        }
    }

    /// Buffers are told where an execution ends: they are those of the one that ended nearest.
    fn looked_up(&mut self, time: Timestamp, buffers: &Buffers) {
        let phases = self.work.phases.iter_mut();
        let begun = phases.filter(|phase| phase.name == "execute" && phase.start <= time);
        let nearest = begun.min_by_key(|phase| time.signed_since(phase.end).unsigned_abs());
        let attributes = match nearest {
            Some(phase) => &mut phase.attributes,
            None => &mut self.work.attributes,
        };
        add(attributes, attr::BUFFER_HITS, buffers.hits);
        add(attributes, attr::BUFFER_READS, buffers.reads);
    }
}

fn add(attributes: &mut Attributes, key: &'static str, count: u32) {
    let before = attributes.int(key).unwrap_or(0);
    attributes.set(key, before + i64::from(count));
}

fn phase_of(probe: Probe) -> Option<&'static str> {
    Some(match probe {
        Probe::PgParseStart => "parse",
        Probe::PgRewriteStart => "rewrite",
        Probe::PgPlanStart => "plan",
        Probe::PgExecuteStart => "execute",
        Probe::PgSortStart => "sort",
        Probe::PgLockWaitStart => "lock wait",
        Probe::PgLwlockWaitStart => "lwlock wait",
        Probe::PgWalFlushStart => "WAL flush",
        Probe::PgModifyStart => "modify rows",
        _ => return None,
    })
}

fn done_of(start: Probe) -> Option<Probe> {
    Some(match start {
        Probe::PgParseStart => Probe::PgParseDone,
        Probe::PgRewriteStart => Probe::PgRewriteDone,
        Probe::PgPlanStart => Probe::PgPlanDone,
        Probe::PgExecuteStart => Probe::PgExecuteDone,
        Probe::PgSortStart => Probe::PgSortDone,
        Probe::PgLockWaitStart => Probe::PgLockWaitDone,
        Probe::PgLwlockWaitStart => Probe::PgLwlockWaitDone,
        Probe::PgWalFlushStart => Probe::PgWalFlushDone,
        Probe::PgModifyStart => Probe::PgModifyDone,
        _ => return None,
    })
}
