//! What can go wrong with a request, and the status it is answered with.

use axum::{
    extract::rejection::{JsonRejection, PathRejection, QueryRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use sqlx::error::ErrorKind;

use crate::fault::FaultError;

/// A request that is not answered with success.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such thing.
    #[error("{0} not found")]
    NotFound(String),
    /// The request makes no sense.
    #[error("{0}")]
    BadRequest(String),
    /// The request's path, query or body could not be read.
    #[error("{message}")]
    Rejected {
        /// The status axum gives it.
        status: StatusCode,
        /// What is wrong with it.
        message: String,
    },
    /// The header `X-Lab-Fault` is malformed.
    #[error("X-Lab-Fault: {0}")]
    Fault(#[from] FaultError),
    /// PostgreSQL or the connection to it.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// A file.
    #[error("{path}: {source}")]
    File {
        /// Which one.
        path: String,
        /// What failed.
        source: std::io::Error,
    },
    /// The answer could not be serialised.
    #[error("serialising the answer: {0}")]
    Serialise(#[from] serde_json::Error),
    /// The handler, or a thread it waited for, panicked.
    #[error("the handler panicked")]
    Panicked,
}

impl Error {
    fn status(&self) -> StatusCode {
        match self {
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::BadRequest(_) | Self::Fault(_) => StatusCode::BAD_REQUEST,
            Self::Rejected { status, .. } => *status,
            Self::Database(error) => database_status(error),
            Self::File { .. } | Self::Serialise(_) | Self::Panicked => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        }
    }
}

fn database_status(error: &sqlx::Error) -> StatusCode {
    match error.as_database_error().map(|error| error.kind()) {
        Some(ErrorKind::ForeignKeyViolation | ErrorKind::CheckViolation) => StatusCode::CONFLICT,
        _ if matches!(error, sqlx::Error::PoolTimedOut) => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The text of an error on its way to the layer that knows the request id and writes the body.
#[derive(Debug, Clone)]
pub struct Message(pub String);

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(Message(self.to_string()));
        response
    }
}

macro_rules! from_rejections {
    ($($rejection:ty),*) => {$(
        impl From<$rejection> for Error {
            fn from(rejection: $rejection) -> Self {
                Self::Rejected {
                    status: rejection.status(),
                    message: rejection.body_text(),
                }
            }
        }
    )*};
}

from_rejections!(PathRejection, QueryRejection, JsonRejection);
