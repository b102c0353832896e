//! A busy disk under the lab: writers that pass by the page cache keep it at work, while the app and
//! PostgreSQL wait for their syncs.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::fcntl::OFlag;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use super::joined::joined;
use super::{Hit, Injector, Site, clock::now};
use crate::error::{Error, Result};

/// Each writer's file has so many chunks; it writes them in turn.
const CHUNKS: u64 = 4;
/// What writing past the cache must be aligned to, on any disk.
const ALIGNED: usize = 4096;
/// Between two syncs of our own.
const PAUSE: Duration = Duration::from_millis(2);
/// A sync of our own that took at least so long shows that the disk was busy. Nanoseconds.
const LONG: u64 = 10_000_000;

/// How busy the disk is kept.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct BusyDisk {
    /// Threads that write, 1 to 64.
    #[serde(deserialize_with = "writers")]
    writers: usize,
    /// What each writes at once, 1 to 16 MiB; of disk space it takes four times as much.
    #[serde(deserialize_with = "chunk_mib")]
    chunk_mib: usize,
}

impl BusyDisk {
    pub(super) fn injector(&self, site: Site<'_>) -> Result<Writers> {
        // There, whatever becomes of us, it is removed with the lab.
        Writers::under(site.lab.dir().join("busy-disk"), self)
    }
}

/// Threads that write to files in a directory of their own, and one that syncs as the app does.
#[derive(Debug)]
pub(super) struct Writers {
    dir: PathBuf,
    files: Vec<File>,
    chunk: Arc<Chunk>,
    probe: File,
    busy: Option<Busy>,
}

#[derive(Debug)]
struct Busy {
    over: Arc<AtomicBool>,
    writers: Vec<JoinHandle<io::Result<()>>>,
    probe: JoinHandle<io::Result<Vec<Hit>>>,
}

impl Writers {
    fn under(dir: PathBuf, fault: &BusyDisk) -> Result<Writers> {
        fs::create_dir(&dir).map_err(Error::write(&dir))?;
        let files: io::Result<Vec<File>> = (0..fault.writers)
            .map(|number| past_the_cache(&dir.join(number.to_string())))
            .collect();
        let refused = |error: io::Error| Error::Refused {
            fault: "busy-disk",
            reason: format!("{}: {error}", dir.display()),
        };
        Ok(Writers {
            files: files.map_err(refused)?,
            chunk: Arc::new(Chunk::of(fault.chunk_mib << 20)),
            probe: File::create(dir.join("probe")).map_err(Error::write(&dir))?,
            busy: None,
            dir,
        })
    }

    fn start(&self) -> io::Result<Busy> {
        let over = Arc::new(AtomicBool::new(false));
        let mut writers = Vec::new();
        for file in &self.files {
            let (file, chunk, over) = (file.try_clone()?, self.chunk.clone(), over.clone());
            writers.push(thread::spawn(move || write(&file, chunk.bytes(), &over)));
        }
        let (probe, told) = (self.probe.try_clone()?, over.clone());
        let probe = thread::spawn(move || sync(&probe, &told));
        Ok(Busy {
            over,
            writers,
            probe,
        })
    }
}

impl Injector for Writers {
    fn begin(&mut self) -> Result<()> {
        self.busy = Some(self.start().map_err(failed)?);
        Ok(())
    }

    fn end(&mut self) -> Result<Vec<Hit>> {
        let Some(busy) = self.busy.take() else {
            return Ok(Vec::new());
        };
        busy.over.store(true, Ordering::Relaxed);
        for writer in busy.writers {
            joined(writer.join()).map_err(failed)?;
        }
        joined(busy.probe.join()).map_err(failed)
    }
}

