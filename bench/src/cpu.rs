//! CPU time of processes, in ns, from the scheduler's own statistics.

use std::collections::HashMap;

/// CPU time of every thread of some processes at one moment (ns by thread id).
pub struct Snapshot(HashMap<u32, u64>);

impl Snapshot {
    /// Of all threads of `pids` that are there.
    pub fn of(pids: &[u32]) -> Self {
        Self(pids.iter().flat_map(|pid| threads(*pid)).collect())
    }

    /// What was used since `before`; a thread that has ended meanwhile counts as if it had not run.
    pub fn since(&self, before: &Self) -> u64 {
        let used = |(tid, ns): (&u32, &u64)| ns.saturating_sub(*before.0.get(tid).unwrap_or(&0));
        self.0.iter().map(used).sum()
    }
}

/// `root` and all that descend from it.
pub fn tree(root: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = numbers("/proc")
        .filter_map(|pid| Some((pid, parent(pid)?)))
        .collect();
    let mut found = vec![root];
    let mut next = 0;
    while let Some(pid) = found.get(next).copied() {
        let children = parents.iter().filter(|(_, parent)| *parent == pid);
        found.extend(children.map(|(child, _)| child));
        next += 1;
    }
    found
}

fn threads(pid: u32) -> Vec<(u32, u64)> {
    let dir = format!("/proc/{pid}/task");
    let time = |tid| {
        let text = std::fs::read_to_string(format!("{dir}/{tid}/schedstat")).ok()?;
        Some((tid, text.split(' ').next()?.parse().ok()?))
    };
    numbers(&dir).filter_map(time).collect()
}

fn numbers(dir: &str) -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn parent(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it is in parentheses and may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    fields.nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_thread_uses_time_and_belongs_to_its_tree() {
        let pid = std::process::id();
        let before = Snapshot::of(&[pid]);
        let begun = std::time::Instant::now();
        while begun.elapsed().as_millis() < 50 {
            std::hint::spin_loop();
        }
        // Ours alone is known to have run: tests run beside each other.
        assert!(Snapshot::of(&[pid]).since(&before) > 0);
        let parent = parent(pid).expect("a parent");
        assert!(tree(parent).contains(&pid));
    }
}
