//! Ctrl-C and SIGTERM as something that epoll can wait for.

use std::{
    io::{self, Read as _},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
};

use signal_hook::{
    SigId,
    consts::{SIGINT, SIGTERM},
    low_level::{pipe, unregister},
};

/// Readable once a signal came; the handlers go when this is dropped.
pub struct Interrupt {
    reader: UnixStream,
    handlers: Vec<SigId>,
}

impl Interrupt {
    /// Takes the two signals, beside whoever else in this process listens to them.
    pub fn new() -> io::Result<Self> {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        let mut interrupt = Self {
            reader,
            handlers: Vec::new(),
        };
        for signal in [SIGINT, SIGTERM] {
            let handler = pipe::register(signal, writer.try_clone()?)?;
            interrupt.handlers.push(handler);
        }
        Ok(interrupt)
    }

    /// How many signals came since the last call.
    pub fn take(&mut self) -> usize {
        self.reader.read(&mut [0; 8]).unwrap_or(0)
    }
}

impl AsFd for Interrupt {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        for handler in self.handlers.drain(..) {
            unregister(handler);
        }
    }
}
