//! The script that takes a lab down, waiting behind a pipe as long as the lab has an owner.

use std::{
    ffi::OsStr,
    fs::File,
    io::{Read as _, Write as _},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::error::{Error, Result};

const SCRIPT: &str = include_str!("takedown.sh");

/// Takes the lab down when dropped, also by the kernel when this process dies.
#[derive(Debug)]
pub struct Guard {
    dir: PathBuf,
    script: Child,
}

impl Guard {
    /// Starts to guard the lab in `dir`. The lock on it lives until the guard is done, because
    /// the script inherits it.
    pub fn watch(dir: &Path, programs: &[PathBuf], lock: &File) -> Result<Self> {
        let lock = lock
            .try_clone()
            .map_err(Error::io("share the lock on", dir))?;
        let script = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "tierscope-lab-guard"])
            .arg(dir)
            .args(programs)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(lock)
            .stderr(Stdio::piped())
            .spawn()
            .map_err(Error::io("start", OsStr::new("/bin/sh")))?;
        Ok(Self {
            dir: dir.to_path_buf(),
            script,
        })
    }

    /// Lets the lab live on without an owner.
    pub fn release(mut self) -> Result<()> {
        let told = self
            .script
            .stdin
            .take()
            .map(|mut pipe| pipe.write_all(b"release\n"));
        told.unwrap_or(Ok(()))
            .and_then(|()| self.script.wait())
            .map(|_| ())
            .map_err(Error::io("release the guard of", &self.dir))
    }

    /// Takes the lab down and waits until nothing of it is left.
    ///
    /// # Errors
    /// [`Error::Remains`] says what is.
    pub fn take_down(mut self) -> Result<()> {
        drop(self.script.stdin.take());
        let mut left = String::new();
        if let Some(mut said) = self.script.stderr.take() {
            let _ = said.read_to_string(&mut left);
        }
        let status = self
            .script
            .wait()
            .map_err(Error::io("take down", &self.dir))?;
        if status.success() {
            return Ok(());
        }
        Err(Error::Remains {
            dir: self.dir,
            left: left.trim().to_owned(),
        })
    }
}
