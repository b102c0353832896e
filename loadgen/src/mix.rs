//! The weighted mix of endpoints, read from TOML.

use std::sync::Arc;

use rand::{
    RngExt as _, SeedableRng as _,
    distr::{Distribution as _, weighted::WeightedIndex},
    rngs::ChaCha8Rng,
};
use serde::{Deserialize, Deserializer, de::Error as _};
use toml::Spanned;

use crate::{request::Request, template::Template};

const DEFAULT: &str = include_str!("../mix.toml");
const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// Why a mix cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MixError {
    /// Not the TOML that is expected; the message shows line and field.
    #[error("mix: {0}")]
    Toml(#[from] toml::de::Error),
    /// No endpoint at all.
    #[error("mix: no [[endpoint]]: nothing to send")]
    Empty,
    /// A fault that cannot be put in.
    #[error(
        "fault {fault:?} in {share} of `{endpoint}`: expected an endpoint of the mix, a share of 0 to 1 and a printable header value"
    )]
    Fault {
        /// As asked for.
        endpoint: String,
        /// As asked for.
        share: f64,
        /// As asked for.
        fault: String,
    },
    /// Fields of one endpoint that do not fit together.
    #[error("mix, line {line}: endpoint `{name}`: {reason}")]
    Endpoint {
        /// Line on which the endpoint begins, from 1.
        line: usize,
        /// Its name.
        name: Arc<str>,
        /// What is wrong.
        reason: &'static str,
    },
}

/// What is sent, and how often: endpoints with weights, path and body templates and faults.
#[derive(Debug, Clone)]
pub struct Mix {
    words: Vec<String>,
    endpoints: Vec<Endpoint>,
    weights: WeightedIndex<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default, deserialize_with = "words")]
    words: Vec<String>,
    #[serde(default)]
    endpoint: Vec<Spanned<Endpoint>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Endpoint {
    name: Arc<str>,
    #[serde(deserialize_with = "weight")]
    weight: f64,
    #[serde(deserialize_with = "method")]
    method: Arc<str>,
    #[serde(deserialize_with = "path")]
    path: Template,
    body: Option<Template>,
    #[serde(default, deserialize_with = "header_value")]
    fault: Option<Arc<str>>,
    #[serde(default, deserialize_with = "share")]
    fault_share: Option<f64>,
}

impl Mix {
    /// Reads a mix, in the form of `mix.toml`.
    ///
    /// # Errors
    /// Broken TOML, a field that is missing, unknown or out of range, or fields that do not fit
    /// together: with the line and the field.
    pub fn from_toml(text: &str) -> Result<Self, MixError> {
        let file: File = toml::from_str(text)?;
        let mut seen = Vec::new();
        for endpoint in &file.endpoint {
            let fault = endpoint.get_ref().conflict(&file.words, &seen);
            if let Some(reason) = fault {
                let line = text[..endpoint.span().start].matches('\n').count() + 1;
                let name = endpoint.get_ref().name.clone();
                return Err(MixError::Endpoint { line, name, reason });
            }
            seen.push(&endpoint.get_ref().name);
        }
        let weights = WeightedIndex::new(file.endpoint.iter().map(|e| e.get_ref().weight))
            .map_err(|_| MixError::Empty)?;
        let endpoints = file.endpoint.into_iter().map(Spanned::into_inner).collect();
        Ok(Self {
            words: file.words,
            endpoints,
            weights,
        })
    }

    /// The mix with a fault in a share (0 to 1) of one endpoint's requests.
    ///
    /// # Errors
    /// No such endpoint, or a header value or share that is none.
    pub fn with_fault(mut self, endpoint: &str, share: f64, fault: &str) -> Result<Self, MixError> {
        let printable =
            !fault.is_empty() && fault.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        let known = self
            .endpoints
            .iter_mut()
            .find(|known| *known.name == *endpoint);
        match known.filter(|_| printable && (0.0..=1.0).contains(&share)) {
            Some(known) => (known.fault, known.fault_share) = (Some(fault.into()), Some(share)),
            None => {
                return Err(MixError::Fault {
                    endpoint: endpoint.into(),
                    share,
                    fault: fault.into(),
                });
            }
        }
        Ok(self)
    }

