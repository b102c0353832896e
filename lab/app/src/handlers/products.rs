//! `/api/products`.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Query, State, rejection::QueryRejection},
    http::StatusCode,
    response::Response,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::FromRow;

use crate::{app::App, context::Context, db, error::Error, reply, statement::SEARCH};

/// Longest search, in bytes.
const MAX_SEARCH: usize = 200;

#[derive(Serialize, FromRow)]
struct Product {
    id: i32,
    name: String,
    price_cents: i32,
    rank: f32,
}

/// What is searched for, in a web search engine's syntax.
#[derive(Deserialize)]
pub struct Search {
    q: String,
}

/// `GET /api/products/search?q=`: the best ten by rank, 1 query.
pub async fn search(
    State(app): State<Arc<App>>,
    Extension(context): Extension<Arc<Context>>,
    search: Result<Query<Search>, QueryRejection>,
) -> Result<Response, Error> {
    let Query(Search { q }) = search?;
    if q.is_empty() || q.len() > MAX_SEARCH {
        return Err(Error::BadRequest(format!(
            "q must be 1 to {MAX_SEARCH} bytes"
        )));
    }
    let mut connection = db::acquire(&app.pool, &context).await?;
    let products: Vec<Product> =
        db::fetch(&context, &mut connection, &SEARCH, |query| query.bind(q)).await?;
    drop(connection);
    reply::json(&context, StatusCode::OK, &json!({ "products": products }))
}
