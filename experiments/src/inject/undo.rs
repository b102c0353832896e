//! Undoes what is changed outside the lab's own directory and processes, also after a crash.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use crate::error::{Error, Result};

/// Waits for a word; where none comes, because whoever would say it died, it undoes.
const WAIT: &str = "trap '' INT TERM HUP\nread -r word; [ \"$word\" = done ] && exit 0\n";

/// A `sh` that waits on a pipe. It runs the undo when the pipe closes: when this is dropped, and by the
/// kernel when this process dies.
#[derive(Debug)]
pub(crate) struct Undo {
    script: Option<Child>,
}

impl Undo {
    /// Waits with `script`, a piece of `sh` whose `$1`, `$2`, … are `arguments`. To be armed before
    /// what it undoes is done; so it must bear that nothing was done yet.
    ///
    /// # Errors
    /// No process can be started.
    pub(crate) fn arm<A: AsRef<OsStr>>(script: &str, arguments: &[A]) -> Result<Undo> {
        let script = Command::new("/bin/sh")
            .args(["-c", &format!("{WAIT}{script}"), "tierscope-undo"])
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| failed(e.to_string()))?;
        Ok(Undo {
            script: Some(script),
        })
    }

    /// Undoes it now.
    ///
    /// # Errors
    /// The undo says that it failed.
    pub(crate) fn now(mut self) -> Result<()> {
        self.run()
    }

    /// Lets it be: it was undone otherwise.
    pub(crate) fn cancel(mut self) {
        if let Some(mut script) = self.script.take() {
            // One that is gone already undoes nothing either.
            let _ = script
                .stdin
                .take()
                .map(|mut pipe| pipe.write_all(b"done\n"));
            let _ = script.wait();
        }
    }

    fn run(&mut self) -> Result<()> {
        let Some(mut script) = self.script.take() else {
            return Ok(());
        };
        drop(script.stdin.take());
        let mut said = String::new();
        if let Some(mut errors) = script.stderr.take() {
            let _ = errors.read_to_string(&mut said);
        }
        match script.wait() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(failed(format!("{status}: {}", said.trim()))),
            Err(error) => Err(failed(error.to_string())),
        }
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        // Whoever wants to know calls `now`.
        let _ = self.run();
    }
}

fn failed(reason: String) -> Error {
    Error::Inject {
        fault: "undo",
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_undone_when_dropped_and_not_when_cancelled() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("changed");
        let arm = || Undo::arm("rm \"$1\"", &[&path]).expect("armed");
        for undone in [true, false] {
            std::fs::write(&path, "").expect("written");
            let undo = arm();
            match undone {
                true => drop(undo),
                false => undo.cancel(),
            }
            assert_eq!(path.exists(), !undone);
        }
        arm().now().expect("it is there");
        let error = arm().now().expect_err("it is gone").to_string();
        assert!(error.contains("No such file"), "{error}");
    }

    #[test]
    fn it_is_undone_when_its_owner_is_killed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("changed");
        std::fs::write(&path, "").expect("written");
        // The kernel closes a dead owner's end of the pipe; so does this.
        let mut undo = Undo::arm("rm \"$1\"", &[&path]).expect("armed");
        let mut script = undo.script.take().expect("it runs");
        drop(script.stdin.take());
        assert!(script.wait().expect("ended").success());
        assert!(!path.exists());
    }
}
