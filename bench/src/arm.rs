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
    /// Peer: the same probes, each event a line of JSON that a second process parses.
    Pipeline,
    /// Peer: OpenTelemetry's SDK in the app.
    Otel,
}

impl Arm {
    /// All of them, the reference first.
    pub const ALL: [Self; 6] = [
        Self::Off,
        Self::Full,
        Self::Lean,
        Self::Sampled,
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
            Self::Pipeline => "JSON pipeline",
            Self::Otel => "OpenTelemetry SDK",
        }
    }

    /// Whether it is somebody else's way.
    pub fn is_peer(self) -> bool {
        matches!(self, Self::Pipeline | Self::Otel)
    }

    /// Further options of `tierscope record`; none where it does not run.
    pub fn recording(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Full => Some(&["--detail", "full"]),
            Self::Lean => Some(&["--detail", "lean"]),
            Self::Sampled => Some(&["--detail", "lean", "--sample", "0.01"]),
            Self::Off | Self::Pipeline | Self::Otel => None,
        }
    }
}
