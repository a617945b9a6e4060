//! What runs by the clock.

use app::crons;
use axum::Router;
use axum::extract::{Path, State as FromState};
use axum::routing::{get, post};
use serde_json::{Value as Json, json};

use super::with_fields;
use crate::extract::Superuser;
use crate::state::State;
use crate::wire;
use crate::wire::error::Answer;

pub fn routes() -> Router<State> {
    Router::new().route("/api/crons", get(list)).route("/api/crons/{id}", post(run))
}

async fn list(FromState(state): FromState<State>, Superuser(asked): Superuser) -> Answer {
    let crons = crons::all(state.parts());
    let crons = crons.iter().map(|cron| json!({"id": cron.id, "expression": cron.expression}));
    with_fields(&asked, Json::Array(crons.collect()).to_string(), false)
}

async fn run(FromState(state): FromState<State>, Path(id): Path<String>, _: Superuser) -> Answer {
    crons::run_now(state.parts(), &id).await?;
    Ok(wire::answer::no_content())
}
