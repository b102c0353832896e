//! The user that all processes of the lab run as.

use std::{
    ffi::OsStr,
    os::unix::{
        fs::{MetadataExt as _, chown},
        process::CommandExt as _,
    },
    path::Path,
    process::Command,
};

use nix::unistd::{User, getegid, geteuid};

use crate::error::{Error, Result};

/// Made by PostgreSQL's package.
const UNPRIVILEGED: &str = "postgres";

/// Ourselves, or `postgres` when we are root.
#[derive(Debug, Clone, Copy)]
pub struct Account {
    uid: u32,
    gid: u32,
    /// We are root and become somebody else.
    switch: bool,
}

impl Account {
    /// The account for a lab started by this process.
    ///
    /// # Errors
    /// [`Error::NoAccount`] when we are root and `postgres` does not exist.
    pub fn choose() -> Result<Self> {
        if !geteuid().is_root() {
            return Ok(Self {
                uid: geteuid().as_raw(),
                gid: getegid().as_raw(),
                switch: false,
            });
        }
        let user = User::from_name(UNPRIVILEGED)
            .ok()
            .flatten()
            .ok_or(Error::NoAccount { name: UNPRIVILEGED })?;
        Ok(Self {
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
            switch: true,
        })
    }

    /// Whether processes run as somebody else than this one.
    pub fn switches(&self) -> bool {
        self.switch
    }

    /// Whether a file of this owner may be part of the lab: its own or its starter's.
    pub fn trusts(&self, uid: u32) -> bool {
        uid == self.uid || uid == geteuid().as_raw()
    }

    /// A command that runs as this account, untouched by the caller's environment (`PGOPTIONS`
    /// and its like would change the lab).
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("LC_ALL", "C.UTF-8");
        if self.switch {
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// Makes the account the owner of `path`.
    pub fn give(&self, path: &Path) -> Result<()> {
        if !self.switch {
            return Ok(());
        }
        chown(path, Some(self.uid), Some(self.gid)).map_err(Error::io("change the owner of", path))
    }

    /// Writes a file that the account owns.
    pub fn write(&self, path: &Path, text: &str) -> Result<()> {
        std::fs::write(path, text).map_err(Error::io("write", path))?;
        self.give(path)
    }

    /// Whether the account can get to `dir` through all directories above it.
    pub fn reaches(&self, dir: &Path) -> Result<()> {
        let closed = dir.ancestors().skip(1).find(|above| !self.enters(above));
        match closed {
            Some(above) if self.switch => Err(Error::Unfit {
                dir: dir.to_path_buf(),
                reason: format!("{} is closed to user {UNPRIVILEGED}", above.display()),
            }),
            _ => Ok(()),
        }
    }

    fn enters(&self, dir: &Path) -> bool {
        std::fs::metadata(dir).is_ok_and(|meta| {
            let needed = match meta {
                ref m if m.uid() == self.uid => 0o100,
                ref m if m.gid() == self.gid => 0o010,
                _ => 0o001,
            };
            meta.mode() & needed != 0
        })
    }
}
