//! Loopback ports, reserved until the moment a process takes them.

use std::net::{IpAddr, SocketAddr, TcpListener};

use crate::{
    error::{Error, Result},
    process::Role,
};

/// A port that nobody else can take while this lives.
#[derive(Debug)]
pub struct Reserved {
    listener: TcpListener,
    /// The address that is reserved.
    pub address: SocketAddr,
}

impl Reserved {
    /// Reserves `port` of `host`, or a free one for 0.
    ///
    /// # Errors
    /// [`Error::Port`] when it is taken.
    pub fn take(role: Role, host: IpAddr, port: u16) -> Result<Self> {
        let address = SocketAddr::from((host, port));
        let failed = |source| Error::Port {
            role,
            address,
            source,
        };
        let listener = TcpListener::bind(address).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// Frees the port for the process that is started next.
    pub fn hand_over(self) -> SocketAddr {
        drop(self.listener);
        self.address
    }
}
