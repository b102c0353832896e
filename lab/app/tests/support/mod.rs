//! A private PostgreSQL, the service in front of it, and a plain HTTP client.

#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod http;
pub mod notes;
pub mod postgres;
pub mod service;
pub mod tracefs;

use std::path::{Path, PathBuf};

/// A file of this package.
pub fn package_file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
