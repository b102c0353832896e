//! What the sources themselves said, before and after the load: `outside.json`.

use std::net::SocketAddr;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tierscope_loadgen::SocketInfo;
use tierscope_stack::{Lab, Role};

use super::page_reads::RelationReads;
use super::pg_stat_statements::StatementCalls;
use super::schedstat::{self, CpuTimes, ThreadTimes};
use super::tcp_info::{self, Socket};
use super::{page_reads, pg_stat_statements};

/// What was asked, or why it could not be.
pub type Said<T> = Result<T, String>;

/// All answers of one run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outside {
    /// `pg_stat_statements` of the app's role after the load, reset before it.
    pub statements: Said<Vec<StatementCalls>>,
    /// Where the load generator connected to.
    pub target: Option<SocketAddr>,
    /// The load generator's sockets as it closed them (`getsockopt(TCP_INFO)`).
    pub load_sockets: Said<Vec<SocketInfo>>,
    /// The host's connections before the load (`ss -ti`).
    pub sockets_before: Said<Vec<Socket>>,
    /// And after it.
    pub sockets_after: Said<Vec<Socket>>,
    /// Scheduler statistics of PostgreSQL's backends before the load.
    pub threads_before: Said<Vec<ThreadTimes>>,
    /// And after it.
    pub threads_after: Said<Vec<ThreadTimes>>,
    /// The CPUs' times when the load began and when it ended.
    pub cpus: Said<(CpuTimes, CpuTimes)>,
    /// Pages that each of the lab's tables and indexes had read, in a run that only reads.
    pub page_reads: Said<Vec<RelationReads>>,
}

/// The answers of before the load.
#[derive(Debug)]
pub struct Before {
    reset: Said<()>,
    sockets: Said<Vec<Socket>>,
    threads: Said<Vec<ThreadTimes>>,
    pages: Said<Vec<RelationReads>>,
}

impl Before {
    /// Asks an idle lab, and resets what counts from the load on. Pages are asked for only where the
    /// run `writes` nothing: then autovacuum, which reads on its own, is turned off.
    pub fn ask(lab: &Lab, writes: bool) -> Before {
        let pages = if writes {
            Err("the run writes: an extended relation counts as read".to_owned())
        } else {
            page_reads::quiet(lab).and_then(|()| page_reads::ask(lab))
        };
        Before {
            reset: pg_stat_statements::reset(lab),
            sockets: tcp_info::ask(),
            threads: threads(lab),
            pages,
        }
    }

    /// Asks again after the load, which wrote its own summary into `load`.
    pub fn after(self, lab: &Lab, cpus: Said<(CpuTimes, CpuTimes)>, load: &Path) -> Outside {
        let threads_after = threads(lab);
        let sockets_after = tcp_info::ask();
        let statements = self.reset.and_then(|()| pg_stat_statements::ask(lab));
        let page_reads = self.pages.and_then(|before| {
            page_reads::flush(lab)?;
            Ok(page_reads::since(&before, page_reads::ask(lab)?))
        });
        Outside {
            statements,
            target: lab.nginx_addr().ok(),
            load_sockets: load_sockets(load),
            sockets_before: self.sockets,
            sockets_after,
            threads_before: self.threads,
            threads_after,
            cpus,
            page_reads,
        }
    }
}

fn threads(lab: &Lab) -> Said<Vec<ThreadTimes>> {
    let mut processes = lab.processes().iter();
    let server = processes.find(|process| process.role == Role::Postgres);
    let server = server.ok_or("PostgreSQL does not run")?;
    schedstat::backends_of(server.pid)
}

fn load_sockets(load: &Path) -> Said<Vec<SocketInfo>> {
    #[derive(Deserialize)]
    struct Summary {
        sockets: Vec<SocketInfo>,
    }
    let text = std::fs::read(load).map_err(|e| format!("{}: {e}", load.display()))?;
    let summary: Summary = serde_json::from_slice(&text).map_err(|e| e.to_string())?;
    Ok(summary.sockets)
}
