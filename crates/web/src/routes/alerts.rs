//! Alert rules, how they stand, and who is told: for superusers only.

use app::alerts::{self, Progress, Receivers, Rule};
use axum::Router;
use axum::extract::{Path, Request, State as FromState};
use axum::http::StatusCode;
use axum::routing::{get, post};
use base::Timestamp;
use serde_json::{Value as Json, json};

use super::with_fields;
use crate::extract::Superuser;
use crate::state::State;
use crate::wire::error::Answer;
use crate::{body, wire};

pub fn routes() -> Router<State> {
    Router::new()
        .route("/api/alerts", get(list).post(create))
        .route("/api/alerts/receivers", get(receivers).patch(change_receivers))
        .route("/api/alerts/test", post(test))
        .route("/api/alerts/{id}", get(view).patch(update).delete(remove))
}

fn time(ms: i64) -> String {
    if ms > 0 { Timestamp(ms).to_string() } else { String::new() }
}

fn encode(rule: &Rule, progress: &Progress) -> Json {
    json!({
        "id": rule.id,
        "kind": rule.kind.name(),
        "name": rule.name,
        "threshold": rule.threshold,
        "forSeconds": rule.for_ms / 1000,
        "severity": rule.severity.name(),
        "enabled": rule.enabled,
        "builtin": rule.builtin,
        "state": {
            "status": progress.status.name(),
            "since": time(progress.since),
            "value": progress.value,
            "elements": progress.elements,
            "notified": time(progress.notified),
        },
    })
}

/// With the webhooks' secrets, or without them.
fn encode_receivers(receivers: &Receivers, secrets: bool) -> Json {
    let hooks = receivers.webhooks.iter().map(|hook| match secrets {
        true => json!({"url": hook.url, "secret": hook.secret}),
        false => json!({"url": hook.url}),
    });
    json!({
        "superusers": receivers.superusers,
        "emails": receivers.emails,
        "webhooks": hooks.collect::<Vec<_>>(),
    })
}

async fn list(FromState(state): FromState<State>, Superuser(asked): Superuser) -> Answer {
    let receivers = alerts::receivers(state.parts()).await?;
    let rules = alerts::all(state.parts()).await?;
    let rules: Vec<Json> = rules.iter().map(|(rule, progress)| encode(rule, progress)).collect();
    let body = json!({"receivers": encode_receivers(&receivers, false), "rules": rules});
    with_fields(&asked, body.to_string(), false)
}

async fn view(
    FromState(state): FromState<State>,
    Path(id): Path<String>,
    Superuser(asked): Superuser,
) -> Answer {
    let (rule, progress) = alerts::view(state.parts(), &id).await?;
    with_fields(&asked, encode(&rule, &progress).to_string(), false)
}

async fn create(FromState(state): FromState<State>, Superuser(asked): Superuser, request: Request) -> Answer {
    let (rule, progress) = alerts::create(state.parts(), &body::form(request).await?).await?;
    with_fields(&asked, encode(&rule, &progress).to_string(), false)
}

async fn update(
    FromState(state): FromState<State>,
    Path(id): Path<String>,
    Superuser(asked): Superuser,
    request: Request,
) -> Answer {
    let (rule, progress) = alerts::update(state.parts(), &id, &body::form(request).await?).await?;
    with_fields(&asked, encode(&rule, &progress).to_string(), false)
}

async fn remove(FromState(state): FromState<State>, Path(id): Path<String>, _: Superuser) -> Answer {
    alerts::delete(state.parts(), &id).await?;
    Ok(wire::answer::no_content())
}

async fn receivers(FromState(state): FromState<State>, Superuser(asked): Superuser) -> Answer {
    let receivers = alerts::receivers(state.parts()).await?;
    with_fields(&asked, encode_receivers(&receivers, true).to_string(), false)
}

async fn change_receivers(
    FromState(state): FromState<State>,
    Superuser(asked): Superuser,
    request: Request,
) -> Answer {
    let receivers = alerts::change_receivers(state.parts(), &body::form(request).await?).await?;
    with_fields(&asked, encode_receivers(&receivers, true).to_string(), false)
}

async fn test(FromState(state): FromState<State>, _: Superuser) -> Answer {
    let count = alerts::test(state.parts()).await?;
    Ok(wire::answer::json(StatusCode::ACCEPTED, json!({"count": count}).to_string()))
}
