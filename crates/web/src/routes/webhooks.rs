//! Webhooks and their deliveries, for superusers only; and how an event looks that is delivered.

use app::webhooks::{self, Delivery, Told, Webhook, Wire, change, log};
use app::{Error, Result};
use axum::Router;
use axum::extract::{Path, Request, State as FromState};
use axum::http::StatusCode;
use axum::routing::{get, post};
use base::Timestamp;
use base::json::write_string;
use serde_json::{Value as Json, json};

use super::records::list_query;
use super::{reduced, with_fields};
use crate::extract::Superuser;
use crate::state::State;
use crate::wire::error::Answer;
use crate::{body, wire};

pub fn routes() -> Router<State> {
    Router::new()
        .route("/api/webhooks", get(list).post(create))
        .route("/api/webhooks/{id}", get(view).patch(update).delete(remove))
        .route("/api/webhooks/{id}/secret", get(secret))
        .route("/api/webhooks/{id}/rotate-secret", post(rotate))
        .route("/api/webhooks/{id}/test", post(test))
        .route("/api/webhooks/{id}/redeliver", post(redeliver_failed))
        .route("/api/webhooks/{id}/deliveries", get(deliveries))
        .route("/api/webhooks/{id}/deliveries/{delivery}", get(delivery))
        .route("/api/webhooks/{id}/deliveries/{delivery}/redeliver", post(redeliver))
}

/// How events look.
pub const WIRE: Wire = Wire { body: event, test: trial };

/// Type, time and data, as the Standard Webhooks specification has them.
fn event(told: &Told<'_>) -> String {
    let record = wire::record::one(told.record);
    let partial = told.known.and_then(|known| {
        let fields: Vec<&str> =
            ["collectionId", "collectionName"].into_iter().chain(known.iter().copied()).collect();
        wire::fields::pick(&record, &fields.join(","), false)
    });
    let is_partial = partial.is_some();
    let mut out = opened(told.action.event(), told.at);
    out.push_str("{\"action\":\"");
    out.push_str(told.action.name());
    out.push_str("\",\"record\":");
    out.push_str(partial.as_deref().unwrap_or(&record));
    // Some of the record is not known any more.
    out.push_str(if is_partial { ",\"partial\":true}}" } else { "}}" });
    out
}

fn trial(at: Timestamp, webhook: &str) -> String {
    let mut out = opened("webhook.test", at);
    out.push_str("{\"webhook\":");
    write_string(&mut out, webhook);
    out.push_str("}}");
    out
}

/// Everything up to the data.
fn opened(kind: &str, at: Timestamp) -> String {
    let time = at.to_string().replacen(' ', "T", 1);
    format!("{{\"type\":\"{kind}\",\"timestamp\":\"{time}\",\"data\":")
}

/// Times that are none are empty, as everywhere.
fn time(ms: i64) -> String {
    if ms > 0 { Timestamp(ms).to_string() } else { String::new() }
}

/// A webhook without its secrets. Collections are called by their names, as far as they are there.
fn encode(state: &State, webhook: &Webhook) -> Json {
    let schema = state.parts().catalog.schema();
    let names = webhook.collections.iter().map(|id| schema.by_id(id).map_or(&**id, |found| &found.name));
    let now = state.parts().clock.now();
    let old = webhook.signing(now).map(|secret| secret.until).max().unwrap_or_default();
    json!({
        "id": &*webhook.id,
        "name": webhook.name,
        "url": webhook.url,
        "collections": names.collect::<Vec<_>>(),
        "events": webhook.events,
        "filter": webhook.filter,
        "headers": webhook.headers,
        "enabled": webhook.enabled,
        "disabledReason": webhook.disabled_reason,
        "failingSince": time(webhook.failing),
        "oldSecretExpires": time(old),
        "created": webhook.created,
        "updated": webhook.updated,
    })
}

/// The same with the secret that is new.
fn with_secret(state: &State, webhook: &Webhook) -> Json {
    let mut json = encode(state, webhook);
    json["secret"] = webhook.secrets.first().map_or("", |secret| &secret.key).into();
    json
}

fn encode_delivery(delivery: &Delivery) -> Json {
    let mut json = json!({
        "id": delivery.id,
        "webhook": delivery.webhook,
        "event": delivery.event,
        "type": delivery.kind,
        "state": delivery.state,
        "attempts": delivery.attempts as i64,
        "status": delivery.status as i64,
        "error": delivery.error,
        "duration": delivery.duration_ms as i64,
        "request": delivery.request,
        "next": delivery.next.map_or_else(String::new, |next| next.to_string()),
        "tried": delivery.tried,
        "created": delivery.created,
    });
    if let Some((body, response)) = &delivery.content {
        json["body"] = body.as_str().into();
        json["response"] = response.as_str().into();
    }
    json
}

