//! Health, and paths that lead nowhere.

use app::Error;
use axum::Router;
use axum::extract::{Request, State as FromState};
use axum::http::header;
use axum::routing::get;
use base::Kind;
use serde_json::json;

use super::with_fields;
use crate::extract::Asked;
use crate::public;
use crate::requestlog::Unlogged;
use crate::state::State;
use crate::watch;
use crate::wire::error::Answer;

pub fn routes() -> Router<State> {
    Router::new().route("/api/health", get(health)).route(watch::METRICS, get(figures))
}

pub async fn health(FromState(state): FromState<State>, request: Request) -> Answer {
    let (head, _) = request.into_parts();
    let asked = Asked::of(&state, &head).await?;
    state.parts().store.ping().await.map_err(Error::from)?;
    let data = match asked.request.is_superuser() {
        false => json!({}),
        true => json!({
            "canBackup": !state.parts().backups.is_busy(),
            "realIP": base::address::spelled(asked.visit.address()),
            "possibleProxyHeader": asked.visit.policy().proxies().hint(&head.headers),
        }),
    };
    let body = json!({"message": "API is healthy.", "code": 200, "data": data});
    with_fields(&asked, body.to_string(), false)
}

/// What the process counted tells of everybody's traffic: for anyone but superusers there is nothing here.
async fn figures(FromState(state): FromState<State>, request: Request) -> Answer {
    let (head, body) = request.into_parts();
    let is_superuser = head.headers.contains_key(header::AUTHORIZATION)
        && Asked::of(&state, &head).await.is_ok_and(|asked| asked.request.is_superuser());
    if is_superuser && let Some(mut response) = state.figures().await {
        response.extensions_mut().insert(Unlogged);
        return Ok(response);
    }
    fallback(FromState(state), Request::from_parts(head, body)).await
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
