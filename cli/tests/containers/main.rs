//! compose.yaml and its images: what they promise (`file`), and that they can be traced (`traced`).

#[path = "../support/mod.rs"]
mod support;

mod file;
mod traced;

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