    /// The mix without what changes anything: GET alone, in the weights it has.
    ///
    /// # Errors
    /// Nothing is left.
    pub fn read_only(mut self) -> Result<Self, MixError> {
        self.endpoints.retain(|endpoint| &*endpoint.method == "GET");
        let weights = self.endpoints.iter().map(|endpoint| endpoint.weight);
        self.weights = WeightedIndex::new(weights).map_err(|_| MixError::Empty)?;
        Ok(self)
    }

    /// Request number `n` of `seed`: the same whenever and however often it is asked for.
    pub fn request(&self, seed: u64, n: u64) -> Request {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&n.to_le_bytes());
        let mut rng = ChaCha8Rng::from_seed(key);
        let endpoint = &self.endpoints[self.weights.sample(&mut rng)];
        // Drawn for every request, so that a changed share leaves paths and bodies as they were.
        let faulty = rng.random::<f64>() < endpoint.fault_share.unwrap_or(1.0);
        Request {
            n,
            endpoint: endpoint.name.clone(),
            method: endpoint.method.clone(),
            target: endpoint.path.render(&mut rng, &self.words),
            body: endpoint
                .body
                .as_ref()
                .map(|body| body.render(&mut rng, &self.words)),
            fault: endpoint.fault.clone().filter(|_| faulty),
        }
    }

    /// The endpoints' names, in the file's order.
    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.endpoints.iter().map(|endpoint| &endpoint.name)
    }
}

impl Default for Mix {
    /// The lab's own mix, `mix.toml`.
    fn default() -> Self {
        Self::from_toml(DEFAULT)
            .unwrap_or_else(|error| unreachable!("the embedded mix has a test: {error}"))
    }
}

impl Endpoint {
    fn conflict(&self, words: &[String], seen: &[&Arc<str>]) -> Option<&'static str> {
        let mut templates = std::iter::once(&self.path).chain(&self.body);
        if templates.any(Template::needs_words) && words.is_empty() {
            Some("uses {word}, but `words` is missing or empty")
        } else if self.fault_share.is_some() && self.fault.is_none() {
            Some("has `fault_share` but no `fault`")
        } else if seen.contains(&&self.name) {
            Some("has the name of an earlier endpoint")
        } else {
            None
        }
    }
}

fn words<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<String>, D::Error> {
    let words = Vec::<String>::deserialize(input)?;
    let safe = |c: char| c.is_ascii_alphanumeric() || "-_.~".contains(c);
    match words.iter().find(|w| w.is_empty() || !w.chars().all(safe)) {
        Some(word) => Err(D::Error::custom(format!(
            "word {word:?}: only letters, digits and -_.~ go into a URL as they are"
        ))),
        None => Ok(words),
    }
}

fn weight<'de, D: Deserializer<'de>>(input: D) -> Result<f64, D::Error> {
    let weight = f64::deserialize(input)?;
    if weight > 0.0 && weight.is_finite() {
        return Ok(weight);
    }
    Err(D::Error::custom("weight: expected a number above 0"))
}

fn share<'de, D: Deserializer<'de>>(input: D) -> Result<Option<f64>, D::Error> {
    let share = f64::deserialize(input)?;
    if (0.0..=1.0).contains(&share) {
        return Ok(Some(share));
    }
    Err(D::Error::custom("fault_share: expected 0 to 1"))
}

fn method<'de, D: Deserializer<'de>>(input: D) -> Result<Arc<str>, D::Error> {
    let method = String::deserialize(input)?;
    if METHODS.contains(&method.as_str()) {
        return Ok(method.into());
    }
    let known = METHODS.join(", ");
    Err(D::Error::custom(format!("method: expected one of {known}")))
}

fn path<'de, D: Deserializer<'de>>(input: D) -> Result<Template, D::Error> {
    let path = Template::deserialize(input)?;
    let plain = path
        .literals()
        .all(|t| t.bytes().all(|b| b.is_ascii_graphic()));
    if plain && path.literals().next().is_some_and(|t| t.starts_with('/')) {
        return Ok(path);
    }
    Err(D::Error::custom(
        "path: expected / and then ASCII without spaces (percent-encode the rest)",
    ))
}

fn header_value<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Arc<str>>, D::Error> {
    let value = String::deserialize(input)?;
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
        return Ok(Some(value.into()));
    }
    Err(D::Error::custom("fault: expected printable ASCII"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "mix_tests.rs"]
mod tests;
