//! An nginx that stalls: one of its workers is stopped for a time.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::net::SocketAddr;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use tierscope_stack::Role;

use super::undo::Undo;
use super::{Hit, Injector, Site, clock::now, process};
use crate::error::{Error, Result};

/// A process that is gone need not go on.
const UNDO: &str = r#"kill -CONT "$1" 2>/dev/null || true"#;

/// It needs nothing but nginx.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NginxStop {}

impl NginxStop {
    pub(super) fn injector(&self, site: Site<'_>) -> Result<Stop> {
        Ok(Stop {
            master: process::of_tier(site, Role::Nginx)?,
            listen: site.lab.nginx_addr()?,
            stopped: None,
        })
    }
}

/// Stops the worker that most clients are connected to.
#[derive(Debug)]
pub(super) struct Stop {
    master: u32,
    listen: SocketAddr,
    stopped: Option<Stopped>,
}

#[derive(Debug)]
struct Stopped {
    worker: Pid,
    clients: Vec<u16>,
    from_ns: u64,
    undo: Undo,
}

impl Stop {
    /// The worker with the most connections from clients, and these clients' ports.
    fn busiest(&self) -> Option<(u32, Vec<u16>)> {
        let sockets = clients(self.listen);
        let workers = process::children(self.master).into_iter();
        let with_clients = workers.map(|worker| {
            let held = inodes(worker);
            let ports = sockets.iter().filter(|(inode, _)| held.contains(inode));
            (worker, ports.map(|(_, port)| *port).collect())
        });
        with_clients.max_by_key(|(_, ports): &(u32, Vec<u16>)| ports.len())
    }
}

impl Injector for Stop {
    fn begin(&mut self) -> Result<()> {
        let (worker, clients) = self
            .busiest()
            .ok_or_else(|| failed("nginx has no worker".to_owned()))?;
        self.stopped = Some(stop(worker, clients)?);
        Ok(())
    }

    fn end(&mut self) -> Result<Vec<Hit>> {
        let Some(stopped) = self.stopped.take() else {
            return Ok(Vec::new());
        };
        let to_ns = now();
        match kill(stopped.worker, Signal::SIGCONT) {
            Ok(()) => stopped.undo.cancel(),
            Err(error) => return Err(failed(error.to_string())),
        }
        Ok(vec![Hit {
            from_ns: stopped.from_ns,
            to_ns,
            request: None,
            magnitude_ns: None,
            clients: stopped.clients,
            what: format!("worker {} was stopped", stopped.worker),
        }])
    }
}

fn stop(worker: u32, clients: Vec<u16>) -> Result<Stopped> {
    let undo = Undo::arm(UNDO, &[worker.to_string()])?;
    let worker = Pid::from_raw(worker as i32);
    let sent = |result: std::result::Result<(), Errno>| result.map_err(|e| failed(e.to_string()));
    sent(kill(worker, Signal::SIGSTOP))?;
    Ok(Stopped {
        worker,
        clients,
        from_ns: now(),
        undo,
    })
}

/// Inodes of the server's ends of the connections to `listen`, and the clients' ports.
fn clients(listen: SocketAddr) -> HashMap<u64, u16> {
    let table = match listen {
        SocketAddr::V4(_) => "/proc/net/tcp",
        SocketAddr::V6(_) => "/proc/net/tcp6",
    };
    let text = fs::read_to_string(table).unwrap_or_default();
    let sockets = text.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let port = |field: usize| {
            let (_, port) = fields.get(field)?.rsplit_once(':')?;
            u16::from_str_radix(port, 16).ok()
        };
        let ours = port(1)? == listen.port();
        Some((fields.get(9)?.parse().ok()?, port(2)?)).filter(|(_, client)| ours && *client != 0)
    });
    sockets.collect()
}

/// Of the sockets that a process has open.
fn inodes(pid: u32) -> HashSet<u64> {
    let open = fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten();
    let inode = |entry: fs::DirEntry| {
        let target = fs::read_link(entry.path()).ok()?;
        let number = target.to_str()?.strip_prefix("socket:[")?;
        number.strip_suffix(']')?.parse().ok()
    };
    open.flatten().filter_map(inode).collect()
}

fn failed(reason: String) -> Error {
    Error::Inject {
        fault: "nginx-stop",
        reason,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::inject::owner::{self, Victim};

    fn is_stopped(pid: u32) -> bool {
        process::stat(pid).is_some_and(|(state, _)| state == 'T')
    }

    /// One that stops a process, as it stops a worker.
    struct Stops(u32, Stop);

    impl Injector for Stops {
        fn begin(&mut self) -> Result<()> {
            self.1.stopped = Some(stop(self.0, Vec::new())?);
            Ok(())
        }

        fn end(&mut self) -> Result<Vec<Hit>> {
            self.1.end()
        }
    }

    fn stops(pid: u32) -> Stops {
        let listen = "127.0.0.1:1".parse().expect("an address");
        Stops(
            pid,
            Stop {
                master: pid,
                listen,
                stopped: None,
            },
        )
    }

    #[test]
    fn a_process_stands_still_until_the_end_or_the_drop() {
        let victim = Victim::asleep();
        let pid = victim.pid();
        for dropped in [false, true] {
            let mut stops = stops(pid);
            stops.begin().expect("stopped");
            owner::until("it is stopped", || is_stopped(pid));
            if !dropped {
                let hits = stops.end().expect("it goes on");
                assert!(hits.len() == 1 && hits[0].to_ns > hits[0].from_ns);
                assert!(!is_stopped(pid));
            }
            drop(stops);
            assert!(!is_stopped(pid));
        }
    }

    #[test]
    fn a_process_goes_on_when_its_stopper_is_killed() {
        let victim = Victim::asleep();
        let pid = victim.pid();
        // Whoever starts it is stopped no later than it says so.
        owner::killed("nginx_stop::tests::stopper", pid);
        owner::until("it goes on", || !is_stopped(pid));
    }

    #[test]
    #[ignore = "the owner that the test above kills"]
    fn stopper() {
        owner::hold(|victim| Ok(Box::new(stops(victim))));
    }

    #[test]
    fn clients_are_known_by_their_ports() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let address = listener.local_addr().expect("address");
        let client = TcpStream::connect(address).expect("connected");
        let server = listener.accept().expect("accepted");
        let found = clients(address);
        let port = client.local_addr().expect("address").port();
        assert_eq!(found.values().collect::<Vec<_>>(), [&port]);
        let held = inodes(std::process::id());
        assert!(found.keys().all(|inode| held.contains(inode)));
        drop(server);
    }
}
