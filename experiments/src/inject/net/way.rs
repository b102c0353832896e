//! One direction of one of the lab's hops.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use tierscope_stack::{Lab, ProcessRecord, Role};

use super::rules::Match;
use super::whose::{Protocol, Talk};
use crate::error::{Error, Result};

/// The ends of the hops, in the order of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names say it")]
pub enum End {
    Loadgen,
    Nginx,
    App,
    Postgres,
}

/// From which end to which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) asks: bool,
    pub(super) talk: Talk,
}

impl Way {
    /// Finds it in a lab.
    pub(super) fn of(lab: &Lab, from: End, to: End) -> Result<Way> {
        let server = |role| address(lab.processes(), role);
        let found = match (from.min(to), from.max(to)) {
            (End::Loadgen, End::Nginx) => server(Role::Nginx).zip(Some(Protocol::Client)),
            (End::Nginx, End::App) => server(Role::App).zip(Some(Protocol::Http)),
            (End::App, End::Postgres) => server(Role::Postgres).zip(Some(Protocol::Postgres)),
            _ => None,
        };
        let (server, protocol) = found.ok_or_else(|| Error::Refused {
            fault: "what happens to packets",
            reason: format!("there is no hop from {from:?} to {to:?}"),
        })?;
        Ok(Way {
            asks: from < to,
            talk: Talk { server, protocol },
        })
    }

    /// Its packets.
    pub(super) fn packets(self) -> Match {
        Match {
            server: self.talk.server,
            asks: self.asks,
        }
    }
}

fn address(processes: &[ProcessRecord], role: Role) -> Option<SocketAddr> {
    let found = processes.iter().find(|process| process.role == role);
    found.map(|process| process.listen)
}