async fn list(FromState(state): FromState<State>, Superuser(asked): Superuser) -> Answer {
    let query = list_query(&asked.query)?;
    let page = query.cut(webhooks::all(state.parts()).await?);
    with_fields(&asked, wire::record::page_of(&page, |webhook| encode(&state, webhook)), true)
}

async fn create(FromState(state): FromState<State>, Superuser(asked): Superuser, request: Request) -> Answer {
    let body = body::form(request).await?;
    let webhook = change::create(&asked.context(&state), &body).await?;
    with_fields(&asked, with_secret(&state, &webhook).to_string(), false)
}

async fn view(
    FromState(state): FromState<State>,
    Path(id): Path<String>,
    Superuser(asked): Superuser,
) -> Answer {
    let webhook = webhooks::view(state.parts(), &id).await?;
    with_fields(&asked, encode(&state, &webhook).to_string(), false)
}

async fn update(
    FromState(state): FromState<State>,
    Path(id): Path<String>,
    Superuser(asked): Superuser,
    request: Request,
) -> Answer {
    let body = body::form(request).await?;
    let webhook = change::update(&asked.context(&state), &id, &body).await?;
    with_fields(&asked, encode(&state, &webhook).to_string(), false)
}

async fn remove(FromState(state): FromState<State>, Path(id): Path<String>, _: Superuser) -> Answer {
    change::delete(state.parts(), &id).await?;
    Ok(wire::answer::no_content())
}

async fn secret(
    FromState(state): FromState<State>,
    Path(id): Path<String>,
    Superuser(asked): Superuser,
) -> Answer {
    let webhook = webhooks::view(state.parts(), &id).await?;
    let now = state.parts().clock.now();
    let all = webhook.signing(now).map(|secret| json!({"secret": secret.key, "expires": time(secret.until)}));
    with_fields(&asked, json!({"secrets": all.collect::<Vec<_>>()}).to_string(), false)
}

async fn rotate(
    FromState(state): FromState<State>,
    Path(id): Path<String>,
    Superuser(asked): Superuser,
    request: Request,
) -> Answer {
    let body = body::form(request).await?;
    let webhook = change::rotate(&asked.context(&state), &id, &body).await?;
    with_fields(&asked, with_secret(&state, &webhook).to_string(), false)
}

async fn test(
    FromState(state): FromState<State>,
    Path(id): Path<String>,
    Superuser(asked): Superuser,
) -> Answer {
    let delivery = webhooks::test::test(state.parts(), &id).await?;
    with_fields(&asked, encode_delivery(&delivery).to_string(), false)
}

async fn deliveries(
    FromState(state): FromState<State>,
    Path(id): Path<String>,
    Superuser(asked): Superuser,
) -> Answer {
    let found = log::list(&asked.context(&state), &id, &list_query(&asked.query)?).await?;
    with_fields(&asked, wire::record::page_of(&found, encode_delivery), true)
}

async fn delivery(
    FromState(state): FromState<State>,
    Path((id, delivery)): Path<(String, String)>,
    Superuser(asked): Superuser,
) -> Answer {
    let delivery = log::view(state.parts(), &id, &delivery).await?;
    with_fields(&asked, encode_delivery(&delivery).to_string(), false)
}

async fn redeliver(
    FromState(state): FromState<State>,
    Path((id, delivery)): Path<(String, String)>,
    Superuser(asked): Superuser,
) -> Answer {
    let delivery = log::redeliver(state.parts(), &id, &delivery).await?;
    accepted(reduced(&asked, encode_delivery(&delivery).to_string(), false))
}

async fn redeliver_failed(
    FromState(state): FromState<State>,
    Path(id): Path<String>,
    Superuser(asked): Superuser,
    request: Request,
) -> Answer {
    let body = body::form(request).await?;
    let since = body::text(&body, "since")?;
    if since.is_empty() {
        return Err(Error::form("since", model::Violation::required()).into());
    }
    let count = log::redeliver_failed(state.parts(), &id, &since).await?;
    accepted(reduced(&asked, json!({"count": count}).to_string(), false))
}

/// It is done when somebody looks again.
fn accepted(body: Result<String>) -> Answer {
    Ok(wire::answer::json(StatusCode::ACCEPTED, body?))
}
