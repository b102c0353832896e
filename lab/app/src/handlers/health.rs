//! `/health`: the service is up.

use std::sync::Arc;

use axum::{Extension, http::StatusCode, response::Response};
use serde_json::json;

use crate::{context::Context, error::Error, reply};

/// `GET /health`, no queries.
pub async fn check(Extension(context): Extension<Arc<Context>>) -> Result<Response, Error> {
    reply::json(&context, StatusCode::OK, &json!({ "status": "ok" }))
}
