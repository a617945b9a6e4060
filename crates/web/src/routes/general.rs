//! Health, and paths that lead nowhere.

use app::Error;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State as FromState};
use axum::http::{Method, Response};
use axum::routing::get;
use base::Kind;

use crate::state::State;
use crate::wire;

pub fn routes() -> Router<State> {
    Router::new().route("/api/health", get(health))
}

pub async fn health(FromState(state): FromState<State>) -> Response<Body> {
    match state.parts().store.ping().await {
        Ok(()) => wire::answer::ok(r#"{"message":"API is healthy.","code":200,"data":{}}"#),
        Err(error) => wire::error::response(error.into()),
    }
}

/// Parts of the API that clients know and that are not built yet: said plainly, rather than as a wrong address.
const NOT_YET: [&str; 5] = ["backups", "files", "logs", "settings", "sql"];

pub async fn fallback(request: Request) -> Response<Body> {
    if let Some(part) = not_yet(request.uri().path()) {
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

fn not_yet(path: &str) -> Option<&str> {
    let part = path.strip_prefix("/api/")?.split('/').next()?;
    NOT_YET.contains(&part).then_some(part)
}

#[cfg(test)]
mod tests {
    use super::not_yet;

    #[test]
    fn what_is_not_there_is_named() {
        for (path, part) in [
            ("/api/backups", Some("backups")),
            ("/api/files/a/b/c.txt", Some("files")),
            ("/api/collections/users/records", None),
            ("/api/filesystem", None),
            ("/api/", None),
            ("/files", None),
        ] {
            assert_eq!(not_yet(path), part, "{path}");
        }
    }
}
