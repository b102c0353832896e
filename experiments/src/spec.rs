//! One experiment as its TOML file says it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// What is run: a load, and faults in some of its requests.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// Short name, part of the run folder's name: letters, digits and `-`.
    pub name: String,
    /// What it shows, one sentence.
    pub title: String,
    /// The load.
    pub load: Load,
    /// Faults, each in a share of one endpoint's requests.
    #[serde(default)]
    pub fault: Vec<Fault>,
}

/// An open-loop load on the default mix.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// Requests per second.
    pub rate: f64,
    /// Length in seconds.
    pub duration_s: f64,
    /// Keep-alive connections.
    pub connections: usize,
    /// Same seed, same requests.
    pub seed: u64,
}

/// A fault that the app makes itself when a request's `X-Lab-Fault` header asks for it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Endpoint of the mix.
    pub endpoint: String,
    /// Share of its requests, 0 to 1, chosen by the seed.
    pub share: f64,
    /// The header's value, e.g. `db_ms=200`.
    pub header: String,
    /// Where the time goes, e.g. `app → postgres`.
    pub hop: String,
    /// Delay that each such request suffers, where it is known.
    pub magnitude_ns: Option<u64>,
}

impl Experiment {
    /// Reads an experiment's file.
    ///
    /// # Errors
    /// The file cannot be read, is not this TOML (with line and field), or its name cannot be part
    /// of a folder's name.
    pub fn read(path: &Path) -> Result<Experiment> {
        let text = std::fs::read_to_string(path).map_err(|source| Error::Read {
            path: path.into(),
            source,
        })?;
        let experiment: Experiment = toml::from_str(&text).map_err(|source| Error::Spec {
            path: path.into(),
            reason: source.to_string(),
        })?;
        experiment.check(path.into())?;
        Ok(experiment)
    }

    fn check(&self, path: PathBuf) -> Result<()> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if self.name.is_empty() || !self.name.chars().all(plain) {
            let reason = format!("name {:?}: expected letters, digits and `-`", self.name);
            return Err(Error::Spec { path, reason });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_experiments_are_valid() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut read = 0;
        for entry in std::fs::read_dir(dir).expect("the folder").flatten() {
            if entry.path().extension().is_some_and(|e| e == "toml")
                && entry.file_name() != "Cargo.toml"
            {
                Experiment::read(&entry.path()).expect("valid");
                read += 1;
            }
        }
        assert!(read >= 2, "{read} experiments");
    }

    #[test]
    fn an_unknown_field_is_named_with_its_line() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("x.toml");
        std::fs::write(&path, "name = 'x'\ntitle = 'x'\nlod = 1\n").expect("written");
        let error = Experiment::read(&path).expect_err("refused").to_string();
        assert!(error.contains("lod") && error.contains("line 3"), "{error}");
    }
}
