//! `/api/users`.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
    http::StatusCode,
    response::Response,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::{FromRow, PgConnection};

use crate::{
    app::App,
    context::Context,
    db,
    error::Error,
    reply,
    statement::{USER, USER_TOTALS, USERS_AFTER},
};

/// Users on one page; the ids of the seed data have no holes.
const PAGE_SIZE: i32 = 50;

/// A row of `users`.
#[derive(Debug, Clone, Serialize, FromRow)]
pub struct User {
    id: i32,
    /// Full name.
    pub name: String,
    email: String,
}

/// Which page, from 1.
#[derive(Deserialize)]
pub struct Page {
    #[serde(default = "first_page")]
    page: i32,
}

fn first_page() -> i32 {
    1
}

/// `GET /api/users?page=`, 1 query; at the fault `n_plus_one` two more per user.
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(context): Extension<Arc<Context>>,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Response, Error> {
    let Query(Page { page }) = page?;
    let after = page
        .checked_sub(1)
        .filter(|skipped| *skipped >= 0)
        .and_then(|skipped| skipped.checked_mul(PAGE_SIZE))
        .ok_or_else(|| Error::BadRequest(format!("page {page} is out of range")))?;
    let mut connection = db::acquire(&app.pool, &context).await?;
    let mut users: Vec<User> =
        db::fetch(&context, &mut connection, &USERS_AFTER, |q| q.bind(after)).await?;
    if context.faults.n_plus_one {
        for user in &mut users {
            *user = load(&context, &mut connection, user.id).await?;
            // As if the list showed them: what it shows stays the same.
            db::fetch::<(i64, i64)>(&context, &mut connection, &USER_TOTALS, |q| q.bind(user.id))
                .await?;
        }
    }
    drop(connection);
    let body = json!({ "page": page, "users": users });
    reply::json(&context, StatusCode::OK, &body)
}

/// `GET /api/users/{id}`: 1 query, one more when the user is not cached.
pub async fn by_id(
    State(app): State<Arc<App>>,
    Extension(context): Extension<Arc<Context>>,
    id: Result<Path<i32>, PathRejection>,
) -> Result<Response, Error> {
    let Path(id) = id?;
    let cached = app.users.get(&context, id);
    let mut connection = db::acquire(&app.pool, &context).await?;
    let user = match cached {
        Some(user) => user,
        None => {
            let user = load(&context, &mut connection, id).await?;
            app.users.put(&context, id, user.clone());
            user
        }
    };
    let totals = db::fetch(&context, &mut connection, &USER_TOTALS, |q| q.bind(id)).await?;
    drop(connection);
    let (orders, spent_cents): (i64, i64) = totals.into_iter().next().unwrap_or_default();
    let body = json!({ "user": user, "orders": orders, "spent_cents": spent_cents });
    reply::json(&context, StatusCode::OK, &body)
}

/// The user `id` from the database.
///
/// # Errors
/// When there is none.
pub async fn load(
    context: &Context,
    connection: &mut PgConnection,
    id: i32,
) -> Result<User, Error> {
    db::fetch(context, connection, &USER, |q| q.bind(id))
        .await?
        .pop()
        .ok_or_else(|| Error::NotFound(format!("user {id}")))
}
