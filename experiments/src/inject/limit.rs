//! What a control group's processes may use together, and how that is said in either version.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use super::cgroup::{Version, refused};
use crate::error::{Error, Result};

/// A limit.
#[derive(Clone, Copy, Debug)]
pub(super) enum Limit {
    /// CPU time, all CPUs together, in each period.
    Cpu { quota: Duration, period: Duration },
    /// Reads and writes of one disk in a second.
    Disk { disk: Disk, reads: u32, writes: u32 },
}

/// A disk's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Disk {
    major: u64,
    minor: u64,
}

impl Disk {
    /// The one that a file lies on.
    ///
    /// # Errors
    /// [`Error::Refused`] where it lies on none.
    pub(super) fn under(path: &Path) -> Result<Disk> {
        let number = fs::metadata(path).map_err(Error::read(path))?.dev();
        let (major, minor) = (
            u64::from(libc::major(number)),
            u64::from(libc::minor(number)),
        );
        let place = fs::canonicalize(format!("/sys/dev/block/{major}:{minor}"));
        let place = place.map_err(|_| refused(format!("{} lies on no disk", path.display())))?;
        // A partition's directory is in its disk's.
        let whole = match place.join("partition").exists() {
            true => place.parent().unwrap_or(&place),
            false => &place,
        };
        let text = fs::read_to_string(whole.join("dev")).map_err(|e| refused(e.to_string()))?;
        let numbers = text.trim().split_once(':');
        let parsed = numbers.and_then(|(major, minor)| {
            Some(Disk {
                major: major.parse().ok()?,
                minor: minor.parse().ok()?,
            })
        });
        parsed.ok_or_else(|| refused(format!("`{}` is no disk's number", text.trim())))
    }
}

impl Limit {
    /// The controller's name in a version.
    pub(super) fn controller(self, version: Version) -> &'static str {
        match (self, version) {
            (Limit::Cpu { .. }, _) => "cpu",
            (Limit::Disk { .. }, Version::One) => "blkio",
            (Limit::Disk { .. }, Version::Two) => "io",
        }
    }

    /// The files that set it, in order, and what they take.
    pub(super) fn files(self, version: Version) -> Vec<(&'static str, String)> {
        match (self, version) {
            (Limit::Cpu { quota, period }, Version::One) => vec![
                ("cpu.cfs_period_us", period.as_micros().to_string()),
                ("cpu.cfs_quota_us", quota.as_micros().to_string()),
            ],
            (Limit::Cpu { quota, period }, Version::Two) => {
                let (quota, period) = (quota.as_micros(), period.as_micros());
                vec![("cpu.max", format!("{quota} {period}"))]
            }
            (
                Limit::Disk {
                    disk,
                    reads,
                    writes,
                },
                version,
            ) => {
                let Disk { major, minor } = disk;
                match version {
                    Version::One => vec![
                        (
                            "blkio.throttle.read_iops_device",
                            format!("{major}:{minor} {reads}"),
                        ),
                        (
                            "blkio.throttle.write_iops_device",
                            format!("{major}:{minor} {writes}"),
                        ),
                    ],
                    Version::Two => vec![(
                        "io.max",
                        format!("{major}:{minor} riops={reads} wiops={writes}"),
                    )],
                }
            }
        }
    }
}

/// How many reads of the disk a group's count tells of: `blkio.throttle.io_serviced`, or `io.stat`.
pub(super) fn reads(count: &str, disk: Disk) -> u64 {
    let name = format!("{}:{} ", disk.major, disk.minor);
    let lines = count.lines().filter_map(|line| line.strip_prefix(&name));
    let mut words = lines.flat_map(str::split_ascii_whitespace);
    let two = words.find_map(|word| word.strip_prefix("rios=")?.parse().ok());
    let one = || {
        let line = format!("{name}Read ");
        let found = count.lines().find_map(|text| text.strip_prefix(&line));
        found?.trim().parse().ok()
    };
    two.or_else(one).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_versions_count_is_read() {
        let disk = Disk {
            major: 254,
            minor: 0,
        };
        let one = "7:0 Read 4\n254:0 Read 15\n254:0 Write 2\nTotal 21\n";
        let two = "7:0 rbytes=1 rios=4\n254:0 rbytes=122880 wbytes=0 rios=15 wios=2\n";
        assert_eq!([reads(one, disk), reads(two, disk)], [15, 15]);
        assert_eq!(reads("", disk), 0);
    }
}
