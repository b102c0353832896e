//! Orders: of a user, and new ones.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{
        Path, State,
        rejection::{JsonRejection, PathRejection},
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
    files, reply,
    statement::{INSERT_ORDER, ORDER, PRICE, TAKE_STOCK, USER_ORDER_IDS, USER_ORDERS},
};

/// Most pieces in one order.
const MAX_QUANTITY: i32 = 1000;

#[derive(Serialize, FromRow)]
struct Order {
    id: i64,
    product: String,
    quantity: i32,
    total_cents: i64,
    status: String,
}

/// `GET /api/users/{id}/orders`: 1 joined query, or 1 + one per order in the N+1 form.
pub async fn of_user(
    State(app): State<Arc<App>>,
    Extension(context): Extension<Arc<Context>>,
    id: Result<Path<i32>, PathRejection>,
) -> Result<Response, Error> {
    let Path(user) = id?;
    let mut connection = db::acquire(&app.pool, &context).await?;
    let orders = if app.options.n_plus_one || context.faults.n_plus_one {
        one_by_one(&context, &mut connection, user).await?
    } else {
        db::fetch(&context, &mut connection, &USER_ORDERS, |q| q.bind(user)).await?
    };
    drop(connection);
    let body = json!({ "user_id": user, "orders": orders });
    reply::json(&context, StatusCode::OK, &body)
}

async fn one_by_one(
    context: &Context,
    connection: &mut PgConnection,
    user: i32,
) -> Result<Vec<Order>, Error> {
    let ids: Vec<(i64,)> =
        db::fetch(context, connection, &USER_ORDER_IDS, |q| q.bind(user)).await?;
    let mut orders = Vec::new();
    for (id,) in ids {
        orders.extend(db::fetch(context, connection, &ORDER, |q| q.bind(id)).await?);
    }
    Ok(orders)
}

/// What is ordered, by whom.
#[derive(Deserialize)]
pub struct NewOrder {
    user_id: i32,
    product_id: i32,
    quantity: i32,
}

/// `POST /api/orders`: a transaction of 3 statements, then a line in the audit log, on disk.
pub async fn create(
    State(app): State<Arc<App>>,
    Extension(context): Extension<Arc<Context>>,
    order: Result<Json<NewOrder>, JsonRejection>,
) -> Result<Response, Error> {
    let Json(order) = order?;
    if !(1..=MAX_QUANTITY).contains(&order.quantity) {
        return Err(Error::BadRequest(format!(
            "quantity must be 1 to {MAX_QUANTITY}"
        )));
    }
    let mut connection = db::acquire(&app.pool, &context).await?;
    let (id, total_cents) = store(&context, &mut connection, &order).await?;
    drop(connection);
    let line = json!({
        "request_id": context.id.to_string(),
        "order_id": id,
        "user_id": order.user_id,
        "total_cents": total_cents,
    });
    files::append(&context, &app.options.audit_log, line.to_string()).await?;
    let body = json!({ "id": id, "total_cents": total_cents });
    reply::json(&context, StatusCode::CREATED, &body)
}

async fn store(
    context: &Context,
    connection: &mut PgConnection,
    order: &NewOrder,
) -> Result<(i64, i64), Error> {
    let product = order.product_id;
    let mut transaction = db::begin(context, connection).await?;
    let prices: Vec<(i32,)> =
        db::fetch(context, &mut transaction, &PRICE, |q| q.bind(product)).await?;
    let total_cents = match prices[..] {
        [(price_cents,)] => i64::from(order.quantity) * i64::from(price_cents),
        _ => return Err(Error::NotFound(format!("product {product}"))),
    };
    let ids = db::fetch(context, &mut transaction, &INSERT_ORDER, |q| {
        q.bind(order.user_id)
            .bind(product)
            .bind(order.quantity)
            .bind(total_cents)
    })
    .await?;
    db::fetch::<(i32,)>(context, &mut transaction, &TAKE_STOCK, |q| {
        q.bind(product).bind(order.quantity)
    })
    .await?;
    db::commit(context, transaction).await?;
    let (id,) = ids.into_iter().next().unwrap_or_default();
    Ok((id, total_cents))
}
