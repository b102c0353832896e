//! File I/O on the blocking pool; the probes fire on the thread that does it.
//!
//! Started work runs to its end: of a cancelled request it may end after the request does.

use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{context::Context, error::Error, probes};

/// The whole text of a file.
pub async fn read(context: &Arc<Context>, path: &Path) -> Result<String, Error> {
    blocking(context, path, read_text).await
}

/// A function of its own, so that stacks name it.
#[inline(never)]
fn read_text(context: &Context, path: &Path) -> io::Result<String> {
    let probe = probes::file_io(context.id, &path.to_string_lossy(), "read");
    context.file.block();
    let text = std::fs::read_to_string(path)?;
    probe.finish(text.len() as u64);
    Ok(text)
}

/// Appends a line to a file, made if need be, and waits until it is on the disk.
pub async fn append(context: &Arc<Context>, path: &Path, line: String) -> Result<(), Error> {
    blocking(context, path, move |context, path| {
        append_line(context, path, &line)
    })
    .await
}

#[inline(never)]
fn append_line(context: &Context, path: &Path, line: &str) -> io::Result<()> {
    let name = path.to_string_lossy();
    let probe = probes::file_io(context.id, &name, "append");
    context.file.block();
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    // One write, so that lines of concurrent requests do not mix.
    file.write_all(format!("{line}\n").as_bytes())?;
    probe.finish(line.len() as u64 + 1);
    let _probe = probes::file_io(context.id, &name, "fsync");
    file.sync_all()
}

async fn blocking<T: Send + 'static>(
    context: &Arc<Context>,
    path: &Path,
    work: impl FnOnce(&Context, &Path) -> io::Result<T> + Send + 'static,
) -> Result<T, Error> {
    let (context, owned) = (context.clone(), PathBuf::from(path));
    let work = probes::on_another_thread(move || work(&context, &owned));
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Error::Panicked)?
        .map_err(|source| Error::File {
            path: path.display().to_string(),
            source,
        })
}
