//! The private directory and the lock on it.

use std::{
    fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError},
    io,
    os::unix::fs::{
        DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
    },
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use crate::{
    account::Account,
    error::{Error, Result},
    state,
};

const LOCK: &str = "lab.lock";
/// A take-down that has begun is over by then.
const PATIENCE: Duration = Duration::from_secs(2);

/// Makes `dir` private and ours, and locks it.
///
/// # Errors
/// [`Error::Unfit`] when it is somebody else's or holds something else, [`Error::Held`] when
/// another process has the lock.
pub fn claim(dir: &Path, account: &Account) -> Result<File> {
    account.reaches(dir)?;
    let start = Instant::now();
    loop {
        make(dir, account)?;
        // Whoever takes the lab down unlinks the lock file: then what we locked is nothing.
        match lock(dir) {
            Ok(Some(lock)) if is_current(dir, &lock) => return Ok(lock),
            Ok(_) if start.elapsed() > PATIENCE => return Err(Error::Held { dir: dir.into() }),
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(Error::io("lock", dir)(e));
            }
            _ => sleep(Duration::from_millis(20)),
        }
    }
}

fn make(dir: &Path, account: &Account) -> Result<()> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => check(dir, account)?,
        Err(e) => return Err(Error::io("make", dir)(e)),
    }
    std::fs::set_permissions(dir, Permissions::from_mode(0o700))
        .map_err(Error::io("make private", dir))?;
    account.give(dir)
}

fn check(dir: &Path, account: &Account) -> Result<()> {
    let unfit = |reason: &str| {
        Err(Error::Unfit {
            dir: dir.to_path_buf(),
            reason: reason.to_owned(),
        })
    };
    let meta = dir.symlink_metadata().map_err(Error::io("look at", dir))?;
    if !meta.is_dir() {
        return unfit("it is not a directory");
    }
    if !account.trusts(meta.uid()) {
        return unfit("it belongs to another user");
    }
    let empty = dir
        .read_dir()
        .is_ok_and(|mut entries| entries.next().is_none());
    if !empty && !dir.join(LOCK).exists() && !dir.join(state::FILE).exists() {
        return unfit("it holds something else");
    }
    Ok(())
}

fn lock(dir: &Path) -> io::Result<Option<File>> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .custom_flags(nix::libc::O_NOFOLLOW)
        .open(dir.join(LOCK))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(e)) => Err(e),
    }
}

fn is_current(dir: &Path, lock: &File) -> bool {
    let identity = |meta: std::fs::Metadata| (meta.dev(), meta.ino());
    let ours = lock.metadata().map(identity);
    let named = dir.join(LOCK).metadata().map(identity);
    matches!((ours, named), (Ok(a), Ok(b)) if a == b)
}
