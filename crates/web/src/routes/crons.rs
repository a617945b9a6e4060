//! What runs by the clock.

use app::crons;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State as FromState};
use axum::http::Response;
use axum::routing::{get, post};
use serde_json::{Value as Json, json};

use super::{answer, with_fields};
use crate::extract::Asked;
use crate::state::State;
use crate::wire;

pub fn routes() -> Router<State> {
    Router::new().route("/api/crons", get(list)).route("/api/crons/{id}", post(run))
}

async fn list(FromState(state): FromState<State>, request: Request) -> Response<Body> {
    answer(async {
        let (head, _) = request.into_parts();
        let asked = Asked::of(&state, &head).await?;
        asked.require_superuser()?;
        let crons = crons::all(state.parts());
        let crons = crons.iter().map(|cron| json!({"id": cron.id, "expression": cron.expression}));
        with_fields(&asked, Json::Array(crons.collect()).to_string(), false)
    })
    .await
}

async fn run(FromState(state): FromState<State>, Path(id): Path<String>, request: Request) -> Response<Body> {
    answer(async {
        let (head, _) = request.into_parts();
        let asked = Asked::of(&state, &head).await?;
        asked.require_superuser()?;
        crons::run_now(state.parts(), &id).await?;
        Ok(wire::answer::no_content())
    })
    .await
}
