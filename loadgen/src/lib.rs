//! The load generator: sends a seeded mix of requests and says what the client saw.
//!
//! [`run`] drives one thread that does nothing but socket calls and two clock readings around
//! them, so that its times can be held against the kernel's. Everything else (histograms, records,
//! progress) happens on a second thread. Latency counts from the *intended* send time: a server
//! that stalls is charged for the requests it kept from being sent.

mod answer;
mod chunked;
mod clock;
mod collector;
mod driver;
mod error;
mod interrupt;
mod link;
mod mix;
mod options;
mod outbox;
mod poller;
mod record;
mod record_file;
mod request;
mod run;
mod schedule;
mod slow;
mod socket_info;
mod summary;
mod table;
mod template;

pub use error::LoadError;
pub use mix::{Mix, MixError};
pub use options::{LoadOptions, Mode, Step};
pub use record::{ErrorKind, Record};
pub use request::Request;
pub use run::run;
pub use socket_info::SocketInfo;
pub use summary::{EndpointSummary, Quantiles, Summary};
pub use template::TemplateError;
