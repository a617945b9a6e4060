//! Where a provider sends the browser back to, and the page that it then shows where there is no dashboard.

use app::auth::oauth2::redirect::{Returned, hand_over};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State as FromState};
use axum::http::{HeaderValue, Method, Response, StatusCode, header};
use axum::routing::get;
use base::limits::OAUTH2_RETURN_BYTES_MAX;

use crate::extract::Query;
use crate::state::State;

/// Relative, so that it holds behind a proxy's path as well.
const SUCCESS: &str = "../_/#/auth/oauth2-redirect-success";
const FAILURE: &str = "../_/#/auth/oauth2-redirect-failure";
const PAGE: &str = include_str!("oauth2_redirect.html");

pub fn routes() -> Router<State> {
    Router::new().route("/api/oauth2-redirect", get(back).post(back))
}

async fn back(FromState(state): FromState<State>, request: Request) -> Response<Body> {
    let (head, body) = request.into_parts();
    let query = Query::parse(head.uri.query());
    // Some providers post what others write into the address.
    let form = match head.method {
        Method::POST => crate::body::read(&head, body).await.unwrap_or_default(),
        _ => serde_json::Map::new(),
    };
    let text = |name: &str| match form.get(name) {
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(serde_json::Value::Number(number)) => number.to_string(),
        _ => query.text(name).to_owned(),
    };
    let returned = Returned { state: text("state"), code: text("code"), error: text("error") };
    let size = returned.state.len() + returned.code.len() + returned.error.len();
    let went_well = size <= OAUTH2_RETURN_BYTES_MAX && hand_over(state.parts(), &returned).await;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = match head.method {
        Method::GET => StatusCode::TEMPORARY_REDIRECT,
        // What was posted is not posted again.
        _ => StatusCode::SEE_OTHER,
    };
    let location = HeaderValue::from_static(if went_well { SUCCESS } else { FAILURE });
    response.headers_mut().insert(header::LOCATION, location);
    // The address that led here holds the code.
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// What a browser is shown that comes back where there is no dashboard.
pub fn page() -> Response<Body> {
    let mut response = Response::new(Body::from(PAGE));
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
