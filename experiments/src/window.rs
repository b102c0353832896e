//! A fault that holds for a while, as an experiment's file says it.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use tierscope_analyzer::Kind;
use tierscope_model::Nanos;

use crate::inject::Fault;

/// A fault in all that happens for a time, once or more often.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// When it begins, in seconds from the load's start.
    #[serde(deserialize_with = "starts")]
    pub starts_s: Vec<f64>,
    /// How long it holds each time, in milliseconds.
    pub for_ms: u64,
    /// Where the time goes, e.g. `app → postgres`.
    pub hop: String,
    /// The kinds of finding that name it rightly.
    #[serde(with = "causes")]
    pub cause: Vec<Kind>,
    /// The endpoints of the mix that it can reach; all if left out.
    #[serde(default)]
    pub endpoints: Vec<String>,
    /// Delay that each request that meets it suffers, where it is known.
    pub magnitude_ns: Option<Nanos>,
    /// How it is made.
    pub inject: Fault,
}

impl Window {
    /// When it ends for the last time, in seconds from the load's start.
    pub(crate) fn last_end_s(&self) -> f64 {
        let last = self.starts_s.iter().copied().fold(0.0, f64::max);
        last + self.for_ms as f64 / 1e3
    }

    /// Whether it can reach an endpoint of the mix.
    pub(crate) fn reaches(&self, endpoint: &str) -> bool {
        self.endpoints.is_empty() || self.endpoints.iter().any(|name| name == endpoint)
    }
}

fn starts<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<f64>, D::Error> {
    let starts = Vec::<f64>::deserialize(input)?;
    let rising = starts.windows(2).all(|pair| pair[0] < pair[1]);
    let possible = starts.iter().all(|s| (0.0..=86_400.0).contains(s));
    if rising && possible && !starts.is_empty() {
        return Ok(starts);
    }
    Err(D::Error::custom("expected rising seconds, a day at most"))
}

/// Kinds of finding, by their names.
pub(crate) mod causes {
    use super::{Deserialize, Deserializer, Kind, Serialize, Serializer};
    use serde::de::Error as _;

    pub(crate) fn serialize<S: Serializer>(kinds: &[Kind], to: S) -> Result<S::Ok, S::Error> {
        let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
        names.serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Kind>, D::Error> {
        let names = Vec::<String>::deserialize(from)?;
        let known = |name: &String| {
            Kind::named(name).ok_or_else(|| {
                let all = Kind::ALL.map(Kind::name).join(", ");
                D::Error::custom(format!("`{name}` is no kind of finding; expected of {all}"))
            })
        };
        names.iter().map(known).collect()
    }
}
