//! A control group with a limit, in version 1 (a hierarchy per controller) or 2 (one for all).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::limit::{Disk, Limit, reads};
use super::undo::Undo;
use crate::error::{Error, Result};

/// Whoever is in `$1` goes back to `$2`, `$1` is removed, and controller `$4` is disabled in `$3`.
const UNDO: &str = r#"
tries=100
while [ -d "$1" ] && ! rmdir "$1" 2>/dev/null; do
    for pid in $(cat "$1/cgroup.procs"); do echo "$pid" >"$2/cgroup.procs"; done 2>/dev/null
    tries=$((tries - 1))
    if [ $tries -eq 0 ]; then rmdir "$1"; exit 1; fi
    sleep 0.02
done
[ -z "$3" ] || echo "-$4" >"$3"
"#;

/// Its directory, which goes when this is dropped, or when this process dies.
#[derive(Debug)]
pub(super) struct Cgroup {
    dir: PathBuf,
    /// Where those come from that are put into it.
    home: PathBuf,
    version: Version,
    undo: Option<Undo>,
}

/// A control group's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    One,
    Two,
}

impl Cgroup {
    /// An empty one, with a limit, for processes that are where `pid` is.
    ///
    /// # Errors
    /// [`Error::Refused`] where this host has none.
    pub(super) fn new(pid: u32, limit: Limit) -> Result<Cgroup> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let read = |path: &str| fs::read_to_string(path).map_err(Error::read(path));
        let mounts = read("/proc/self/mounts")?;
        let memberships = read(&format!("/proc/{pid}/cgroup"))?;
        let (root, version, home) = place(&mounts, &memberships, limit).ok_or_else(|| {
            refused(format!(
                "no cgroup has the controller `{}`",
                limit.controller(Version::Two)
            ))
        })?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("tierscope-{}-{number}", std::process::id());
        let mut cgroup = Cgroup {
            dir: root.join(name),
            home,
            version,
            undo: None,
        };
        cgroup.make(&root, limit.controller(version))?;
        for (file, text) in limit.files(version) {
            fs::write(cgroup.dir.join(file), text).map_err(refuse)?;
        }
        Ok(cgroup)
    }

    fn make(&mut self, root: &Path, controller: &str) -> Result<()> {
        let switch = root.join("cgroup.subtree_control");
        let off = self.version == Version::Two && !has_word(&switch, controller);
        let on = if off { switch.as_path() } else { Path::new("") };
        let arguments: [&Path; 4] = [&self.dir, &self.home, on, Path::new(controller)];
        self.undo = Some(Undo::arm(UNDO, &arguments)?);
        if off {
            fs::write(&switch, format!("+{controller}")).map_err(refuse)?;
        }
        fs::create_dir(&self.dir).map_err(refuse)
    }

    /// Puts a process into it, with all its threads.
    pub(super) fn take(&self, pid: u32) -> io::Result<()> {
        fs::write(self.dir.join("cgroup.procs"), pid.to_string())
    }

    /// Puts a process back to where it was.
    pub(super) fn give_back(&self, pid: u32) -> io::Result<()> {
        fs::write(self.home.join("cgroup.procs"), pid.to_string())
    }

    #[cfg(test)]
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// For how long its processes were throttled so far, summed over CPUs; told when that ends.
    pub(super) fn throttled(&self) -> io::Result<Duration> {
        fs::read_to_string(self.dir.join("cpu.stat")).map(|stat| throttled(&stat))
    }

    /// How many reads of the disk its processes made so far.
    pub(super) fn disk_reads(&self, disk: Disk) -> io::Result<u64> {
        let file = match self.version {
            Version::One => "blkio.throttle.io_serviced",
            Version::Two => "io.stat",
        };
        fs::read_to_string(self.dir.join(file)).map(|count| reads(&count, disk))
    }
}

fn throttled(stat: &str) -> Duration {
    let number = |key: &str| -> Option<u64> {
        let line = stat.lines().find_map(|line| line.strip_prefix(key));
        line?.trim().parse().ok()
    };
    let micros = number("throttled_usec ").map(Duration::from_micros);
    let nanos = number("throttled_time ").map(Duration::from_nanos);
    micros.or(nanos).unwrap_or_default()
}

/// Where there is a controller: the root of that hierarchy, its version, and where a process with these
/// memberships is in it.
fn place(mounts: &str, memberships: &str, limit: Limit) -> Option<(PathBuf, Version, PathBuf)> {
    let [one, two] = [Version::One, Version::Two].map(|version| limit.controller(version));
    let mounted = mounts.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(' ').collect();
        let root = PathBuf::from(*fields.get(1)?);
        let here = fields.get(3)?.split(',').any(|option| option == one);
        match *fields.get(2)? {
            "cgroup" if here => Some((root, Version::One)),
            "cgroup2" if has_word(&root.join("cgroup.controllers"), two) => {
                Some((root, Version::Two))
            }
            _ => None,
        }
    });
    let (root, version) = mounted.into_iter().next()?;
    let path = memberships.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let here = match version {
            Version::One => controllers.split(',').any(|name| name == one),
            Version::Two => controllers.is_empty(),
        };
        here.then_some(path)
    })?;
    let home = root.join(path.trim_start_matches('/'));
    Some((root, version, home))
}

fn has_word(path: &Path, word: &str) -> bool {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_ascii_whitespace().any(|known| known == word)
}

fn refuse(error: io::Error) -> Error {
    refused(error.to_string())
}

pub(super) fn refused(reason: String) -> Error {
    Error::Refused {
        fault: "a limit on processes",
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_version_is_found() {
        let limit = Limit::Cpu {
            quota: Duration::from_millis(1),
            period: Duration::from_millis(10),
        };
        let found_in = |mounts: &str, memberships: &str| place(mounts, memberships, limit);
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        let two = format!("cgroup2 {} cgroup2 rw,nosuid 0 0\n", root.display());
        let memberships = "3:memory:/\n2:cpu,cpuacct:/machine/lab\n0::/system.slice/lab\n";
        assert_eq!(found_in(&two, memberships), None, "it controls nothing");
        fs::write(root.join("cgroup.controllers"), "cpuset cpu io\n").expect("written");
        let home = root.join("system.slice/lab");
        let found = Some((root.to_path_buf(), Version::Two, home));
        assert_eq!(found_in(&two, memberships), found);
        let one = "cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpuacct,cpu 0 0\n";
        let (dir, version, home) = found_in(one, memberships).expect("version 1");
        assert_eq!(
            (dir.to_str(), version),
            (Some("/sys/fs/cgroup/cpu,cpuacct"), Version::One)
        );
        assert!(home.ends_with("machine/lab"), "{home:?}");
        assert_eq!(
            found_in("cgroup /x cgroup rw,cpuacct 0 0\n", memberships),
            None
        );
    }

    #[test]
    fn either_versions_count_is_read() {
        let one = "nr_periods 9\nnr_throttled 4\nthrottled_time 5000000\n";
        let two = "usage_usec 1\nnr_throttled 4\nthrottled_usec 5000\n";
        assert_eq!(throttled(one), Duration::from_millis(5));
        assert_eq!(throttled(two), Duration::from_millis(5));
    }
}
