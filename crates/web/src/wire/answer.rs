//! Answers in general.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};

pub fn json(status: StatusCode, body: impl Into<bytes::Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::from(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

pub fn ok(body: impl Into<bytes::Bytes>) -> Response<Body> {
    json(StatusCode::OK, body)
}

pub fn no_content() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}
