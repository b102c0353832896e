//! What can keep a run from happening.

use std::{io, net::SocketAddr, path::PathBuf};

/// Why a run could not start or finish. What happens to single requests is no error of the run:
/// it is recorded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// An option out of range.
    #[error("{option}: {reason}")]
    Option {
        /// Name of the option.
        option: &'static str,
        /// What is expected.
        reason: &'static str,
    },
    /// The first connections could not be opened.
    #[error("cannot connect to {target} (connection {number}): {source}; is the server up?")]
    Connect {
        /// Where to.
        target: SocketAddr,
        /// Which of the connections, from 1.
        number: usize,
        /// Why.
        source: io::Error,
    },
    /// The record file could not be written.
    #[error("cannot write the records to {path}: {source}", path = path.display())]
    Records {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Held, and nobody let it go.
    #[error("held: standard input ended before a line came")]
    Held,
    /// The kernel refused what every Linux offers (epoll, timerfd, a socket, a signal handler).
    #[error("cannot set up the load generator: {0}; see the limits of this process (ulimit -a)")]
    System(#[from] io::Error),
    /// A histogram could not be made.
    #[error("cannot make a histogram: {0}")]
    Histogram(#[from] hdrhistogram::CreationError),
}

impl From<nix::errno::Errno> for LoadError {
    fn from(error: nix::errno::Errno) -> Self {
        Self::System(error.into())
    }
}
