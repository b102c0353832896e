//! JSON answers.

use axum::{
    http::{HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::{context::Context, error::Error, probes};

/// An answer with `body` as JSON, serialised in a span of its own.
///
/// # Panics
/// When the request's fault says so, with the span open.
pub fn json(
    context: &Context,
    status: StatusCode,
    body: &impl Serialize,
) -> Result<Response, Error> {
    let _span = probes::span(context.id, "serialize");
    context.cpu.burn();
    assert!(!context.faults.panic, "panic asked for by X-Lab-Fault");
    let text = serde_json::to_string(body)?;
    let kind = HeaderValue::from_static("application/json");
    Ok((status, [(CONTENT_TYPE, kind)], text).into_response())
}
