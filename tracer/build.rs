//! Compiles the BPF programs with clang and turns `events.h` into Rust.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use bindgen::callbacks::{DeriveInfo, ParseCallbacks};

fn main() -> Result<()> {
    println!("cargo:rerun-if-changed=bpf");
    let out = PathBuf::from(env::var_os("OUT_DIR").context("OUT_DIR is not set")?);
    generate_records(&out.join("wire_record.rs"))?;
    compile_programs(&out.join("tierscope.bpf.o"))
}

/// Writes the Rust form of `events.h` to `out`.
fn generate_records(out: &Path) -> Result<()> {
    bindgen::builder()
        .header("bpf/events.h")
        .allowlist_item("ts_.*|TS_.*")
        .prepend_enum_name(false)
        .derive_default(true)
        .use_core()
        // The header's own comments are the generated items' docs.
        .clang_arg("-fparse-all-comments")
        .parse_callbacks(Box::new(ZerocopyDerives))
        .generate()
        .context("bindgen could not read bpf/events.h")?
        .write_to_file(out)
        .with_context(|| format!("cannot write {}", out.display()))
}

/// Makes every record readable from, and writable as, plain bytes.
#[derive(Debug)]
struct ZerocopyDerives;

impl ParseCallbacks for ZerocopyDerives {
    fn add_derives(&self, _: &DeriveInfo<'_>) -> Vec<String> {
        ["FromBytes", "IntoBytes", "KnownLayout", "Immutable"]
            .map(|name| format!("zerocopy::{name}"))
            .to_vec()
    }
}

/// Compiles `bpf/tierscope.bpf.c`, which includes every probe family, to `out`.
fn compile_programs(out: &Path) -> Result<()> {
    let clang = env::var("CLANG").unwrap_or_else(|_| "clang".into());
    println!("cargo:rerun-if-env-changed=CLANG");
    let status = Command::new(&clang)
        .args([
            "-target", "bpf", "-mcpu=v3", "-O2", "-g", "-Wall", "-Werror",
        ])
        .arg(format!("-D__TARGET_ARCH_{}", bpf_arch()?))
        .args(["-c", "bpf/tierscope.bpf.c", "-o"])
        .arg(out)
        .status()
        .with_context(|| {
            format!("cannot run {clang}: apt-get install clang libbpf-dev, or set CLANG")
        })?;
    if !status.success() {
        bail!(
            "{clang} could not compile bpf/tierscope.bpf.c ({status}); are libbpf's headers there (apt-get install libbpf-dev)?"
        );
    }
    Ok(())
}

/// The target's name as libbpf's headers spell it.
fn bpf_arch() -> Result<&'static str> {
    match env::var("CARGO_CFG_TARGET_ARCH").as_deref() {
        Ok("x86_64") => Ok("x86"),
        Ok("aarch64") => Ok("arm64"),
        other => bail!("tierscope's BPF programs know x86_64 and aarch64, not {other:?}"),
    }
}
