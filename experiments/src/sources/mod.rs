//! The checks against independent sources: nothing here is known to the assembler.
//!
//! Each file is one source: what is asked of it before and after the load ([`Outside`]), what is taken
//! from the recording's events and from the traces beside it, and the comparison.

mod app_clock;
mod nginx_log;
mod outside;
mod page_reads;
mod pg_stat_statements;
mod schedstat;
mod tcp_info;
mod tcp_rtt;
mod tcp_totals;
mod turns;

use std::path::Path;

use tierscope_model::{Event, Trace};

use crate::check::Check;
use crate::score::Score;

pub use outside::Outside;
pub(crate) use outside::{Before, Said};
pub(crate) use schedstat::CpuTimes;

use app_clock::AppClock;
use nginx_log::NginxLog;
use page_reads::PageReads;
use pg_stat_statements::Statements;
use schedstat::RunQueue;
use tcp_rtt::RoundTrips;
use tcp_totals::Totals;

/// All of them, at work on one run.
#[derive(Debug)]
pub struct Sources<'a> {
    statements: Statements<'a>,
    round_trips: RoundTrips<'a>,
    totals: Totals<'a>,
    run_queue: RunQueue<'a>,
    page_reads: PageReads<'a>,
    app_clock: AppClock,
    nginx_log: NginxLog,
}

impl<'a> Sources<'a> {
    /// What was asked outside, and nginx's access log.
    pub fn new(outside: &'a Outside, access_log: &Path) -> Sources<'a> {
        Sources {
            statements: Statements::new(&outside.statements),
            round_trips: RoundTrips::new(&outside.load_sockets, outside.target),
            totals: Totals::new(&outside.sockets_before, &outside.sockets_after),
            run_queue: RunQueue::new(outside),
            page_reads: PageReads::new(&outside.page_reads),
            app_clock: AppClock::default(),
            nginx_log: NginxLog::read(access_log),
        }
    }

    /// Takes an event of the recording in.
    pub fn event(&mut self, event: &Event) {
        self.round_trips.event(event);
        self.totals.event(event);
        self.run_queue.event(event);
        self.page_reads.event(event);
        self.app_clock.event(event);
        self.nginx_log.event(event);
    }

    /// Takes a trace in, a request's or one of what belongs to none.
    pub fn trace(&mut self, trace: &Trace) {
        self.statements.trace(trace);
        self.round_trips.trace(trace);
        self.app_clock.trace(trace);
        self.nginx_log.trace(trace);
    }

    /// What came of each, for a run whose other figures are `score`'s.
    pub fn finish(self, score: &Score) -> Vec<Check> {
        let lost = score.lost_events > 0;
        let mut checks = self.statements.finish(lost);
        checks.extend(self.round_trips.finish());
        checks.extend(self.totals.finish(lost));
        checks.extend(self.run_queue.finish(lost));
        checks.push(self.page_reads.finish(lost));
        checks.extend(self.app_clock.finish());
        checks.extend(self.nginx_log.finish());
        checks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{CHECKS, Verdict};
    use crate::score_checks::checks;

    #[test]
    fn what_cannot_be_had_is_named_and_nothing_is_left_out() {
        fn none<T>() -> Said<T> {
            Err("not there".to_owned())
        }
        let outside = Outside {
            statements: none(),
            target: None,
            load_sockets: none(),
            sockets_before: none(),
            sockets_after: none(),
            threads_before: none(),
            threads_after: none(),
            cpus: none(),
            page_reads: none(),
        };
        let score = Score::default();
        let of_sources = Sources::new(&outside, Path::new("/no/such/log")).finish(&score);
        for check in &of_sources {
            let verdict = &check.verdict;
            assert!(matches!(verdict, Verdict::NotChecked(_)), "{check:?}");
        }
        let all = checks(&score).into_iter().chain(of_sources);
        let names: Vec<_> = all.map(|check| check.name).collect();
        assert_eq!(names, CHECKS);
    }
}
