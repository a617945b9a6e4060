//! Answers in general.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

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

/// What browsers are told with every answer, unless it says otherwise itself: to take it for what it says it is, and to
/// keep pages of other origins away from it.
pub fn harden(headers: &mut HeaderMap) {
    const RULES: [(HeaderName, HeaderValue); 4] = [
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN")),
        (header::X_XSS_PROTECTION, HeaderValue::from_static("1; mode=block")),
        (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    ];
    // Files say who may frame them in a policy of their own.
    let framed = headers.contains_key(header::CONTENT_SECURITY_POLICY);
    for (name, value) in RULES.into_iter().filter(|(name, _)| !(framed && *name == header::X_FRAME_OPTIONS)) {
        headers.entry(name).or_insert(value);
    }
}
