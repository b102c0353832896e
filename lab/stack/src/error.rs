//! What can go wrong: what failed, on what, and what to do next.

use std::{io, net::SocketAddr, path::PathBuf, process::ExitStatus, time::Duration};

use crate::process::Role;

/// The result of everything here.
pub type Result<T> = std::result::Result<T, Error>;

/// A lab that could not be started, read or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A program of the lab is not installed or not built.
    #[error("{program} not found in {searched}: {remedy}")]
    Missing {
        /// Name of the program.
        program: &'static str,
        /// Where it was looked for.
        searched: String,
        /// The command that provides it.
        remedy: &'static str,
    },
    /// Started by root, and the user that the processes would run as does not exist.
    #[error("user {name} does not exist and PostgreSQL refuses root: apt-get install postgresql")]
    NoAccount {
        /// Name of the user.
        name: &'static str,
    },
    /// The directory cannot hold a lab.
    #[error("{dir} cannot hold the lab: {reason}; choose another directory")]
    Unfit {
        /// The directory asked for.
        dir: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Another process starts, owns or stops the lab in this directory.
    #[error(
        "the lab in {dir} is held by another tierscope that starts, owns or stops it: wait for it or choose another directory"
    )]
    Held {
        /// The directory of the lab.
        dir: PathBuf,
    },
    /// A lab with other options is running in this directory.
    #[error(
        "a lab with other options is running in {dir}: take it down first (tierscope lab down) or choose another directory"
    )]
    Running {
        /// The directory of the lab.
        dir: PathBuf,
    },
    /// A session with PostgreSQL ended.
    #[error("PostgreSQL ended the session: {output}")]
    Session {
        /// What it said.
        output: String,
    },
    /// There is no lab in this directory.
    #[error("no lab in {dir}: start one with tierscope lab up")]
    NoLab {
        /// The directory asked for.
        dir: PathBuf,
    },
    /// The address for one of the processes is in use.
    #[error(
        "{role} cannot listen on {address}: {source}; choose another port, or 0 for a free one"
    )]
    Port {
        /// Who was to listen.
        role: Role,
        /// The address asked for.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// A process ended before it was ready.
    #[error("{role} ended at start ({status}); the end of its log:\n{log}")]
    Ended {
        /// Which process.
        role: Role,
        /// How it ended.
        status: ExitStatus,
        /// The last lines of its log.
        log: String,
    },
    /// A process is running but does not serve.
    #[error("{role} was not ready after {limit:?}; the end of its log:\n{log}")]
    NotReady {
        /// Which process.
        role: Role,
        /// How long it was waited for.
        limit: Duration,
        /// The last lines of its log.
        log: String,
    },
    /// A helper program failed.
    #[error("{command} failed: {output}")]
    Command {
        /// The program and what it was to do.
        command: String,
        /// What it said.
        output: String,
    },
    /// `lab.json` is not what [`crate::Lab::up`] writes.
    #[error(
        "{path} is damaged ({source}): stop the processes of this lab and remove the directory"
    )]
    State {
        /// Path of the file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A process survived SIGKILL or the directory could not be removed.
    #[error("the lab in {dir} is not wholly down: {left}; try again as the user who started it")]
    Remains {
        /// The directory of the lab.
        dir: PathBuf,
        /// What is left.
        left: String,
    },
    /// A file operation failed.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

impl Error {
    /// For `map_err` on a file operation.
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}
