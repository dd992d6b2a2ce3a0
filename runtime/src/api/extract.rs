//! Reads bodies, queries and paths strictly, and answers what cannot be read with a problem that names it.

use std::fmt;

use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::{StatusCode, request::Parts},
};
use serde::de::DeserializeOwned;

use super::{BODY_LIMIT, Problem, wire::FromText};

/// A JSON body.
pub(super) struct Body<T>(pub(super) T);

/// A query string.
pub(super) struct Params<T>(pub(super) T);

/// The one variable part of a path.
pub(super) struct Segment<T>(pub(super) T);

/// The header `Idempotency-Key`, if there is one.
pub(super) struct IdempotencyKey(pub(super) Option<String>);

/// The longest key of a submission, in bytes.
const KEY_LIMIT: usize = 255;

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<IdempotencyKey, Problem> {
        let Some(value) = parts.headers.get("idempotency-key") else { return Ok(IdempotencyKey(None)) };
        match value.to_str() {
            Ok(key) if (1..=KEY_LIMIT).contains(&key.len()) => Ok(IdempotencyKey(Some(key.to_owned()))),
            Ok(_) | Err(_) => Err(Problem::bad_request(format!(
                "the header Idempotency-Key is not of 1 to {KEY_LIMIT} printable ASCII characters"
            ))),
        }
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Body<T>, Problem> {
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Problem::too_large(format!("the body is longer than {BODY_LIMIT} bytes")),
            _ => Problem::bad_request(format!("the body could not be read: {}", rejection.body_text())),
        })?;
        match Json::from_bytes(&bytes) {
            Ok(Json(body)) => Ok(Body(body)),
            Err(rejection) => {
                Err(Problem::bad_request(format!("the body is not what is asked for: {}", innermost(&rejection))))
            }
        }
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Params<T>, Problem> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(params)) => Ok(Params(params)),
            Err(rejection) => {
                Err(Problem::bad_request(format!("the query is not what is asked for: {}", innermost(&rejection))))
            }
        }
    }
}

impl<S: Send + Sync, T: FromText> FromRequestParts<S> for Segment<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Segment<T>, Problem> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(text)) => T::from_text(&text).map(Segment).map_err(Problem::bad_request),
            Err(rejection) => Err(Problem::bad_request(format!("the path cannot be read: {}", rejection.body_text()))),
        }
    }
}

/// The cause itself, without the layers that only say where it was noticed.
fn innermost(error: &dyn std::error::Error) -> impl fmt::Display {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
