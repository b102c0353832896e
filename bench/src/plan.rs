//! How much is measured.

use crate::{arm::Arm, load::Pace};

/// Pairs of everything, unless told otherwise.
const PAIRS: u32 = 10;

/// A load that every arm is measured under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// The closed loop.
    Saturation,
    /// 50 requests per second.
    Rate50,
    /// 200 requests per second.
    Rate200,
    /// 1,000 requests per second.
    Rate1000,
    /// Half of what the closed loop gets through untraced.
    Half,
}

impl Level {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Saturation,
        Self::Rate50,
        Self::Rate200,
        Self::Rate1000,
        Self::Half,
    ];

    /// Its pace where the closed loop gets `saturation` requests per second through.
    pub fn pace(self, saturation: f64) -> Pace {
        match self {
            Self::Saturation => Pace::Closed,
            Self::Rate50 => Pace::Rate(50.0),
            Self::Rate200 => Pace::Rate(200.0),
            Self::Rate1000 => Pace::Rate(1000.0),
            Self::Half => Pace::Rate((saturation / 2.0).round()),
        }
    }

    /// In tables.
    pub fn label(self) -> &'static str {
        match self {
            Self::Saturation => "saturation",
            Self::Rate50 => "50/s",
            Self::Rate200 => "200/s",
            Self::Rate1000 => "1,000/s",
            Self::Half => "half of saturation",
        }
    }

    /// What is measured under it: what is for comparison only where the stack is busy.
    pub fn arms(self) -> Vec<Arm> {
        let busy = matches!(self, Self::Saturation | Self::Half);
        let measured = |arm: &Arm| busy || !arm.is_for_comparison();
        Arm::ALL.into_iter().filter(measured).collect()
    }

    /// A slow pace needs time for a 99th percentile (s).
    fn seconds(self) -> f64 {
        match self {
            Self::Rate50 => 7.0,
            Self::Rate200 => 4.0,
            _ => 3.0,
        }
    }
}

/// What a measurement is made of.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Runs of every arm under every level.
    pub pairs: u32,
    /// The levels.
    pub levels: Vec<Level>,
    /// Hits per run of the probe loop.
    pub hits: u64,
    quick: bool,
}

impl Plan {
    /// The whole, or the quick one.
    pub fn new(quick: bool, pairs: Option<u32>) -> Self {
        if quick {
            return Self {
                pairs: 2,
                levels: vec![Level::Saturation, Level::Half],
                hits: 20_000,
                quick,
            };
        }
        Self {
            pairs: pairs.unwrap_or(PAIRS),
            levels: Level::ALL.to_vec(),
            hits: 200_000,
            quick,
        }
    }

    /// How long a run under `level` takes (s).
    pub fn seconds(&self, level: Level) -> f64 {
        if self.quick { 1.0 } else { level.seconds() }
    }
}
