//! The routes and the layers around them.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Router,
    extract::Request,
    http::StatusCode,
    middleware::{from_fn, from_fn_with_state},
    response::Response,
    routing::{get, post},
};
use tower::{Layer as _, Service};
use tower_http::{catch_panic::CatchPanicLayer, timeout::TimeoutLayer};

use crate::{
    app::App,
    handlers::{health, orders, products, report, users},
    track,
};

/// The service. Tracking goes around the router itself, so that it starts before routing does.
pub fn service(
    app: Arc<App>,
) -> impl Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static
{
    let timeout =
        TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, app.options.request_timeout);
    let router = Router::new()
        .route("/health", get(health::check))
        .route("/api/users", get(users::list))
        .route("/api/users/{id}", get(users::by_id))
        .route("/api/users/{id}/orders", get(orders::of_user))
        .route("/api/orders", post(orders::create))
        .route("/api/products/search", get(products::search))
        .route("/api/report/{id}", get(report::by_user))
        .layer(from_fn(track::delay))
        .layer(timeout)
        .layer(CatchPanicLayer::custom(track::panicked))
        .with_state(app.clone());
    from_fn_with_state(app, track::track).layer(router)
}
