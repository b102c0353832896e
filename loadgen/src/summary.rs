//! What a run comes to, as numbers.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::socket_info::SocketInfo;

/// Quantiles of a latency in ns, 3 significant digits; all 0 when nothing was measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Quantiles {
    /// Median.
    pub p50_ns: u64,
    /// 90th percentile.
    pub p90_ns: u64,
    /// 99th percentile.
    pub p99_ns: u64,
    /// 99.9th percentile.
    pub p999_ns: u64,
    /// Largest.
    pub max_ns: u64,
}

impl From<&Histogram<u64>> for Quantiles {
    fn from(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile).min(histogram.max());
        Self {
            p50_ns: at(0.5),
            p90_ns: at(0.9),
            p99_ns: at(0.99),
            p999_ns: at(0.999),
            max_ns: histogram.max(),
        }
    }
}

/// One endpoint, or all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EndpointSummary {
    /// Name in the mix; `total` for all.
    pub name: String,
    /// Requests that were due: sent or not.
    pub requests: u64,
    /// Requests written to a connection.
    pub sent: u64,
    /// Answers with a status below 400.
    pub ok: u64,
    /// Latency of every complete answer, from its intended send time.
    pub from_intended: Quantiles,
    /// The same, from its actual send time.
    pub from_send: Quantiles,
}

/// A run's result.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Requests per second that were asked for; none in the closed loop.
    pub target_rate: Option<f64>,
    /// Complete answers per second, from the first intended time to the last answer.
    pub achieved_rate: f64,
    /// First intended time to the end of the run, ns.
    pub elapsed_ns: u64,
    /// Connections, and how long opening them took before the first request, ns.
    pub connections: usize,
    /// See `connections`.
    pub set_up_ns: u64,
    /// Connections opened again during the run.
    pub reconnects: u64,
    /// Tries to do so that failed.
    pub connect_failures: u64,
    /// Whether Ctrl-C or SIGTERM ended the run early.
    pub interrupted: bool,
    /// Requests without a good answer, by kind: an [`ErrorKind`](crate::ErrorKind)'s name, or
    /// `http_` and a status of 400 or more.
    pub errors: BTreeMap<String, u64>,
    /// How far actual sends fell behind intended ones.
    pub send_lag: Quantiles,
    /// All endpoints together.
    pub total: EndpointSummary,
    /// Each endpoint, in the mix's order.
    pub endpoints: Vec<EndpointSummary>,
    /// What the kernel told of each connection at its end.
    pub sockets: Vec<SocketInfo>,
}
