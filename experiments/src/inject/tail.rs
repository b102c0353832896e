//! A log that grows.

use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// A log that grows, from where it was looked at last.
#[derive(Debug)]
pub(super) struct Tail {
    path: PathBuf,
    at: u64,
}

impl Tail {
    /// One that is read from its beginning.
    pub(super) fn new(path: PathBuf) -> Tail {
        Tail { path, at: 0 }
    }

    /// Leaves out what it holds by now.
    pub(super) fn skip(&mut self) -> Result<()> {
        let file = fs::metadata(&self.path).map_err(Error::read(&self.path))?;
        self.at = file.len();
        Ok(())
    }

    /// The whole lines that came.
    pub(super) fn more(&mut self) -> Result<String> {
        let bytes = from(&self.path, self.at).map_err(Error::read(&self.path))?;
        let end = bytes.iter().rposition(|byte| *byte == b'\n');
        let whole = &bytes[..end.map_or(0, |end| end + 1)];
        self.at += whole.len() as u64;
        Ok(String::from_utf8_lossy(whole).into_owned())
    }
}

fn from(path: &Path, from: u64) -> io::Result<Vec<u8>> {
    let mut file = fs::File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_read_from_where_it_was_left_by_whole_lines() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        fs::write(&path, "old\n").expect("written");
        let mut log = Tail::new(path.clone());
        log.skip().expect("there");
        fs::write(&path, "old\nnew\nhal").expect("written");
        assert_eq!(log.more().expect("there"), "new\n");
        fs::write(&path, "old\nnew\nhalf\n").expect("written");
        assert_eq!(log.more().expect("there"), "half\n");
    }
}
