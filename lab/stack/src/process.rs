//! The lab's processes as the kernel knows them.

use std::{fmt, net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

/// The part that a process plays in the lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The proxy: a master and its workers.
    Nginx,
    /// The web service: one process.
    App,
    /// The database: the postmaster and a backend per connection.
    Postgres,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nginx => "nginx",
            Self::App => "app",
            Self::Postgres => "postgres",
        })
    }
}

/// One entry of `lab.json`: the root of a process tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessRecord {
    /// Its part in the lab.
    pub role: Role,
    /// Process id; nginx's master, PostgreSQL's postmaster.
    pub pid: u32,
    /// Start time since boot in clock ticks (`/proc/PID/stat`): tells a reused pid.
    pub start_time_ticks: u64,
    /// Where it accepts connections.
    pub listen: SocketAddr,
    /// The file it runs, without links.
    pub binary: PathBuf,
    /// Its own version, e.g. `1.22.1`.
    pub version: String,
}

impl ProcessRecord {
    /// Whether this very process still runs (a zombie does not).
    #[must_use]
    pub fn alive(&self) -> bool {
        start_time_ticks(self.pid) == Some(self.start_time_ticks)
    }
}

/// Start time of a running process, `None` where there is none or only its zombie.
pub(crate) fn start_time_ticks(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it is in parentheses and may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    let ticks = fields.nth(18)?.parse().ok()?;
    (!matches!(state, "Z" | "X")).then_some(ticks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_start_time_is_known_and_that_of_no_process_is_not() {
        assert!(start_time_ticks(std::process::id()).is_some_and(|ticks| ticks > 0));
        assert_eq!(start_time_ticks(u32::MAX), None);
    }

    #[test]
    fn zombie_is_not_alive() {
        let mut child = std::process::Command::new("true").spawn().expect("true");
        let path = format!("/proc/{}/stat", child.id());
        while !std::fs::read_to_string(&path)
            .expect("not reaped")
            .contains(") Z ")
        {
            std::thread::yield_now();
        }
        assert_eq!(start_time_ticks(child.id()), None);
        child.wait().expect("reaped");
    }
}
