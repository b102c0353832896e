//! One experiment as its TOML file says it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use tierscope_analyzer::Kind;
use tierscope_loadgen::Mix;
use tierscope_model::Sample;
use tierscope_tracer::Detail;

use crate::check::CHECKS;
use crate::error::{Error, Result};
use crate::window::{Window, causes};

/// What is run: a load, and faults in some of its requests.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// Short name, part of the run folder's name: letters, digits and `-`.
    #[serde(deserialize_with = "plain_name")]
    pub name: String,
    /// What it shows, one sentence.
    pub title: String,
    /// Checks that this experiment promises to pass, by name; the others are shown.
    #[serde(default, deserialize_with = "expect")]
    pub expect: Vec<String>,
    /// How much of each request is recorded: `"lean"`, or `"full"` if left out.
    #[serde(default)]
    pub detail: Detail,
    /// The share of the requests that is recorded, above 0 and below 1; all of them if left out.
    #[serde(default)]
    pub sample: Option<Sample>,
    /// Nothing is injected, so that its requests tell what is normal for the experiments that are
    /// verified with it.
    #[serde(default)]
    pub baseline: bool,
    /// It is compared with itself, because its load or lab is not the usual one.
    #[serde(default)]
    pub by_itself: bool,
    /// How the lab differs from the usual one.
    #[serde(default)]
    pub lab: LabChanges,
    /// The load.
    pub load: Load,
    /// Faults, each in a share of one endpoint's requests.
    #[serde(default)]
    pub fault: Vec<Fault>,
    /// Faults that hold for a while, in whatever requests they meet.
    #[serde(default)]
    pub window: Vec<Window>,
}

/// How an experiment's lab differs from the usual one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LabChanges {
    /// PostgreSQL's shared buffers, e.g. `1MB`.
    pub shared_buffers: Option<String>,
}

/// A load.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// How requests are paced: a number, or `"closed"`.
    #[serde(deserialize_with = "rate")]
    pub rate: Rate,
    /// Later rates, in the order of their times; none in the closed loop.
    #[serde(default)]
    pub steps: Vec<RateStep>,
    /// Length in seconds, a day at most.
    #[serde(deserialize_with = "duration_s")]
    pub duration_s: f64,
    /// Keep-alive connections.
    #[serde(deserialize_with = "connections")]
    pub connections: usize,
    /// Room for what came to the client and was not read, per connection, in bytes.
    #[serde(default)]
    pub receive_buffer: Option<usize>,
    /// Same seed, same requests.
    pub seed: u64,
    /// Another mix than the default: a file, from the experiment's folder on.
    #[serde(default)]
    pub mix: Option<PathBuf>,
    /// Only what changes nothing is sent, and PostgreSQL is kept from reading on its own.
    #[serde(default)]
    pub read_only: bool,
}

/// A change of the rate.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RateStep {
    /// When, in seconds from the load's start.
    pub at_s: f64,
    /// Requests per second from then on.
    pub rate: f64,
}

/// How requests are paced.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Rate {
    /// Open loop: requests per second, whatever the answers do.
    Open(f64),
    /// Closed loop: every connection sends its next request when its answer is complete.
    Closed(Closed),
}

/// The word for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Closed {
    /// As fast as the connections go.
    Closed,
}

/// A fault that the app makes itself when a request's `X-Lab-Fault` header asks for it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Endpoint of the mix.
    #[serde(deserialize_with = "endpoint")]
    pub endpoint: String,
    /// Share of its requests, 0 to 1, chosen by the seed.
    #[serde(deserialize_with = "share")]
    pub share: f64,
    /// The header's value, e.g. `db_ms=200`; or what the load generator does itself, `slow_read_ms=30`: it
    /// lets the first two parts of the answer lie for so long each.
    #[serde(deserialize_with = "header")]
    pub header: String,
    /// Where the time goes, e.g. `app → postgres`.
    pub hop: String,
    /// The kinds of finding that name it rightly.
    #[serde(default, with = "causes")]
    pub cause: Vec<Kind>,
    /// Those that rightly name what it does to other requests that are under way meanwhile; none where
    /// it does nothing to them.
    #[serde(default, with = "causes")]
    pub others: Vec<Kind>,
    /// Delay that each such request suffers, where it is known.
    pub magnitude_ns: Option<u64>,
}

impl Experiment {
    /// Reads an experiment's file.
    ///
    /// # Errors
    /// The file cannot be read or is not this TOML: with the line and the field.
    pub fn read(path: &Path) -> Result<Experiment> {
        let text = std::fs::read_to_string(path).map_err(Error::read(path))?;
        let wrong = |reason| Error::Spec {
            path: path.into(),
            reason,
        };
        let mut read: Experiment =
            toml::from_str(&text).map_err(|e| wrong(e.to_string().trim_end().to_owned()))?;
        if let Some(mix) = &mut read.load.mix {
            *mix = path.with_file_name(&*mix);
        }
        read.check_windows().map_err(wrong)?;
        Ok(read)
    }

    /// Whether its findings are scored when all experiments are verified.
    pub fn is_scored(&self) -> bool {
        let causes = self.fault.iter().any(|fault| !fault.cause.is_empty());
        self.baseline || causes || !self.window.is_empty() || !self.load.steps.is_empty()
    }

