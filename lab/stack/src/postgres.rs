//! PostgreSQL: a seeded cluster of its own, a server on loopback.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Child,
    time::Duration,
};

use crate::{
    account::Account,
    cluster,
    error::Result,
    launch::{daemon, wait_ready},
    ports::Reserved,
    process::Role,
    psql::Server,
};

/// Crash recovery of a copied cluster does not happen, so this is generous.
pub const LIMIT: Duration = Duration::from_secs(30);
/// Names the socket while the cluster is seeded.
pub const SOCKET_PORT: u16 = 5432;

/// What a server needs to be started.
#[derive(Debug)]
pub struct Postgres<'a> {
    /// Whom it runs as.
    pub account: &'a Account,
    /// Where its programs lie.
    pub bin: &'a Path,
    /// The data directory.
    pub data: PathBuf,
    /// Where its socket lies.
    pub socket_dir: &'a Path,
    /// Where it writes its log.
    pub log: PathBuf,
    /// Its shared buffers, where they differ from its settings'.
    pub shared_buffers: Option<&'a str>,
}

impl<'a> Postgres<'a> {
    /// The server of the lab in `dir`.
    pub fn new(
        account: &'a Account,
        bin: &'a Path,
        dir: &'a Path,
        shared_buffers: Option<&'a str>,
    ) -> Self {
        Self {
            account,
            bin,
            data: dir.join("postgres"),
            socket_dir: dir,
            log: dir.join("logs/postgres.log"),
            shared_buffers,
        }
    }

    /// Starts the server on a fresh copy of the seeded cluster; it is not ready yet.
    pub fn start(&self, version: &str, port: Reserved) -> Result<Child> {
        cluster::provide(self, version)?;
        let address = port.hand_over();
        self.daemon(&address.ip().to_string(), address.port())
    }

    /// Waits for a real connection of the app's role.
    pub fn wait(&self, child: &mut Child, address: SocketAddr) -> Result<()> {
        wait_ready(Role::Postgres, child, &self.log, LIMIT, || {
            answers(self.account, self.bin, address).then_some(())
        })
    }

    /// Starts the server without waiting for it. No `listen` address: only the socket.
    pub fn daemon(&self, listen: &str, port: u16) -> Result<Child> {
        let mut command = self.account.command(self.bin.join("postgres"));
        command
            .arg("-D")
            .arg(&self.data)
            .arg("-c")
            .arg(format!("listen_addresses={listen}"))
            .args(["-c", &format!("port={port}"), "-c"])
            .arg(format!(
                "unix_socket_directories={}",
                self.socket_dir.display()
            ));
        if let Some(size) = self.shared_buffers {
            command.arg("-c").arg(format!("shared_buffers={size}"));
        }
        daemon(self.account, command, &self.data, &self.log)
    }
}

/// Whether the lab's database takes a connection of the app's role.
pub fn answers(account: &Account, bin: &Path, address: SocketAddr) -> bool {
    let server = Server {
        account,
        bin,
        host: address.ip().to_string(),
        port: address.port(),
    };
    server.answers("lab", "lab")
}
