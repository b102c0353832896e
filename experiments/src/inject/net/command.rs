//! A program that reads what it is to do.

use std::io::Write as _;
use std::process::{Command, Stdio};

/// Feeds `text` to a program. The error is what it complained of.
pub(super) fn feed(program: &str, arguments: &[&str], text: &str) -> Result<(), String> {
    let spawned = Command::new(program)
        .args(arguments)
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = spawned.map_err(|error| format!("{program}: {error}"))?;
    // One that does not read to the end says why.
    let _ = child
        .stdin
        .take()
        .map(|mut input| input.write_all(text.as_bytes()));
    let ended = child.wait_with_output();
    let output = ended.map_err(|error| format!("{program}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{program}: {}", said.trim())),
    }
}