    fn check_windows(&self) -> std::result::Result<(), String> {
        let steps = &self.load.steps;
        let rising = steps.is_sorted_by(|a, b| a.at_s < b.at_s);
        let possible = steps
            .iter()
            .all(|s| s.at_s > 0.0 && s.at_s < self.load.duration_s && s.rate > 0.0);
        if !(rising && possible) {
            return Err(
                "steps: expected rising times within the load, and rates above 0".to_owned(),
            );
        }
        let mix = self.load.mix()?;
        for (number, window) in self.window.iter().enumerate() {
            let which = format!("[[window]] number {}", number + 1);
            if window.last_end_s() > self.load.duration_s {
                return Err(format!("{which} ends after the load"));
            }
            let unknown = |name: &&String| !mix.names().any(|known| **known == ***name);
            if let Some(name) = window.endpoints.iter().find(unknown) {
                return Err(format!("{which}: the mix has no endpoint `{name}`"));
            }
        }
        Ok(())
    }
}

impl Load {
    fn mix(&self) -> std::result::Result<Mix, String> {
        let Some(path) = &self.mix else {
            return Ok(Mix::default());
        };
        let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        Mix::from_toml(&text).map_err(|e| format!("{}: {e}", path.display()))
    }
}

/// The value, if it is fit; else an error that TOML completes with line and field.
fn fit<'de, T, D>(
    input: D,
    fit: impl Fn(&T) -> bool,
    expected: &str,
) -> std::result::Result<T, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    let value = T::deserialize(input)?;
    if fit(&value) {
        return Ok(value);
    }
    Err(D::Error::custom(format!("expected {expected}")))
}

type Field<'de, T, D> = std::result::Result<T, <D as Deserializer<'de>>::Error>;

fn plain_name<'de, D: Deserializer<'de>>(input: D) -> Field<'de, String, D> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let is_name = |name: &String| !name.is_empty() && name.chars().all(plain);
    fit(input, is_name, "letters, digits and `-`")
}

fn rate<'de, D: Deserializer<'de>>(input: D) -> Field<'de, Rate, D> {
    let expected = "requests per second, above 0, or \"closed\"";
    let possible = |rate: &f64| *rate > 0.0 && *rate <= 1e9;
    match Rate::deserialize(input) {
        Ok(Rate::Open(rate)) if !possible(&rate) => {
            Err(D::Error::custom(format!("expected {expected}")))
        }
        Ok(rate) => Ok(rate),
        Err(_) => Err(D::Error::custom(format!("expected {expected}"))),
    }
}

fn duration_s<'de, D: Deserializer<'de>>(input: D) -> Field<'de, f64, D> {
    let possible = |seconds: &f64| *seconds > 0.0 && *seconds <= 86_400.0;
    fit(input, possible, "seconds, above 0 and at most a day")
}

fn connections<'de, D: Deserializer<'de>>(input: D) -> Field<'de, usize, D> {
    fit(input, |n| (1..=65_535).contains(n), "1 to 65535")
}

fn expect<'de, D: Deserializer<'de>>(input: D) -> Field<'de, Vec<String>, D> {
    let known = |names: &Vec<String>| names.iter().all(|name| CHECKS.contains(&name.as_str()));
    fit(input, known, &format!("of {}", CHECKS.join(", ")))
}

fn endpoint<'de, D: Deserializer<'de>>(input: D) -> Field<'de, String, D> {
    let mix = Mix::default();
    let names: Vec<_> = mix.names().map(|name| &**name).collect();
    let known = |name: &String| names.contains(&name.as_str());
    fit(input, known, &format!("one of {}", names.join(", ")))
}

fn share<'de, D: Deserializer<'de>>(input: D) -> Field<'de, f64, D> {
    fit(input, |share| (0.0..=1.0).contains(share), "0 to 1")
}

fn header<'de, D: Deserializer<'de>>(input: D) -> Field<'de, String, D> {
    let printable = |value: &String| {
        !value.is_empty() && value.bytes().all(|byte| (b' '..=b'~').contains(&byte))
    };
    fit(input, printable, "printable ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_experiments_are_valid() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR"));
        let list = |dir: PathBuf| std::fs::read_dir(dir).expect("the folder").flatten();
        for (folder, least) in [("", 20), ("quick", 3)] {
            let paths = list(dir.join(folder)).map(|entry| entry.path());
            let is_one = |path: &PathBuf| {
                path.extension().is_some_and(|e| e == "toml") && !path.ends_with("Cargo.toml")
            };
            let read = paths.filter(is_one).map(|path| Experiment::read(&path));
            let read = read.collect::<Result<Vec<_>>>().expect("valid").len();
            assert!(read >= least, "{read} in {folder:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let sound = "name = 'x'\ntitle = 'x'\n[load]\nrate = 10\nduration_s = 1\nconnections = 1\nseed = 1\n\
                     [[fault]]\nendpoint = 'search'\nshare = 0.5\nheader = 'db_ms=1'\nhop = 'app'\n";
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("x.toml");
        let read = |text: &str| {
            std::fs::write(&path, text).expect("written");
            Experiment::read(&path)
        };
        read(sound).expect("sound");
        for (field, wrong, line) in [
            ("name = 'x'", "name = '../x'", 1),
            ("title = 'x'", "expect = ['los']", 2),
            ("title = 'x'", "titel = 'x'", 2),
            ("rate = 10", "rate = -10", 4),
            ("rate = 10", "rate = nan", 4),
            ("rate = 10", "rate = 'fast'", 4),
            ("duration_s = 1", "duration_s = 1e300", 5),
            ("connections = 1", "connections = 0", 6),
            ("'search'", "'serach'", 9),
            ("share = 0.5", "share = 2", 10),
            ("'db_ms=1'", "\"db_ms=1\\r\\nHost: x\"", 11),
        ] {
            let error = read(&sound.replace(field, wrong))
                .expect_err(wrong)
                .to_string();
            let name = wrong.split(' ').next().unwrap_or_default();
            let place = format!("line {line},");
            assert!(
                error.contains(&place) && error.contains(name),
                "{wrong}: {error}"
            );
        }
    }
}
