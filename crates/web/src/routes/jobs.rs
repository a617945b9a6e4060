//! Jobs that wait, run or were given up, for superusers only.

use app::jobs::{self, Seen, Standing};
use axum::Router;
use axum::extract::{Path, State as FromState};
use axum::middleware::map_response;
use axum::routing::{get, post};
use base::Timestamp;
use serde_json::{Value as Json, json};

use super::logs::quiet;
use super::records::list_query;
use super::with_fields;
use crate::extract::Superuser;
use crate::state::State;
use crate::wire;
use crate::wire::error::Answer;

pub fn routes() -> Router<State> {
    Router::new()
        .route("/api/jobs", get(list))
        .route("/api/jobs/queues", get(queues).route_layer(map_response(quiet)))
        .route("/api/jobs/retry-dead", post(retry_dead))
        .route("/api/jobs/{id}", get(view).delete(remove))
        .route("/api/jobs/{id}/retry", post(retry))
}

fn shown(job: &Seen) -> Json {
    let payload = serde_json::from_str(&job.payload).unwrap_or_else(|_| Json::String(job.payload.clone()));
    json!({
        "id": job.id,
        "queue": job.queue,
        "state": job.state.name(),
        "priority": job.priority as i64,
        "attempts": job.attempts as i64,
        "due": Timestamp(job.due).to_string(),
        "created": job.created,
        "error": job.error,
        "payload": payload,
    })
}

async fn list(FromState(state): FromState<State>, Superuser(asked): Superuser) -> Answer {
    let (queue, in_state) = (asked.query.text("queue"), asked.query.text("state"));
    let page = jobs::list(state.parts(), queue, in_state, &list_query(&asked.query)?).await?;
    with_fields(&asked, wire::record::page_of(&page, shown), true)
}

/// How every queue stands; asked for again and again while somebody looks.
async fn queues(FromState(state): FromState<State>, Superuser(asked): Superuser) -> Answer {
    let queue = |one: &Standing| {
        json!({
            "name": one.queue,
            "waiting": one.waiting,
            "delayed": one.delayed,
            "running": one.running,
            "dead": one.dead,
            "oldestMs": one.oldest_ms,
        })
    };
    let all = jobs::standing(state.parts()).await?;
    let items: Vec<Json> = all.iter().map(queue).collect();
    with_fields(&asked, json!({"items": items}).to_string(), false)
}

async fn view(
    FromState(state): FromState<State>,
    Path(id): Path<String>,
    Superuser(asked): Superuser,
) -> Answer {
    let job = jobs::view(state.parts(), &id).await?;
    with_fields(&asked, shown(&job).to_string(), false)
}

async fn retry(FromState(state): FromState<State>, Path(id): Path<String>, _: Superuser) -> Answer {
    jobs::retry(state.parts(), &id).await?;
    Ok(wire::answer::no_content())
}

async fn retry_dead(FromState(state): FromState<State>, Superuser(asked): Superuser) -> Answer {
    let count = jobs::retry_dead(state.parts(), asked.query.text("queue")).await?;
    with_fields(&asked, json!({"retried": count}).to_string(), false)
}

async fn remove(FromState(state): FromState<State>, Path(id): Path<String>, _: Superuser) -> Answer {
    jobs::remove(state.parts(), &id).await?;
    Ok(wire::answer::no_content())
}
