//! A recording that is being written: at its end, reading waits for more until its writer is gone.

use std::fs::{File, TryLockError};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often the end of the file is looked at. A block is written every 80 ms.
const POLL: Duration = Duration::from_millis(40);

/// The file of a recording, read as it grows. The writer holds a lock on it for as long as it lives.
#[derive(Debug)]
pub struct Growing {
    file: File,
    stop: Arc<AtomicBool>,
    gone: bool,
}

impl Growing {
    /// Opens it. Once `stop` is set the file ends where it is.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn open(path: &Path, stop: Arc<AtomicBool>) -> io::Result<Growing> {
        let file = File::open(path)?;
        let gone = false;
        Ok(Growing { file, stop, gone })
    }

    fn is_writer_gone(&self) -> io::Result<bool> {
        match self.file.try_lock_shared() {
            Ok(()) => self.file.unlock().map(|()| true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

impl Read for Growing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.file.read(buffer)?;
            if read > 0 || buffer.is_empty() || self.gone || self.stop.load(Ordering::Relaxed) {
                return Ok(read);
            }
            // What it wrote before it went is read once more.
            self.gone = self.is_writer_gone()?;
            if !self.gone {
                std::thread::sleep(POLL);
            }
        }
    }
}
