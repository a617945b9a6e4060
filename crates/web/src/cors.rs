//! Cross-origin requests: every origin may call the API, as its tokens travel in a header and not in cookies.

use axum::body::Body;
use axum::http::request::Parts as Head;
use axum::http::{HeaderValue, Method, Response, StatusCode, header};

const METHODS: HeaderValue = HeaderValue::from_static("GET,HEAD,PUT,PATCH,POST,DELETE");
const ANY: HeaderValue = HeaderValue::from_static("*");
const VARY: HeaderValue = HeaderValue::from_static("Origin");

/// The answer to a browser that asks before it sends, or to a plain OPTIONS.
pub fn preflight(head: &Head) -> Option<Response<Body>> {
    if head.method != Method::OPTIONS {
        return None;
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    if let Some(asked) = head.headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
    }
    headers.insert(header::VARY, VARY);
    Some(response)
}

/// Lets a browser show the answer to a page of another origin.
pub fn allow<B>(response: &mut Response<B>) {
    // It says so to everybody.
    if response.headers().contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN) {
        return;
    }
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
    response.headers_mut().append(header::VARY, VARY);
}
