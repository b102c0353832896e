//! nginx: its configuration from the template, its master and workers.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Child,
    time::Duration,
};

use crate::{
    account::Account,
    error::Result,
    http::healthy,
    launch::{daemon, wait_ready},
    process::Role,
};

const LIMIT: Duration = Duration::from_secs(10);
const TEMPLATE: &str = include_str!("../../../nginx/nginx.conf.template");

/// The configuration of an nginx that listens on `listen` and proxies to `upstream`, an address or
/// `unix:PATH`. Its paths
/// are relative to a prefix directory, whose sibling `logs` takes the logs. A `rate_limit` other than 0, in
/// requests per second, holds while a file `limited` is in that directory.
#[must_use]
pub fn configuration(
    listen: SocketAddr,
    upstream: &str,
    workers: usize,
    rate_limit: u32,
) -> String {
    TEMPLATE
        .replace(
            "    @LIMITED@",
            if rate_limit > 0 { "    " } else { "    # " },
        )
        .replace("@RATE@", &rate_limit.to_string())
        .replace("@LISTEN@", &listen.to_string())
        .replace("@UPSTREAM@", upstream)
        .replace("@WORKERS@", &workers.to_string())
}

/// Starts nginx in the lab in `dir`; it is not ready yet.
pub(crate) fn start(
    account: &Account,
    binary: &Path,
    dir: &Path,
    configuration: &str,
) -> Result<Child> {
    let prefix = dir.join("nginx");
    let file = prefix.join("nginx.conf");
    account.write(&file, configuration)?;
    let mut command = account.command(binary);
    command
        .arg("-p")
        .arg(&prefix)
        .args(["-c", "nginx.conf", "-e", "../logs/nginx.log"]);
    daemon(account, command, &prefix, &log(dir))
}

/// Waits until the app's health is had through it.
pub(crate) fn wait(child: &mut Child, dir: &Path, listen: SocketAddr) -> Result<()> {
    wait_ready(Role::Nginx, child, &log(dir), LIMIT, || {
        healthy(listen).then_some(())
    })
}

fn log(dir: &Path) -> PathBuf {
    dir.join("logs/nginx.log")
}