impl Drop for Writers {
    fn drop(&mut self) {
        // Whoever wants to know calls `end`; the lab removes what is left.
        let _ = self.end();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn past_the_cache(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create_new(true)
        .write(true)
        .custom_flags(OFlag::O_DIRECT.bits())
        .open(path)
}

/// What is written, made before it is needed: only the disk is to be busy.
#[derive(Debug)]
struct Chunk {
    buffer: Vec<u8>,
    size: usize,
}

impl Chunk {
    fn of(size: usize) -> Chunk {
        // What repeats may be stored as a hole by disks that look.
        let noise = |at: usize| (at as u32).wrapping_mul(2_654_435_761).to_le_bytes()[3];
        let buffer = (0..size + ALIGNED).map(noise).collect();
        Chunk { buffer, size }
    }

    fn bytes(&self) -> &[u8] {
        let first = self.buffer.as_ptr().align_offset(ALIGNED);
        &self.buffer[first..first + self.size]
    }
}

fn write(file: &File, chunk: &[u8], over: &AtomicBool) -> io::Result<()> {
    for turn in 0.. {
        if over.load(Ordering::Relaxed) {
            break;
        }
        file.write_all_at(chunk, turn % CHUNKS * chunk.len() as u64)?;
    }
    Ok(())
}

/// Writes and syncs as the app does; tells of the syncs that took long.
fn sync(mut file: &File, over: &AtomicBool) -> io::Result<Vec<Hit>> {
    let mut hits: Vec<Hit> = Vec::new();
    while !over.load(Ordering::Relaxed) {
        file.write_all(b"a line as the app writes it\n")?;
        let from_ns = now();
        file.sync_all()?;
        let to_ns = now();
        if to_ns - from_ns >= LONG {
            hits.push(Hit {
                from_ns,
                to_ns,
                request: None,
                magnitude_ns: None,
                clients: Vec::new(),
                what: format!(
                    "a sync beside it took {:.1} ms",
                    (to_ns - from_ns) as f64 / 1e6
                ),
            });
        }
        thread::sleep(PAUSE);
    }
    Ok(hits)
}

fn failed(error: io::Error) -> Error {
    Error::Inject {
        fault: "busy-disk",
        reason: error.to_string(),
    }
}

fn writers<'de, D: Deserializer<'de>>(input: D) -> std::result::Result<usize, D::Error> {
    bounded(input, 64)
}

fn chunk_mib<'de, D: Deserializer<'de>>(input: D) -> std::result::Result<usize, D::Error> {
    bounded(input, 16)
}

fn bounded<'de, D: Deserializer<'de>>(
    input: D,
    most: usize,
) -> std::result::Result<usize, D::Error> {
    let number = usize::deserialize(input)?;
    if (1..=most).contains(&number) {
        return Ok(number);
    }
    Err(D::Error::custom(format!("expected 1 to {most}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inject::owner;

    #[test]
    fn the_disk_is_busy_until_it_ends_and_nothing_is_left() {
        let above = tempfile::tempdir_in("/var/tmp").expect("a folder");
        let dir = above.path().join("busy");
        let mut disk = match Writers::under(dir.clone(), &LITTLE) {
            Err(Error::Refused { reason, .. }) => return println!("skipped: {reason}"),
            disk => disk.expect("writers"),
        };
        let size = |name: &str| fs::metadata(dir.join(name)).expect("there").len();
        let most = ((CHUNKS as usize * LITTLE.chunk_mib) << 20) as u64;
        disk.begin().expect("it is busy");
        owner::until("all is written", || size("0").min(size("1")) >= most);
        thread::sleep(Duration::from_millis(20));
        disk.end().expect("it is over");
        assert_eq!([size("0"), size("1")], [most; 2], "bounded");
        assert!(size("probe") > 0);
        drop(disk);
        assert!(!dir.exists());
    }

    const LITTLE: BusyDisk = BusyDisk {
        writers: 2,
        chunk_mib: 1,
    };

    /// The owner is told a number: a folder's, that the test made.
    fn numbered(number: u32) -> PathBuf {
        PathBuf::from(format!("/var/tmp/tierscope-busy-disk-{number}"))
    }

    #[test]
    fn nobody_writes_any_more_when_its_owner_is_killed() {
        let number = std::process::id();
        let above = numbered(number);
        fs::create_dir(&above).expect("a folder");
        match Writers::under(above.join("probed"), &LITTLE) {
            Err(Error::Refused { reason, .. }) => println!("skipped: {reason}"),
            probed => {
                drop(probed.expect("writers"));
                owner::killed("busy_disk::tests::owner", number);
                let probe = above.join("busy/probe");
                let written = || fs::metadata(&probe).expect("there").len();
                let before = written();
                thread::sleep(Duration::from_millis(50));
                assert_eq!(written(), before);
            }
        }
        fs::remove_dir_all(above).expect("removed, as the lab's is");
    }

    #[test]
    #[ignore = "the owner that the test above kills"]
    fn owner() {
        owner::hold(|number| {
            let dir = numbered(number).join("busy");
            Ok(Box::new(Writers::under(dir, &LITTLE)?))
        });
    }
}
