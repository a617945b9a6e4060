//! Answers in general.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

/// Headers of an ordinary answer.
const HEADERS_USUAL: usize = 12;

pub fn json(status: StatusCode, body: impl Into<bytes::Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::from(body.into()));
    *response.status_mut() = status;
    // Room for what every answer gets on its way out, so that the map is made once.
    *response.headers_mut() = HeaderMap::with_capacity(HEADERS_USUAL);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

pub fn ok(body: impl Into<bytes::Bytes>) -> Response<Body> {
    json(StatusCode::OK, body)
}

pub fn no_content() -> Response<Body> {
    empty(StatusCode::NO_CONTENT)
}

pub fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
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
    // A file may be shown in a page of any origin, as it is locked in by its own policy.
    let policy = headers.get(header::CONTENT_SECURITY_POLICY);
    let is_locked_in = policy.is_some_and(|policy| policy.as_bytes().ends_with(b"sandbox"));
    for (name, value) in RULES {
        if is_locked_in && name == header::X_FRAME_OPTIONS {
            continue;
        }
        headers.entry(name).or_insert(value);
    }
}
