//! How much of what was captured is kept.

/// What scrubbing leaves in place. The default is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// Bound values of PostgreSQL's Bind: what the lab's truth mode scores by.
    pub values: bool,
    /// Literals and errors of PostgreSQL's texts; of HTTP everything that was captured.
    pub text: bool,
}
