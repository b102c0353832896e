//! What `/proc` tells of the lab's processes.

use std::fs;
use std::time::Duration;

use tierscope_stack::Role;

use super::Site;
use crate::error::{Error, Result};

/// The root of a tier's processes.
pub(super) fn of_tier(site: Site<'_>, role: Role) -> Result<u32> {
    let mut processes = site.lab.processes().iter();
    let process = processes.find(|process| process.role == role);
    process
        .map(|process| process.pid)
        .ok_or_else(|| Error::Inject {
            fault: "the lab",
            reason: format!("{role} does not run"),
        })
}

/// The processes that `parent` started and that run.
pub(super) fn children(parent: u32) -> Vec<u32> {
    let of_proc = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = of_proc.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_child = |pid: &u32| stat(*pid).is_some_and(|(_, ppid)| ppid == parent);
    let mut children: Vec<u32> = pids.filter(is_child).collect();
    children.sort_unstable();
    children
}

/// Its state's letter and its parent.
pub(super) fn stat(pid: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it is in parentheses and may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

/// How long a process's first thread was on a CPU.
pub(super) fn on_cpu(pid: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/schedstat")).ok()?;
    let ns = stat.split_ascii_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(ns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_known_while_it_runs() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .expect("sleep");
        let own = std::process::id();
        assert!(children(own).contains(&child.id()));
        assert_eq!(stat(child.id()).expect("it runs").1, own);
        assert!(on_cpu(child.id()).is_some());
        child.kill().and_then(|()| child.wait()).expect("ended");
        assert!(!children(own).contains(&child.id()));
        assert_eq!(stat(child.id()), None);
    }
}
