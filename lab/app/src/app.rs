//! What all requests share.

use sqlx::PgPool;

use crate::{cache::Cache, handlers::users::User, options::Options};

/// The service's state.
pub struct App {
    /// Its command line.
    pub options: Options,
    /// Its connections to PostgreSQL.
    pub pool: PgPool,
    /// Users by id.
    pub users: Cache<User>,
}
