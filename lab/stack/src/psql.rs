//! psql, as the lab's account.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

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
        let mut command = self.command(user, database);
        let mut child = command
            .spawn()
            .map_err(Error::io("start", command.get_program()))?;
        // When psql stops reading it says why on stderr.
        let _ = child
            .stdin
            .take()
            .map(|mut pipe| pipe.write_all(sql.as_bytes()));
        let output = child.wait_with_output();
        conclude(&command, output)
    }

    /// Opens a session that takes one statement after the other.
    ///
    /// # Errors
    /// psql cannot be started.
    pub fn session(&self, user: &str, database: &str) -> Result<Session> {
        let mut command = self.command(user, database);
        let mut child = command
            .spawn()
            .map_err(Error::io("start", command.get_program()))?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (input, output) = pipes.expect("both are piped");
        Ok(Session {
            child,
            input,
            output: BufReader::new(output),
        })
    }

    fn command(&self, user: &str, database: &str) -> Command {
        let mut command = self.account.command(self.bin.join("psql"));
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
        command
    }

    /// Whether a real connection is served.
    pub fn answers(&self, user: &str, database: &str) -> bool {
        self.execute(user, database, "SELECT 1").is_ok()
    }
}

/// Ends what a statement said.
const MARK: &str = "-- end of answer --";

/// A connection to a server through psql. Dropped, it ends, and what it had open is rolled back.
#[derive(Debug)]
pub struct Session {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Session {
    /// Runs `sql` and returns what it gives: a line per row, columns between `|`.
    ///
    /// # Errors
    /// [`Error::Session`] with what PostgreSQL said; the session is over then.
    pub fn run(&mut self, sql: &str) -> Result<String> {
        // When psql stops reading it says why on stderr.
        let _ = writeln!(self.input, "{sql}\n\\echo {MARK}");
        let _ = self.input.flush();
        let (mut said, mut line) = (String::new(), String::new());
        while self.output.read_line(&mut line).is_ok_and(|n| n > 0) {
            if line.trim_end() == MARK {
                return Ok(said.trim_end().to_owned());
            }
            said += &line;
            line.clear();
        }
        Err(self.ended())
    }

    fn ended(&mut self) -> Error {
        let mut said = String::new();
        if let Some(errors) = &mut self.child.stderr {
            let _ = errors.read_to_string(&mut said);
        }
        Error::Session {
            output: said.trim().to_owned(),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // It may have ended by itself: both then fail, rightly.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
