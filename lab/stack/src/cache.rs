//! The cache of seeded clusters: initdb and seeding take seconds, a copy does not.

use std::{
    fs::{DirBuilder, File},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use nix::unistd::geteuid;

use crate::{
    error::{Error, Result},
    launch::run,
};

/// Where the cluster for this PostgreSQL and this content is kept, if it is kept already:
/// below `$XDG_CACHE_HOME/tierscope`, `/var/cache/tierscope` (root) or `~/.cache/tierscope`.
pub fn slot(version: &str, content: &[&str]) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    root().join(format!("cluster-{version}-{:016x}", hasher.finish()))
}

fn root() -> PathBuf {
    let set = |name| {
        std::env::var_os(name)
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
    };
    let base = set("XDG_CACHE_HOME").unwrap_or_else(|| match set("HOME") {
        Some(home) if !geteuid().is_root() => home.join(".cache"),
        _ => PathBuf::from("/var/cache"),
    });
    base.join("tierscope")
}

/// Copies the stored cluster to `data`; false where none is stored.
pub fn fetch(slot: &Path, data: &Path) -> Result<bool> {
    if !slot.is_dir() {
        return Ok(false);
    }
    copy(slot, data).map(|()| true)
}

/// Stores the stopped cluster `data`, whole or not at all.
pub fn store(data: &Path, slot: &Path) -> Result<()> {
    let root = slot.parent().unwrap_or(slot);
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(root)
        .map_err(Error::io("make", root))?;
    // One at a time: whatever else is half stored was left by a crash.
    let lock = File::open(root).map_err(Error::io("open", root))?;
    lock.lock().map_err(Error::io("lock", root))?;
    if slot.is_dir() {
        return Ok(());
    }
    let partial = root.join("partial");
    if partial.exists() {
        std::fs::remove_dir_all(&partial).map_err(Error::io("remove", &partial))?;
    }
    copy(data, &partial)?;
    // initdb was told not to sync; what is kept must survive a power cut.
    let mut sync = Command::new("sync");
    sync.arg("-f").arg(&partial);
    run(sync)?;
    std::fs::rename(&partial, slot).map_err(Error::io("store", slot))
}

/// Keeps owners and modes, shares blocks where the file system can.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let mut cp = Command::new("cp");
    cp.args(["-a", "--reflink=auto", "-T"]).args([from, to]);
    run(cp)
}
