//! The outermost layer: identifies a request, fires its probes and completes its answer.

use std::{any::Any, sync::Arc};

use axum::{
    Extension,
    body::Body,
    extract::{Request, State},
    http::{
        HeaderMap, HeaderName, HeaderValue,
        header::{CONTENT_LENGTH, CONTENT_TYPE},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::{
    app::App,
    context::Context,
    error::{Error, Message},
    fault::{self, Faults},
    probes,
    request_id::{self, RequestId},
};

/// In truth mode: how many statements the request sent, BEGIN and COMMIT included.
const QUERIES: HeaderName = HeaderName::from_static("x-lab-queries");

/// Handles one request between `request_start`, fired in the poll that read its head, and
/// `request_end`, fired when the status of the answer is known.
pub async fn track(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let id = RequestId::of(request.headers());
    let probe = probes::request(id, request.method().as_str(), request.uri().path());
    let faults = requested_faults(&app, request.headers());
    let context = Arc::new(Context::new(
        id,
        app.options.truth,
        faults.as_ref().copied().unwrap_or_default(),
        app.options.latency,
    ));
    let response = match faults {
        Ok(_) => {
            request.extensions_mut().insert(context.clone());
            probe.around(next.run(request)).await
        }
        Err(error) => error.into_response(),
    };
    let response = complete(&context, response);
    probe.finish(response.status().as_u16());
    response
}

/// Spends the latency before the handler.
pub async fn delay(
    Extension(context): Extension<Arc<Context>>,
    request: Request,
    next: Next,
) -> Response {
    if let Some(duration) = context.handler.take() {
        tokio::time::sleep(duration).await;
    }
    next.run(request).await
}

/// The answer to a request whose handler panicked.
pub fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    Error::Panicked.into_response()
}

fn requested_faults(app: &App, headers: &HeaderMap) -> Result<Faults, Error> {
    match headers.get(fault::HEADER).filter(|_| app.options.faults) {
        Some(value) => Ok(String::from_utf8_lossy(value.as_bytes()).parse::<Faults>()?),
        None => Ok(Faults::default()),
    }
}

/// Gives an error its JSON body and puts the service's own headers in front of the others, where
/// a capture of the first bytes sees them.
fn complete(context: &Context, mut response: Response) -> Response {
    if response.status().is_client_error() || response.status().is_server_error() {
        explain(context, &mut response);
    }
    let others = std::mem::take(response.headers_mut());
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::try_from(context.id.to_string()) {
        headers.insert(request_id::HEADER, id);
    }
    if context.truth {
        headers.insert(QUERIES, context.statements().into());
    }
    headers.extend(others);
    response
}

fn explain(context: &Context, response: &mut Response) {
    let _span = probes::span(context.id, "serialize");
    let status = response.status();
    let message = match response.extensions_mut().remove::<Message>() {
        Some(Message(text)) => text,
        None => status.canonical_reason().unwrap_or("error").to_lowercase(),
    };
    if status.is_server_error() {
        eprintln!("{} {status}: {message}", context.id);
    }
    let body = json!({ "error": message, "request_id": context.id.to_string() });
    let headers = response.headers_mut();
    headers.remove(CONTENT_LENGTH);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    *response.body_mut() = Body::from(body.to_string());
}
