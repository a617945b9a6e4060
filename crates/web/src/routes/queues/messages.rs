//! Publishing and consuming.

use app::queues::pull::{Message, Pull};
use app::queues::read::{self, Ask, From};
use app::queues::settle::{self, Verdict};
use app::queues::{publish as publishing, pull as pulling};
use app::rules::Context;
use app::{Error, Result};
use axum::Router;
use axum::extract::{Path, Request, State as FromState};
use axum::http::Method;
use axum::routing::{get, post};
use base::json::write_string;
use base::limits::QUEUE_MESSAGES_MAX;
use bytes::Bytes;
use model::Violation;
use serde_json::{Map, Value as Json, json};

use super::{Group, with_fields};
use crate::body;
use crate::extract::Asked;
use crate::state::State;
use crate::wire::error::Answer;
use crate::wire::message::{delivered, list, message, moment, number, outgoing};

/// Messages that come without being told how many.
const MAX_DEFAULT: usize = 10;
const READ_MAX_DEFAULT: usize = 100;

pub fn routes() -> Router<State> {
    let group = |path: &str| format!("/api/queues/{{stream}}/groups/{{group}}/{path}");
    Router::new()
        .route("/api/queues/{stream}/publish", post(published))
        .route("/api/queues/{stream}/read", get(read).post(read))
        .route(&group("pull"), post(pull))
        .route(&group("ack"), post(ack))
        .route(&group("nak"), post(nak))
        .route(&group("extend"), post(extend))
}

/// A message as an event.
pub fn event(stream: &str, published: &Message) -> Bytes {
    let mut out = String::from("{\"action\":\"message\",\"stream\":");
    write_string(&mut out, stream);
    out.push_str(",\"message\":");
    message(&mut out, published);
    out.push('}');
    out.into()
}

/// The request with its body, which rules see as well.
async fn asked(state: &State, request: Request) -> Result<Asked> {
    let (head, body) = request.into_parts();
    let mut asked = Asked::of(state, &head).await?;
    asked.see_headers(&head);
    asked.request.body = match head.method {
        // What would be the body stands in the address.
        Method::GET => asked.request.query.iter().map(|(key, value)| (key.clone(), json!(value))).collect(),
        _ => body::read(&head, body).await.map_err(body::unreadable)?,
    };
    Ok(asked)
}

async fn published(
    FromState(state): FromState<State>,
    Path(stream): Path<String>,
    request: Request,
) -> Answer {
    let asked = asked(&state, request).await?;
    let out = publish(&asked.context(&state), &stream).await?;
    with_fields(&asked, out, false)
}

/// What a request's body says is published, as part of the context's transaction if there is one.
pub async fn publish(cx: &Context<'_>, stream: &str) -> Result<String> {
    let form = &cx.request.body;
    let now = cx.parts.clock.now();
    let one =
        |published: &publishing::Published| json!({"id": published.id, "duplicate": published.duplicate});
    match form.get("messages") {
        None => {
            let published = publishing::publish(cx, stream, vec![outgoing(form, now)?]).await?;
            Ok(published.first().map(one).unwrap_or_default().to_string())
        }
        Some(Json::Array(messages)) if messages.len() <= QUEUE_MESSAGES_MAX => {
            let each = messages.iter().map(|message| match message {
                Json::Object(message) => outgoing(message, now),
                _ => Err(Error::form("messages", Violation::format())),
            });
            let published = publishing::publish(cx, stream, each.collect::<Result<_>>()?).await?;
            let published: Vec<Json> = published.iter().map(one).collect();
            Ok(json!({"messages": published}).to_string())
        }
        Some(_) => Err(Error::form("messages", Violation::length(1, QUEUE_MESSAGES_MAX))),
    }
}

/// A number of things that is no more than fits.
fn count(form: &Map<String, Json>, name: &str, default: usize) -> Result<usize> {
    Ok(number(form, name)?.map_or(default, |count| usize::try_from(count).unwrap_or(usize::MAX)))
}

