//! How a lab is doing.

use std::{net::SocketAddr, path::PathBuf};

use serde::Serialize;

use crate::{
    account::Account,
    error::Result,
    http::healthy,
    postgres,
    process::{ProcessRecord, Role},
    state::State,
};

/// Processes of a whole lab.
const WHOLE: usize = 3;

/// A lab at the moment of asking.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// The private directory.
    pub dir: PathBuf,
    /// Seconds since the Unix epoch.
    pub started_at: u64,
    /// Fewer than three in a lab whose start did not end.
    pub processes: Vec<ProcessStatus>,
}

/// One process of it.
#[derive(Debug, Clone, Serialize)]
pub struct ProcessStatus {
    /// Its part in the lab.
    pub role: Role,
    /// Its process id when it was started.
    pub pid: u32,
    /// It still runs.
    pub alive: bool,
    /// It serves: a connection to the database, `GET /health` of the app, the same through nginx.
    pub ready: bool,
    /// Where it listens.
    pub listen: SocketAddr,
}

impl Status {
    /// Whether all three processes run and serve.
    #[must_use]
    pub fn serving(&self) -> bool {
        self.processes.len() == WHOLE && self.processes.iter().all(|p| p.alive && p.ready)
    }

    pub(crate) fn of(state: &State) -> Result<Self> {
        let account = Account::choose()?;
        Ok(Self {
            dir: state.dir.clone(),
            started_at: state.started_at,
            processes: state.processes.iter().map(|p| look(p, &account)).collect(),
        })
    }
}

fn look(process: &ProcessRecord, account: &Account) -> ProcessStatus {
    let alive = process.alive();
    ProcessStatus {
        role: process.role,
        pid: process.pid,
        alive,
        // Somebody else may listen there by now.
        ready: alive && serves(process, account),
        listen: process.listen,
    }
}

fn serves(process: &ProcessRecord, account: &Account) -> bool {
    match (process.role, process.binary.parent()) {
        (Role::Postgres, Some(bin)) => postgres::answers(account, bin, process.listen),
        _ => healthy(process.listen),
    }
}
