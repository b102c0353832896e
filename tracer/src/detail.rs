//! How much is recorded.

use serde::{Deserialize, Serialize};

/// How much is recorded of each request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Detail {
    /// The application's probes, sockets and switches: no probes in PostgreSQL, no calls on files.
    Lean,
    /// All there is.
    #[default]
    Full,
}
