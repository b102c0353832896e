//! Small questions to the running kernel, and the embedded object.

use std::error::Error;
use std::fs;

use aya::{Btf, Ebpf, EbpfLoader};
use tierscope_model::Sample;

use crate::TracerError;

/// The BPF programs, as compiled by `build.rs`.
pub(crate) static OBJECT: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/tierscope.bpf.o"));

/// The running kernel's release, such as `6.18.0`; empty where /proc is not mounted.
pub fn release() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease")
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

/// The oldest kernel that has every hook that tracing needs, in one form or another.
const OLDEST: (u32, u32) = (6, 1);

/// Whether kernel `release` is new enough. One of which the version cannot be read is taken for it: its hooks
/// will tell.
///
/// # Errors
///
/// [`TracerError::OldKernel`].
pub(crate) fn supported(release: &str) -> Result<(), TracerError> {
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map_while(|part| part.parse().ok());
    let version = numbers.next().zip(numbers.next());
    match version.is_some_and(|version| version < OLDEST) {
        true => Err(TracerError::OldKernel {
            release: release.into(),
        }),
        false => Ok(()),
    }
}

/// The kernel's description of its own types.
pub(crate) fn btf() -> Result<Btf, TracerError> {
    Btf::from_sys_fs().map_err(TracerError::NoBtf)
}

/// Makes the maps and relocates the programs; none is in the kernel yet.
pub(crate) fn load_object(
    btf: &Btf,
    ring_bytes: u32,
    sample: Option<Sample>,
) -> Result<Ebpf, TracerError> {
    let below = sample.map_or(0, Sample::below);
    let mut loader = EbpfLoader::new();
    loader
        .btf(Some(btf))
        .map_max_entries("events", ring_bytes)
        .override_global("sample_below", &below, true)
        // Task storage: aya makes the map but has no reader for it, and we need none.
        .allow_unsupported_maps();
    if sample.is_none() {
        loader
            .map_max_entries("talks", 1)
            .map_max_entries("servers", 1);
    }
    loader
        .load(OBJECT)
        .map_err(|error| TracerError::Load(Box::new(error)))
}

/// An error and its causes on one line, without the verifier's log.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = first_line(&error.to_string());
    let mut cause = error.source();
    while let Some(error) = cause {
        let line = first_line(&error.to_string());
        if !text.contains(&line) {
            text = format!("{text}: {line}");
        }
        cause = error.source();
    }
    text
}

fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let end = line.find(". Verifier output").unwrap_or(line.len());
    line[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_before_6_1_are_refused_with_the_reason() {
        for release in [
            "6.1.0-50-cloud-amd64",
            "6.18.0",
            "10.0",
            "6.1-rc1",
            "unknown",
            "",
        ] {
            supported(release).expect(release);
        }
        for release in ["5.15.0-91-generic", "6.0.19", "4.19"] {
            let error = supported(release).expect_err(release).to_string();
            assert!(
                error.contains(release) && error.contains("6.1 or newer"),
                "{error}"
            );
        }
    }
}
