//! The dashboard's files.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State as FromState};
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::routing::get;

use super::{general, oauth2_redirect};
use crate::requestlog::Unlogged;
use crate::state::State;
use crate::wire::error::Answer;

pub fn routes() -> Router<State> {
    Router::new().route("/_", get(beside)).route("/_/", get(page)).route("/_/{*path}", get(file))
}

/// Relative, so that it holds behind a proxy's path as well.
async fn beside() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_static("_/"));
    response.extensions_mut().insert(Unlogged);
    response
}

async fn page(FromState(state): FromState<State>, request: Request) -> Response<Body> {
    let found = state.dashboard().and_then(|dashboard| dashboard.page(request.headers()));
    found.unwrap_or_else(oauth2_redirect::page)
}

async fn file(FromState(state): FromState<State>, Path(path): Path<String>, request: Request) -> Answer {
    match state.dashboard().and_then(|dashboard| dashboard.file(&path, request.headers())) {
        Some(response) => Ok(response),
        None => general::fallback(FromState(state), request).await,
    }
}
