//! The pool's connections are held elsewhere: by requests of other clients that sleep in the database.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Hit, Injector, Site, clock::now};
use crate::error::{Error, Result};

/// They answer by then.
const PATIENCE: Duration = Duration::from_secs(10);
/// From a request's arrival until it has its connection, at most.
const TAKEN: u64 = 5_000_000;

/// How many connections, and for how long.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PoolHeld {
    /// Connections of the pool that are held.
    connections: usize,
    /// For how long, in milliseconds.
    holds_ms: u64,
}

impl PoolHeld {
    pub(super) fn injector(&self, site: Site<'_>) -> Result<Holders> {
        Ok(Holders {
            target: site.lab.nginx_addr()?,
            wanted: self.clone(),
            waiting: Vec::new(),
            from_ns: 0,
        })
    }
}

/// Clients that wait for their answers. They end by themselves.
pub(super) struct Holders {
    target: SocketAddr,
    wanted: PoolHeld,
    waiting: Vec<TcpStream>,
    from_ns: u64,
}

impl Holders {
    fn ask(&self) -> std::io::Result<TcpStream> {
        let mut stream = TcpStream::connect(self.target)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let ms = self.wanted.holds_ms;
        let head = format!(
            "GET /api/products/search?q=lamp HTTP/1.1\r\nHost: {}\r\nX-Lab-Fault: db_ms={ms}\r\nConnection: close\r\n\r\n",
            self.target
        );
        stream.write_all(head.as_bytes())?;
        Ok(stream)
    }
}

fn failed(error: std::io::Error) -> Error {
    Error::Inject {
        fault: "pool-held",
        reason: error.to_string(),
    }
}

impl Injector for Holders {
    fn begin(&mut self) -> Result<()> {
        for _ in 0..self.wanted.connections {
            let asked = self.ask().map_err(failed)?;
            self.waiting.push(asked);
        }
        self.from_ns = now() + TAKEN;
        Ok(())
    }

    fn end(&mut self) -> Result<Vec<Hit>> {
        let mut to_ns = None;
        let answers = self.waiting.len();
        for mut stream in self.waiting.drain(..) {
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).map_err(failed)?;
            to_ns.get_or_insert_with(now);
            if !answer.starts_with(b"HTTP/1.1 200") {
                return Err(Error::Inject {
                    fault: "pool-held",
                    reason: String::from_utf8_lossy(&answer).chars().take(80).collect(),
                });
            }
        }
        let hit = to_ns.map(|to_ns| Hit {
            from_ns: self.from_ns,
            to_ns,
            request: None,
            magnitude_ns: None,
            clients: Vec::new(),
            what: format!("{answers} connections held"),
        });
        Ok(hit.into_iter().collect())
    }
}
