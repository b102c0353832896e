//! psql, as the lab's account.

use std::{io::Write as _, path::Path, process::Stdio};

use crate::{
    account::Account,
    error::{Error, Result},
    launch::conclude,
};

/// A PostgreSQL server, seen from a client.
#[derive(Debug)]
pub struct Server<'a> {
    /// Whom psql runs as.
    pub account: &'a Account,
    /// Where psql lies.
    pub bin: &'a Path,
    /// An address, or the directory of its socket.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl Server<'_> {
    /// Runs `sql`, stopping at the first error.
    ///
    /// # Errors
    /// [`Error::Command`] with what PostgreSQL said.
    pub fn execute(&self, user: &str, database: &str, sql: &str) -> Result<()> {
        self.ask(user, database, sql).map(drop)
    }

    /// Runs `sql` and returns what it gives: a line per row, columns between `|`.
    ///
    /// # Errors
    /// As [`Server::execute`].
    pub fn ask(&self, user: &str, database: &str, sql: &str) -> Result<String> {
        let program = self.bin.join("psql");
        let mut command = self.account.command(&program);
        command
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"])
            .args(["-h", &self.host, "-p", &self.port.to_string()])
            .args(["-U", user, "-d", database, "-f", "-"])
            .env("PGSSLMODE", "disable")
            // A server that is stopped still accepts, and never answers.
            .env("PGCONNECT_TIMEOUT", "2")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().map_err(Error::io("start", &program))?;
        // When psql stops reading it says why on stderr.
        let _ = child
            .stdin
            .take()
            .map(|mut pipe| pipe.write_all(sql.as_bytes()));
        let output = child.wait_with_output();
        conclude(&command, output)
    }

    /// Whether a real connection is served.
    pub fn answers(&self, user: &str, database: &str) -> bool {
        self.execute(user, database, "SELECT 1").is_ok()
    }
}
