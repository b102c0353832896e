//! Which file a path leads to, as the kernel's uprobes see it.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

use nix::sys::statfs::{OVERLAYFS_SUPER_MAGIC, statfs};

/// One file, whatever path leads to it.
///
/// Containers of one image have each its own overlay, and each overlay a device number of its own, over one and
/// the same file. A uprobe is on that file: one for each container would fire so many times. So there the
/// device does not count, but the inode's number, birth and last change, which overlays hand on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inode {
    /// None on an overlay.
    device: Option<u64>,
    number: u64,
    born: Option<SystemTime>,
    /// Seconds and nanoseconds.
    changed: (i64, i64),
}

impl Inode {
    /// The file at the end of `path`.
    ///
    /// # Errors
    ///
    /// There is none, or it cannot be looked at.
    pub(crate) fn at(path: &Path) -> io::Result<Inode> {
        let meta = fs::metadata(path)?;
        let overlaid = statfs(path)?.filesystem_type() == OVERLAYFS_SUPER_MAGIC;
        Ok(Inode {
            device: (!overlaid).then_some(meta.dev()),
            number: meta.ino(),
            born: meta.created().ok(),
            changed: (meta.ctime(), meta.ctime_nsec()),
        })
    }

    fn is(&self, other: &Inode) -> bool {
        let facts = |inode: &Inode| (inode.number, inode.born, inode.changed);
        let overlaid = self.device.is_none() || other.device.is_none();
        facts(self) == facts(other) && (overlaid || self.device == other.device)
    }
}

/// Files, each once.
#[derive(Debug, Default)]
pub(crate) struct Inodes(Vec<Inode>);

impl Inodes {
    /// Whether it is among them.
    pub(crate) fn contains(&self, inode: &Inode) -> bool {
        self.0.iter().any(|known| known.is(inode))
    }

    /// Adds it; false where it is among them already.
    pub(crate) fn insert(&mut self, inode: Inode) -> bool {
        let new = !self.contains(&inode);
        if new {
            self.0.push(inode);
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlay_shows_the_file_below_and_another_device_another_one() {
        let at = |device, number| Inode {
            device,
            number,
            born: None,
            changed: (1, 2),
        };
        let mut files = Inodes::default();
        assert!(files.insert(at(Some(1), 7)));
        assert!(files.insert(at(Some(2), 7)), "a clone of the disk");
        assert!(!files.insert(at(None, 7)));
        assert!(files.insert(at(None, 8)));
        assert!(!files.insert(at(Some(1), 8)));
    }
}
