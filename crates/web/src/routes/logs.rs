//! The request log, for superusers only.

use app::logs::doors;
use app::logs::read::{self, Entry};
use app::logs::trace::{self, Source};
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State as FromState};
use axum::http::Response;
use axum::middleware::map_response;
use axum::routing::get;
use base::json::{write_number, write_string};
use serde_json::{Value as Json, json};

use super::records::list_query;
use super::with_fields;
use crate::extract::Superuser;
use crate::requestlog::Unlogged;
use crate::state::State;
use crate::wire;
use crate::wire::error::Answer;

pub fn routes() -> Router<State> {
    Router::new()
        .route("/api/logs", get(list).delete(clear))
        .route("/api/logs/stats", get(stats))
        .route("/api/logs/trace/{request}", get(trace))
        .route("/api/logs/{id}", get(view))
        .route_layer(map_response(quiet))
}

/// Looking at the log must not make it longer.
pub(super) async fn quiet(mut response: Response<Body>) -> Response<Body> {
    response.extensions_mut().insert(Unlogged);
    response
}

fn write(out: &mut String, entry: &Entry) {
    out.push_str("{\"id\":");
    write_string(out, &entry.id);
    out.push_str(",\"created\":");
    write_string(out, &entry.created);
    out.push_str(",\"data\":");
    out.push_str(&entry.data);
    out.push_str(",\"message\":");
    write_string(out, &entry.message);
    out.push_str(",\"level\":");
    write_number(out, entry.level);
    out.push('}');
}

async fn list(FromState(state): FromState<State>, Superuser(asked): Superuser) -> Answer {
    let page = read::list(&asked.context(&state), &list_query(&asked.query)?).await?;
    with_fields(&asked, wire::record::page_with(&page, write), true)
}

async fn stats(FromState(state): FromState<State>, Superuser(asked): Superuser) -> Answer {
    let hours = read::stats(&asked.context(&state), asked.query.text("filter")).await?;
    let hours =
        hours.into_iter().map(|(hour, total)| json!({"date": format!("{hour}.000Z"), "total": total}));
    with_fields(&asked, Json::Array(hours.collect()).to_string(), false)
}

async fn view(
    FromState(state): FromState<State>,
    Path(id): Path<String>,
    Superuser(asked): Superuser,
) -> Answer {
    let entry = read::view(&asked.context(&state), &id).await?;
    let mut out = String::new();
    write(&mut out, &entry);
    with_fields(&asked, out, false)
}

/// Everything that is known of one request.
async fn trace(
    FromState(state): FromState<State>,
    Path(request): Path<String>,
    Superuser(asked): Superuser,
) -> Answer {
    let found = trace::trace(&asked.context(&state), &request).await?;
    let items = found.items.iter().map(|(source, entry)| {
        let data: Json = serde_json::from_str(&entry.data).unwrap_or_default();
        let (source, named) = match source {
            Source::Node => ("node", "node"),
            Source::Door => ("door", "door"),
        };
        json!({
            "id": entry.id,
            "created": entry.created,
            "level": entry.level,
            "message": entry.message,
            "source": source,
            "node": data[named].as_str().unwrap_or_default(),
            "data": data,
        })
    });
    let doors = found.doors.iter().map(|door| {
        let state = match door.answer {
            doors::Answer::Lines(_) => "answered",
            doors::Answer::Off => "off",
            doors::Answer::Silent => "silent",
        };
        json!({"name": door.name, "state": state})
    });
    let (items, doors): (Vec<Json>, Vec<Json>) = (items.collect(), doors.collect());
    with_fields(&asked, json!({"requestId": request, "items": items, "doors": doors}).to_string(), true)
}

async fn clear(FromState(state): FromState<State>, Superuser(asked): Superuser) -> Answer {
    read::clear(&asked.context(&state)).await?;
    Ok(wire::answer::no_content())
}
