//! Which requests a sampled recording holds.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::RequestId;

/// A share of all requests, chosen by their ids alone: every tier and every tool chooses the same ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Sample {
    below: u64,
}

/// A share that is none.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("{0} is not a share of the requests: expected a number above 0 and below 1")]
pub struct SampleError(String);

const ALL: f64 = 18_446_744_073_709_551_616.0;

impl Sample {
    /// The requests whose mixed id is below this. Over 0.
    pub fn below(self) -> u64 {
        self.below
    }

    /// Over 0, below 1.
    pub fn share(self) -> f64 {
        self.below as f64 / ALL
    }

    /// Whether the request is in the sample.
    pub fn keeps(self, id: RequestId) -> bool {
        spread(spread((id.0 >> 64) as u64) ^ id.0 as u64) < self.below
    }
}

impl TryFrom<f64> for Sample {
    type Error = SampleError;

    fn try_from(share: f64) -> Result<Sample, SampleError> {
        let below = (share * ALL) as u64;
        if share < 1.0 && below > 0 {
            Ok(Sample { below })
        } else {
            Err(SampleError(share.to_string()))
        }
    }
}

impl From<Sample> for f64 {
    fn from(sample: Sample) -> f64 {
        sample.share()
    }
}

impl FromStr for Sample {
    type Err = SampleError;

    fn from_str(text: &str) -> Result<Sample, SampleError> {
        let share: f64 = text.parse().map_err(|_| SampleError(text.to_owned()))?;
        Sample::try_from(share)
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.share().fmt(f)
    }
}

/// MurmurHash3's last step, as in `tracer/bpf/sample.h`.
fn spread(x: u64) -> u64 {
    let x = (x ^ (x >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let x = (x ^ (x >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ (x >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_about_its_share_of_ids_that_follow_each_other() {
        let sample: Sample = "0.1".parse().expect("a share");
        for shift in [0, 64] {
            let kept = (0..100_000u128).filter(|n| sample.keeps(RequestId(n << shift)));
            // Five standard deviations.
            let kept = kept.count();
            assert!(kept.abs_diff(10_000) < 475, "{kept}");
        }
    }

    #[test]
    fn a_share_reads_as_it_is_written() {
        for text in ["0.01", "0.1", "0.333", "0.999"] {
            let sample: Sample = text.parse().expect("a share");
            assert_eq!(sample.to_string(), text);
            assert_eq!(sample.to_string().parse(), Ok(sample));
        }
    }

    #[test]
    fn none_and_all_are_no_samples() {
        for text in ["0", "1", "-0.1", "1.5", "NaN", "inf", "1e-30", "a"] {
            assert!(text.parse::<Sample>().is_err(), "{text}");
        }
    }
}
