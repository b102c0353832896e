//! Starts, checks and stops the lab: nginx, the app and PostgreSQL as ordinary processes
//! in a private directory, on loopback ports, without containers.
//!
//! [`Lab::up`] starts them, [`Lab::status`] looks at them, [`Lab::down`] takes them down and
//! leaves nothing behind. Under root every one of them runs as the user `postgres`, because
//! PostgreSQL refuses root and one private directory can have one owner.

mod account;
mod app;
mod cache;
mod cluster;
mod error;
mod guard;
mod http;
mod lab;
mod launch;
pub mod nginx;
mod options;
mod place;
mod ports;
mod postgres;
mod process;
mod programs;
mod psql;
mod state;
mod status;

pub use error::{Error, Result};
pub use lab::Lab;
pub use options::{LabOptions, Ports};
pub use process::{ProcessRecord, Role};
pub use psql::Session;
pub use status::{ProcessStatus, Status};
