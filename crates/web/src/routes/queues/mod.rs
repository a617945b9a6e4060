//! The application's own queues: streams and groups are defined by superusers, messages published and consumed by
//! whom their rules let.

use app::queues::stats::GroupStats;
use app::queues::{self, define};
use app::{Error, Result};
use axum::Router;
use axum::extract::{Path, Request, State as FromState};
use axum::routing::{get, post};
use base::Timestamp;
use base::limits::QUEUE_MESSAGES_MAX;
use model::Violation;
use serde_json::{Map, Value as Json, json};

use super::with_fields;
use crate::body;
use crate::extract::Superuser;
use crate::state::State;
use crate::wire;
use crate::wire::error::Answer;

mod messages;

pub use messages::{event, publish};

pub fn routes() -> Router<State> {
    let group = "/api/queues/{stream}/groups/{group}";
    let of_group = |path: &str| format!("{group}/{path}");
    Router::new()
        .route("/api/queues", get(list).post(create))
        .route("/api/queues/{stream}", get(view).patch(update).delete(remove))
        .route("/api/queues/{stream}/stats", get(stats))
        .route("/api/queues/{stream}/groups", get(groups).post(create_group))
        .route(group, get(view_group).patch(update_group).delete(remove_group))
        .route(&of_group("dead"), get(letters))
        .route(&of_group("dead/retry"), post(retry))
        .route(&of_group("dead/drop"), post(forget))
        .merge(messages::routes())
}

type Group = Path<(String, String)>;

async fn list(FromState(state): FromState<State>, Superuser(asked): Superuser) -> Answer {
    let streams = state.parts().queues.streams();
    with_fields(
        &asked,
        json!(streams.all.iter().map(|stream| &**stream).collect::<Vec<_>>()).to_string(),
        false,
    )
}

async fn create(FromState(state): FromState<State>, Superuser(asked): Superuser, request: Request) -> Answer {
    let form = body::form(request).await?;
    let stream = define::create(state.parts(), &form).await?;
    with_fields(&asked, json!(stream).to_string(), false)
}

async fn view(
    FromState(state): FromState<State>,
    Path(name): Path<String>,
    Superuser(asked): Superuser,
) -> Answer {
    let stream = queues::find(state.parts(), &name)?;
    with_fields(&asked, json!(*stream).to_string(), false)
}

async fn update(
    FromState(state): FromState<State>,
    Path(name): Path<String>,
    Superuser(asked): Superuser,
    request: Request,
) -> Answer {
    let form = body::form(request).await?;
    let stream = define::update(state.parts(), &name, &form).await?;
    with_fields(&asked, json!(stream).to_string(), false)
}

async fn remove(FromState(state): FromState<State>, Path(name): Path<String>, _: Superuser) -> Answer {
    define::delete(state.parts(), &name).await?;
    Ok(wire::answer::no_content())
}

async fn groups(
    FromState(state): FromState<State>,
    Path(name): Path<String>,
    Superuser(asked): Superuser,
) -> Answer {
    let stream = queues::find(state.parts(), &name)?;
    with_fields(&asked, json!(stream.groups).to_string(), false)
}

async fn create_group(
    FromState(state): FromState<State>,
    Path(name): Path<String>,
    Superuser(asked): Superuser,
    request: Request,
) -> Answer {
    let form = body::form(request).await?;
    let group = define::create_group(state.parts(), &name, &form).await?;
    with_fields(&asked, json!(group).to_string(), false)
}

async fn view_group(
    FromState(state): FromState<State>,
    Path((stream, group)): Group,
    Superuser(asked): Superuser,
) -> Answer {
    let stream = queues::find(state.parts(), &stream)?;
    let group = stream.group(&group).ok_or_else(Error::not_found)?;
    with_fields(&asked, json!(group).to_string(), false)
}

async fn update_group(
    FromState(state): FromState<State>,
    Path((stream, group)): Group,
    Superuser(asked): Superuser,
    request: Request,
) -> Answer {
    let form = body::form(request).await?;
    let group = define::update_group(state.parts(), &stream, &group, &form).await?;
    with_fields(&asked, json!(group).to_string(), false)
}

async fn remove_group(
    FromState(state): FromState<State>,
    Path((stream, group)): Group,
    _: Superuser,
) -> Answer {
    define::delete_group(state.parts(), &stream, &group).await?;
    Ok(wire::answer::no_content())
}

async fn stats(
    FromState(state): FromState<State>,
    Path(name): Path<String>,
    Superuser(asked): Superuser,
) -> Answer {
    let stats = queues::stats::stats(state.parts(), &name).await?;
    let group = |group: &GroupStats| {
        json!({
            "name": group.name,
            "waiting": group.waiting,
            "inFlight": group.in_flight,
            "dead": group.dead,
            "oldestMs": group.oldest_ms,
        })
    };
    let groups: Vec<Json> = stats.groups.iter().map(group).collect();
    let out = json!({
        "messages": stats.messages,
        "firstSeq": stats.first,
        "lastSeq": stats.last,
        "groups": groups,
    });
    with_fields(&asked, out.to_string(), false)
}

async fn letters(
    FromState(state): FromState<State>,
    Path((stream, group)): Group,
    Superuser(asked): Superuser,
) -> Answer {
    let number = |name: &str, default: u64| match asked.query.get(name) {
        None => Ok(default),
        Some(text) => text.parse::<u64>().map_err(|_| Error::form(name, Violation::format())),
    };
    let (offset, max) = (number("offset", 0)?, number("max", QUEUE_MESSAGES_MAX as u64)?);
    let letters = queues::dead::list(state.parts(), &stream, &group, offset, max).await?;
    let out = wire::message::list(&letters, |out, letter| {
        out.push_str("{\"id\":");
        base::json::write_string(out, &letter.message.id);
        out.push_str(&format!(",\"deliveries\":{},\"died\":", letter.deliveries));
        base::json::write_string(out, &Timestamp(letter.died).to_string());
        wire::message::fields(out, &letter.message);
        out.push('}');
    });
    with_fields(&asked, out, false)
}

/// Ids of messages, or all.
fn chosen(form: &Map<String, Json>) -> Result<Option<Vec<String>>> {
    match form.get("ids") {
        Some(Json::String(all)) if all == "all" => Ok(None),
        Some(Json::Array(items)) => messages::texts(items, "ids").map(Some),
        _ => Err(Error::form("ids", Violation::required())),
    }
}

async fn retry(
    FromState(state): FromState<State>,
    Path((stream, group)): Group,
    Superuser(asked): Superuser,
    request: Request,
) -> Answer {
    let chosen = chosen(&body::form(request).await?)?;
    let count = queues::dead::retry(state.parts(), &stream, &group, chosen.as_deref()).await?;
    with_fields(&asked, json!({"retried": count}).to_string(), false)
}

async fn forget(
    FromState(state): FromState<State>,
    Path((stream, group)): Group,
    Superuser(asked): Superuser,
    request: Request,
) -> Answer {
    let chosen = chosen(&body::form(request).await?)?;
    let count = queues::dead::forget(state.parts(), &stream, &group, chosen.as_deref()).await?;
    with_fields(&asked, json!({"dropped": count}).to_string(), false)
}
