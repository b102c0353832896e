//! What runs beside the load.

use serde::Serialize;

/// One way to trace, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Arm {
    /// Nothing: what all others are held against.
    Off,
    /// Every request, every probe.
    Full,
    /// Every request, without PostgreSQL's probes and files.
    Lean,
    /// One request in a hundred, without PostgreSQL's probes and files.
    Sampled,
    /// Every probe, of another lab that idles: what hooks cost that find nothing to tell.
    Beside,
    /// Peer: the same probes, each event a line of JSON that a second process parses.
    Pipeline,
    /// Peer: OpenTelemetry's SDK in the app.
    Otel,
}

impl Arm {
    /// All of them, the reference first.
    pub const ALL: [Self; 7] = [
        Self::Off,
        Self::Full,
        Self::Lean,
        Self::Sampled,
        Self::Beside,
        Self::Pipeline,
        Self::Otel,
    ];

    /// In tables.
    pub fn label(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Full => "100 %, full",
            Self::Lean => "100 %, lean",
            Self::Sampled => "1 %, lean",
            Self::Beside => "another lab, full",
            Self::Pipeline => "JSON pipeline",
            Self::Otel => "OpenTelemetry SDK",
        }
    }

    /// Whether it is measured where the stack is busy only.
    pub fn is_for_comparison(self) -> bool {
        matches!(self, Self::Beside | Self::Pipeline | Self::Otel)
    }

    /// Further options of `tierscope record`; none where it does not run.
    pub fn recording(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Full | Self::Beside => Some(&["--detail", "full"]),
            Self::Lean => Some(&["--detail", "lean"]),
            Self::Sampled => Some(&["--detail", "lean", "--sample", "0.01"]),
            Self::Off | Self::Pipeline | Self::Otel => None,
        }
    }
}
