//! Server-sent events: how a stream begins, and what it is subscribed to.

use app::realtime::dispatch::{Action, Wire};
use app::realtime::{self, Options, Topic};
use app::records::Shown;
use app::{Error, Result};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State as FromState};
use axum::http::{HeaderName, HeaderValue, Method, Response, header};
use axum::routing::get;
use base::Kind;
use base::limits::{REALTIME_CLIENT_ID_BYTES_MAX, REALTIME_SUBSCRIPTIONS_MAX, REALTIME_TOPIC_BYTES_MAX};
use bytes::Bytes;
use model::{Violation, Violations};
use rustc_hash::FxHashMap;
use serde_json::{Map, Value as Json};

use crate::body;
use crate::extract::{Asked, Query, expand};
use crate::state::State;
use crate::stream::Handover;
use crate::wire;
use crate::wire::error::Answer;

pub fn routes() -> Router<State> {
    Router::new().route("/api/realtime", get(connect).post(subscribe))
}

/// How events look.
pub const WIRE: Wire = Wire { event, message: super::queues::event };

fn event(action: Action, shown: &Shown, fields: &str) -> Bytes {
    let record = wire::record::one(shown);
    let picked = match fields.trim() {
        "" => None,
        // Fields that cannot be read are as good as none.
        fields => wire::fields::pick(&record, fields, false),
    };
    let record = picked.unwrap_or(record);
    format!("{{\"record\":{record},\"action\":\"{}\"}}", action.name()).into()
}

async fn connect(FromState(state): FromState<State>, method: Method) -> Answer {
    let mut response = Response::new(Body::empty());
    for (name, value) in [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        // Proxies must not hold events back until they have more of them.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    if method == Method::GET {
        let stream = state.parts().realtime.connect()?;
        response.extensions_mut().insert(Handover::new(stream));
    }
    Ok(response)
}

async fn subscribe(FromState(state): FromState<State>, asked: Asked, request: Request) -> Answer {
    let is_form = {
        let content_type = body::content_type(request.headers());
        content_type.starts_with("application/x-www-form-urlencoded")
            || content_type.starts_with("multipart/")
    };
    let body = body::of(request).await.map_err(|error| match error.kind {
        Kind::Invalid => Error::bad_request().details(error.details.unwrap_or(error.message)),
        _ => error,
    })?;
    let (client_id, topics) = read(&body, is_form)?;
    check(&client_id, &topics)?;
    let topics = topics.iter().map(|text| topic(text)).collect();
    let caller = (asked.caller.as_ref(), asked.token.as_str());
    realtime::subscribe(state.parts(), &client_id, caller, topics).await?;
    Ok(wire::answer::no_content())
}

fn read(body: &Map<String, Json>, is_form: bool) -> Result<(String, Vec<String>)> {
    let wrong = |name: &str| Error::bad_request().details(format!("{name} has the wrong type"));
    let client_id = match body.get("clientId") {
        None | Some(Json::Null) => String::new(),
        Some(value) => text(value, is_form).ok_or_else(|| wrong("clientId"))?,
    };
    let topics = match body.get("subscriptions") {
        None | Some(Json::Null) => Some(Vec::new()),
        Some(Json::Array(items)) => items.iter().map(|item| text(item, is_form)).collect(),
        // A form names a list of one like a single value.
        Some(value) if is_form => text(value, is_form).map(|topic| vec![topic]),
        Some(_) => None,
    };
    Ok((client_id, topics.ok_or_else(|| wrong("subscriptions"))?))
}

fn text(value: &Json, is_form: bool) -> Option<String> {
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Number(_) | Json::Bool(_) if is_form => Some(value.to_string()),
        _ => None,
    }
}

fn check(client_id: &str, topics: &[String]) -> Result<()> {
    let mut violations = Violations::default();
    if client_id.is_empty() {
        violations.add("clientId", Violation::required());
    } else if client_id.len() > REALTIME_CLIENT_ID_BYTES_MAX {
        violations.add("clientId", Violation::length(1, REALTIME_CLIENT_ID_BYTES_MAX));
    }
    let too_long = |max: usize| {
        let message = format!("The length must be no more than {max}.");
        Violation::new("validation_length_too_long", message).with("max", max).with("min", 0)
    };
    if topics.len() > REALTIME_SUBSCRIPTIONS_MAX {
        violations.add("subscriptions", too_long(REALTIME_SUBSCRIPTIONS_MAX));
    } else {
        let mut wrong = Violations::default();
        for (index, _) in
            topics.iter().enumerate().filter(|(_, topic)| topic.len() > REALTIME_TOPIC_BYTES_MAX)
        {
            wrong.add(index.to_string(), too_long(REALTIME_TOPIC_BYTES_MAX));
        }
        violations.nest("subscriptions", wrong);
    }
    match violations.is_empty() {
        true => Ok(()),
        false => Err(Error { violations, ..Error::bad_request() }),
    }
}

/// `collection/*?options={"query":{…},"headers":{…}}`.
fn topic(text: &str) -> Topic {
    let query = text.split_once('?').map(|(_, query)| Query::parse(Some(query)));
    let options = query.as_ref().and_then(|query| query.get("options"));
    let options: Json = options.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let query = strings(&options, "query");
    let value = |name: &str| query.get(name).cloned().unwrap_or_default();
    let headers = strings(&options, "headers").into_iter();
    Topic {
        text: text.into(),
        options: Options {
            filter: value("filter"),
            expand: expand(&value("expand")),
            fields: value("fields"),
            headers: headers
                .map(|(name, value)| (name.to_ascii_lowercase().replace('-', "_"), value))
                .collect(),
            query,
        },
    }
}

/// An object's values as texts; what is none reads as empty.
fn strings(options: &Json, name: &str) -> FxHashMap<String, String> {
    let Some(Json::Object(values)) = options.get(name) else { return FxHashMap::default() };
    let text = |value: &Json| match value {
        Json::String(text) => text.clone(),
        Json::Number(_) | Json::Bool(_) => value.to_string(),
        _ => String::new(),
    };
    values.iter().map(|(name, value)| (name.clone(), text(value))).collect()
}
