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

/// Parts of the API that clients know and that are not built yet: said plainly, rather than as a wrong address.
const NOT_YET: [&str; 8] = ["batch", "backups", "crons", "files", "logs", "realtime", "settings", "sql"];

pub async fn fallback(request: Request) -> Response<Body> {
    let part = request.uri().path().strip_prefix("/api/").map(|rest| rest.split('/').next().unwrap_or(rest));
    if let Some(part) = part.filter(|part| NOT_YET.contains(part)) {
        let message = format!("The {part} API is not available in this version yet.");
        return wire::error::response(Error::new(Kind::Unsupported, message));
    }
    // Reading looks for a static file, of which there are none yet.
    let error = match *request.method() {
        Method::GET | Method::HEAD => Error::new(Kind::NotFound, "File not found."),
        _ => Error::not_found(),
    };
    wire::error::response(error)
}
