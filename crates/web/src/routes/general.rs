//! Health, and paths that lead nowhere.

use app::Error;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State as FromState};
use axum::http::{Method, Response};
use axum::routing::get;
use base::Kind;
use serde_json::json;

use super::{answer, with_fields};
use crate::extract::Asked;
use crate::gate::spelled;
use crate::state::State;
use crate::wire;

pub fn routes() -> Router<State> {
    Router::new().route("/api/health", get(health))
}

pub async fn health(FromState(state): FromState<State>, request: Request) -> Response<Body> {
    answer(async {
        let (head, _) = request.into_parts();
        let asked = Asked::of(&state, &head).await?;
        state.parts().store.ping().await?;
        let data = match asked.request.is_superuser() {
            false => json!({}),
            true => json!({
                "canBackup": true,
                "realIP": spelled(asked.visit.address()),
                "possibleProxyHeader": asked.visit.policy().proxies().hint(&head.headers),
            }),
        };
        let body = json!({"message": "API is healthy.", "code": 200, "data": data});
        with_fields(&asked, body.to_string(), false)
    })
    .await
}

/// Parts of the API that clients know and that are not built yet: said plainly, rather than as a wrong address.
const NOT_YET: &[&str] = &["backups"];

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
            ("/api/files/a/b/c.txt", None),
            ("/api/collections/users/records", None),
            ("/api/filesystem", None),
            ("/api/", None),
            ("/files", None),
        ] {
            assert_eq!(not_yet(path), part, "{path}");
        }
    }
}
