//! Health, and paths that lead nowhere.

use app::Error;
use axum::Router;
use axum::extract::{Request, State as FromState};
use axum::routing::get;
use base::Kind;
use serde_json::json;

use super::with_fields;
use crate::extract::Asked;
use crate::gate::spelled;
use crate::public;
use crate::state::State;
use crate::wire::error::Answer;

pub fn routes() -> Router<State> {
    Router::new().route("/api/health", get(health))
}

pub async fn health(FromState(state): FromState<State>, request: Request) -> Answer {
    let (head, _) = request.into_parts();
    let asked = Asked::of(&state, &head).await?;
    state.parts().store.ping().await.map_err(Error::from)?;
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
}

/// What leads nowhere in the API may be a static file.
pub async fn fallback(FromState(state): FromState<State>, request: Request) -> Answer {
    let (head, _) = request.into_parts();
    match state.public() {
        _ if !public::reads(&head.method) => Err(Error::not_found().into()),
        Some(public) => Ok(public.serve(&head).await?),
        None => Err(Error::new(Kind::NotFound, "File not found.").into()),
    }
}