async fn pull(FromState(state): FromState<State>, Path((stream, group)): Group, request: Request) -> Answer {
    let asked = asked(&state, request).await?;
    let form = &asked.request.body;
    let ask = Pull {
        max: count(form, "max", MAX_DEFAULT)?,
        lease_ms: number(form, "leaseMs")?,
        wait_ms: number(form, "waitMs")?.unwrap_or(0),
    };
    let messages = pulling::pull(&asked.context(&state), &stream, &group, &ask).await?;
    let out = format!("{{\"messages\":{}}}", list(&messages, delivered));
    with_fields(&asked, out, false)
}

async fn read(FromState(state): FromState<State>, Path(stream): Path<String>, request: Request) -> Answer {
    let asked = asked(&state, request).await?;
    let form = &asked.request.body;
    let text = |name: &str| match form.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) if text.is_empty() => Ok(None),
        Some(Json::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Error::form(name, Violation::new("validation_invalid_type", "Must be a text."))),
    };
    let ask = Ask {
        from: from(form)?,
        filter: text("filter")?.unwrap_or_else(|| ">".into()),
        max: count(form, "max", READ_MAX_DEFAULT)?,
        wait_ms: number(form, "waitMs")?.unwrap_or(0),
        subscriber: text("subscriber")?,
        ack: number(form, "ack")?,
    };
    let page = read::read(&asked.context(&state), &stream, &ask).await?;
    let out = format!("{{\"messages\":{},\"next\":{}}}", list(&page.messages, message), page.next);
    with_fields(&asked, out, false)
}

/// `new`, `first`, a number of the stream, or a time.
fn from(form: &Map<String, Json>) -> Result<From> {
    let wrong = || {
        let message = "Must be \"new\", \"first\", a message's number or a date.";
        Error::form("from", Violation::new("validation_invalid_value", message))
    };
    match form.get("from") {
        None | Some(Json::Null) => Ok(From::New),
        Some(Json::String(text)) => match text.as_str() {
            "" | "new" => Ok(From::New),
            "first" => Ok(From::First),
            text => match text.parse() {
                Ok(seq) => Ok(From::Seq(seq)),
                Err(_) => moment(&json!(text)).map(From::Time).ok_or_else(wrong),
            },
        },
        Some(value) => value.as_u64().map(From::Seq).ok_or_else(wrong),
    }
}

async fn ack(FromState(state): FromState<State>, group: Group, request: Request) -> Answer {
    settled(&state, group, request, |_| Ok(Verdict::Done)).await
}

async fn nak(FromState(state): FromState<State>, group: Group, request: Request) -> Answer {
    let verdict = |form: &Map<String, Json>| {
        let delay_ms = number(form, "delayMs")?;
        Ok(Verdict::Again { delay_ms: delay_ms.map(|delay| i64::try_from(delay).unwrap_or(i64::MAX)) })
    };
    settled(&state, group, request, verdict).await
}

async fn extend(FromState(state): FromState<State>, group: Group, request: Request) -> Answer {
    settled(&state, group, request, |form| Ok(Verdict::Longer { lease_ms: number(form, "leaseMs")? })).await
}

async fn settled(
    state: &State,
    Path((stream, group)): Group,
    request: Request,
    verdict: impl Fn(&Map<String, Json>) -> Result<Verdict>,
) -> Answer {
    let asked = asked(state, request).await?;
    let form = &asked.request.body;
    let receipts = match (form.get("receipts"), form.get("receipt")) {
        (Some(Json::Array(items)), _) => texts(items, "receipts")?,
        (None, Some(Json::String(one))) => vec![one.clone()],
        _ => return Err(Error::form("receipts", Violation::required()).into()),
    };
    let good = settle::settle(&asked.context(state), &stream, &group, &receipts, &verdict(form)?).await?;
    let stale: Vec<&String> =
        receipts.iter().zip(&good).filter(|(_, good)| !**good).map(|(one, _)| one).collect();
    let out = json!({"settled": receipts.len() - stale.len(), "stale": stale});
    with_fields(&asked, out.to_string(), false)
}

/// A list of texts, no longer than any may be.
pub fn texts(items: &[Json], name: &str) -> Result<Vec<String>> {
    let texts = items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>();
    texts
        .filter(|texts| texts.len() <= QUEUE_MESSAGES_MAX)
        .ok_or_else(|| Error::form(name, Violation::length(1, QUEUE_MESSAGES_MAX)))
}
