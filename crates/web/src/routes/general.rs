//! Health, and paths that lead nowhere.

use app::Error;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State as FromState};
use axum::http::Response;
use axum::routing::get;
use base::Kind;
use serde_json::json;

use super::{answer, with_fields};
use crate::extract::Asked;
use crate::gate::spelled;
use crate::public;
use crate::state::State;

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
                "canBackup": !state.parts().backups.is_busy(),
                "realIP": spelled(asked.visit.address()),
                "possibleProxyHeader": asked.visit.policy().proxies().hint(&head.headers),
            }),
        };
        let body = json!({"message": "API is healthy.", "code": 200, "data": data});
        with_fields(&asked, body.to_string(), false)
    })
    .await
}

/// What leads nowhere in the API may be a static file.
pub async fn fallback(FromState(state): FromState<State>, request: Request) -> Response<Body> {
    let (head, _) = request.into_parts();
    answer(async {
        match state.public() {
            _ if !public::reads(&head.method) => Err(Error::not_found()),
            Some(public) => public.serve(&head).await,
            None => Err(Error::new(Kind::NotFound, "File not found.")),
        }
    })
    .await
}
