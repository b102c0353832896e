//! How much is recorded.

/// How much is recorded of each request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// The application's probes, sockets and switches: no probes in PostgreSQL, no calls on files.
    Lean,
    /// All there is.
    #[default]
    Full,
}
