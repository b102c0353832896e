//! What a caller can choose about a lab.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// PostgreSQL's socket in the directory must fit into 107 bytes with its own name.
const LONGEST_DIR: usize = 90;

/// Loopback ports of the three processes; 0 takes a free one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    /// Port of nginx.
    pub nginx: u16,
    /// Port of the app.
    pub app: u16,
    /// Port of PostgreSQL.
    pub postgres: u16,
}

/// How a lab is started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabOptions {
    /// The lab's private directory: made (0700) by `up`, removed by `down`.
    pub dir: PathBuf,
    /// Where the processes listen, on 127.0.0.1 or ::1.
    pub ports: Ports,
    /// Every parameterised statement carries its request id as one more bound parameter.
    pub truth: bool,
    /// The app honours the `X-Lab-Fault` request header.
    pub faults: bool,
    /// The app loads a user's orders one by one.
    pub n_plus_one: bool,
    /// Artificial latency per layer of the app, as its `--latency` takes it: `db=5,handler=2`; empty for none.
    pub latency: String,
    /// All three listen on ::1 instead of 127.0.0.1.
    pub ipv6: bool,
    /// nginx reaches the app by a Unix socket; the app listens on its port as well.
    pub unix_upstream: bool,
    /// The app answers a request that takes longer with 504. Milliseconds.
    pub request_timeout_ms: u64,
    /// PostgreSQL cancels a statement that takes longer; 0 for never. Milliseconds.
    pub statement_timeout_ms: u64,
    /// Connections of the app to PostgreSQL.
    pub pool_size: u32,
    /// PostgreSQL's shared buffers, e.g. `1MB`; as its settings say if left out.
    pub shared_buffers: Option<String>,
    /// Worker threads of the app.
    pub app_workers: usize,
    /// Worker processes of nginx.
    pub nginx_workers: usize,
    /// Requests per second that nginx passes on, later ones later, while there is a file `nginx/limited` in
    /// the directory; 0 for all at once.
    #[serde(default)]
    pub rate_limit: u32,
    /// The lab ends with the process that started it, however that ends.
    pub owned: bool,
    /// The app's binary; `None` looks for it beside the running program.
    pub app: Option<PathBuf>,
}

impl LabOptions {
    /// A plain lab in `dir`, on free ports, that outlives its starter.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            ports: Ports::default(),
            truth: false,
            faults: false,
            n_plus_one: false,
            latency: String::new(),
            ipv6: false,
            unix_upstream: false,
            request_timeout_ms: 10_000,
            statement_timeout_ms: 0,
            pool_size: 16,
            shared_buffers: None,
            app_workers: 2,
            nginx_workers: 2,
            rate_limit: 0,
            owned: false,
            app: None,
        }
    }

    /// Where all three listen.
    pub(crate) fn host(&self) -> IpAddr {
        if self.ipv6 {
            Ipv6Addr::LOCALHOST.into()
        } else {
            Ipv4Addr::LOCALHOST.into()
        }
    }

    /// Where a user's lab is unless told otherwise: on disk, for on a tmpfs no query would ever
    /// read a disk.
    #[must_use]
    pub fn default_dir() -> PathBuf {
        format!("/var/tmp/tierscope-lab-{}", nix::unistd::geteuid()).into()
    }
}

/// The directory's one true name: absolute and without links, as `/proc` shows it.
///
/// # Errors
/// [`Error::Unfit`] where its parent is missing or the name does not suit nginx's configuration,
/// a socket's address or the take-down script.
pub(crate) fn resolve(dir: &Path) -> Result<PathBuf> {
    let unfit = |reason: String| Error::Unfit {
        dir: dir.to_path_buf(),
        reason,
    };
    let full = std::path::absolute(dir).map_err(|e| unfit(e.to_string()))?;
    let (Some(parent), Some(name)) = (full.parent(), full.file_name()) else {
        return Err(unfit("it is the root of the file system".to_owned()));
    };
    let parent = parent
        .canonicalize()
        .map_err(|e| unfit(format!("its parent {}: {e}", parent.display())))?;
    let resolved = parent.join(name);
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"/._-".contains(b);
    let bytes = resolved.as_os_str().as_encoded_bytes();
    if bytes.len() > LONGEST_DIR || !bytes.iter().all(plain) {
        return Err(unfit(format!(
            "its path must have at most {LONGEST_DIR} ASCII letters, digits and /._-"
        )));
    }
    Ok(resolved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_paths_hold_a_lab() {
        assert_eq!(
            resolve(Path::new("/tmp/../tmp/lab")).expect("plain"),
            Path::new("/tmp/lab")
        );
        for dir in [
            "/",
            "/tmp/a lab",
            "/tmp/lab;",
            "/tmp/la*",
            "/no/such/parent",
            "/tmp/..",
        ] {
            assert!(
                matches!(resolve(Path::new(dir)), Err(Error::Unfit { .. })),
                "{dir}"
            );
        }
        let long = format!("/tmp/{}", "x".repeat(LONGEST_DIR));
        assert!(resolve(Path::new(&long)).is_err());
    }
}
