//! Health, and paths that lead nowhere.

use app::Error;
use axum::body::Body;
use axum::extract::{Request, State as FromState};
use axum::http::{Method, Response};
use base::Kind;

use crate::state::State;
use crate::wire;

pub async fn health(FromState(state): FromState<State>) -> Response<Body> {
    match state.parts().store.ping().await {
        Ok(()) => wire::answer::ok(r#"{"message":"API is healthy.","code":200,"data":{}}"#),
        Err(error) => wire::error::response(error.into()),
    }
}

pub async fn fallback(request: Request) -> Response<Body> {
    // Reading looks for a static file, of which there are none yet.
    let error = match *request.method() {
        Method::GET | Method::HEAD => Error::new(Kind::NotFound, "File not found."),
        _ => Error::not_found(),
    };
    wire::error::response(error)
}
