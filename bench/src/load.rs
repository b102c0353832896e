//! One load on one lab: `tierscope load`, a process of its own.

use std::{net::SocketAddr, process::Command};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::tools::{Running, beside};

/// Keep-alive connections of every load.
pub const CONNECTIONS: usize = 64;

/// How requests are paced.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// As fast as the connections go.
    Closed,
    /// Requests per second.
    Rate(f64),
}

/// A load.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Its pace.
    pub pace: Pace,
    /// How long (s).
    pub seconds: f64,
    /// Same seed, same requests.
    pub seed: u64,
}

/// What `tierscope load --json` says of it, as far as it is needed.
#[derive(Debug, Deserialize)]
pub struct Summary {
    /// Complete answers per second.
    pub achieved_rate: f64,
    /// Requests without a good answer, by kind.
    pub errors: std::collections::BTreeMap<String, u64>,
    /// All endpoints together.
    pub total: Total,
}

/// See [`Summary::total`].
#[derive(Debug, Deserialize)]
pub struct Total {
    /// Requests sent.
    pub sent: u64,
    /// Latency from the intended send time.
    pub from_intended: Quantiles,
}

/// Latencies (ns).
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Quantiles {
    /// Median.
    pub p50_ns: u64,
    /// 99th percentile.
    pub p99_ns: u64,
}

impl Load {
    /// Begins to send to `target`.
    pub fn start(&self, target: SocketAddr) -> anyhow::Result<Running> {
        let mut command = Command::new(beside("tierscope")?);
        command
            .args(["load", "--json"])
            .args(["--target", &target.to_string()])
            .args(["--duration", &self.seconds.to_string()])
            .args(["--connections", &CONNECTIONS.to_string()])
            .args(["--seed", &self.seed.to_string()]);
        match self.pace {
            Pace::Closed => command.arg("--closed"),
            Pace::Rate(rate) => command.args(["--rate", &rate.to_string()]),
        };
        Running::start(&mut command)
    }

    /// Sends to `target` until it is over.
    pub fn run(&self, target: SocketAddr) -> anyhow::Result<Summary> {
        summary(self.start(target)?)
    }
}

/// Waits for a load's end.
pub fn summary(load: Running) -> anyhow::Result<Summary> {
    serde_json::from_slice(&load.end()?).context("`tierscope load --json` said something else")
}
