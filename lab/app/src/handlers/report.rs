//! `/api/report`.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Path, State, rejection::PathRejection},
    http::StatusCode,
    response::Response,
};
use serde_json::json;

use crate::{
    app::App,
    context::Context,
    db,
    error::Error,
    files, probes,
    render::{self, Line},
    reply,
    statement::REPORT_LINES,
};

use super::users;

/// `GET /api/report/{id}`: what the user `id` bought. 1 file read, one more per row
/// with the fault `file_per_row`, 2 queries, some 3 ms of CPU.
pub async fn by_user(
    State(app): State<Arc<App>>,
    Extension(context): Extension<Arc<Context>>,
    id: Result<Path<i32>, PathRejection>,
) -> Result<Response, Error> {
    let Path(id) = id?;
    let template = files::read(&context, &app.options.template).await?;
    let mut connection = db::acquire(&app.pool, &context).await?;
    let user = users::load(&context, &mut connection, id).await?;
    let lines: Vec<Line> =
        db::fetch(&context, &mut connection, &REPORT_LINES, |q| q.bind(id)).await?;
    drop(connection);
    if context.faults.file_per_row {
        for row in 1..=lines.len() {
            files::read(&context, &app.options.row(row)).await?;
        }
    }
    let document = {
        let _span = probes::span(context.id, "render");
        context.cpu.burn();
        render::document(&template, &user.name, &lines)
    };
    let body = json!({ "user_id": id, "html": document.html, "seal": document.seal });
    reply::json(&context, StatusCode::OK, &body)
}
