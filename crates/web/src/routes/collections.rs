//! Collections, for superusers only.

use app::Error;
use app::collections;
use axum::Router;
use axum::extract::{Path, Request, State as FromState};
use axum::routing::{delete, get, put};
use base::Kind;
use model::json_text;
use model::{Collection, Violation};
use serde_json::Value as Json;

use super::records::list_query;
use super::with_fields;
use crate::body::{self, UNREADABLE};
use crate::extract::Superuser;
use crate::state::State;
use crate::wire;
use crate::wire::error::Answer;

fn encode(collection: &Collection) -> String {
    json_text::stored(&collection.to_json(false))
}

pub fn routes() -> Router<State> {
    Router::new()
        .route("/api/collections", get(list).post(create))
        .route("/api/collections/import", put(import).get(view_import))
        .route("/api/collections/meta/scaffolds", get(scaffolds))
        .route("/api/collections/{collection}", get(view).patch(update).delete(remove))
        .route("/api/collections/{collection}/truncate", delete(truncate))
}

pub async fn list(FromState(state): FromState<State>, Superuser(asked): Superuser) -> Answer {
    let page = collections::list::list(&asked.context(&state), &list_query(&asked.query)?)?;
    let mut out = String::from("{\"items\":[");
    for (index, collection) in page.items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push_str(&encode(collection));
    }
    out.push(']');
    wire::record::page_tail(&mut out, page.page, page.per_page, page.total);
    with_fields(&asked, out, true)
}

pub async fn view(
    FromState(state): FromState<State>,
    Path(name): Path<String>,
    Superuser(asked): Superuser,
) -> Answer {
    let collection = asked.context(&state).collection(&name).ok_or_else(Error::not_found)?;
    with_fields(&asked, encode(&collection), false)
}

/// A collection may well be called `import`.
pub async fn view_import(state: FromState<State>, superuser: Superuser) -> Answer {
    view(state, Path("import".into()), superuser).await
}

pub async fn create(
    FromState(state): FromState<State>,
    Superuser(asked): Superuser,
    request: Request,
) -> Answer {
    let body = read(request, "Failed to load the collection type data due to invalid formatting.").await?;
    let collection = collections::change::create(&asked.context(&state), &body).await?;
    with_fields(&asked, encode(&collection), false)
}

pub async fn update(
    FromState(state): FromState<State>,
    Path(name): Path<String>,
    Superuser(asked): Superuser,
    request: Request,
) -> Answer {
    let body = read(request, "Failed to load the submitted data due to invalid formatting.").await?;
    let collection = collections::change::update(&asked.context(&state), &name, &body).await?;
    with_fields(&asked, encode(&collection), false)
}

pub async fn remove(
    FromState(state): FromState<State>,
    Path(name): Path<String>,
    Superuser(asked): Superuser,
) -> Answer {
    collections::change::delete(&asked.context(&state), &name).await?;
    Ok(wire::answer::no_content())
}

pub async fn truncate(
    FromState(state): FromState<State>,
    Path(name): Path<String>,
    Superuser(asked): Superuser,
) -> Answer {
    collections::truncate::truncate(&asked.context(&state), &name).await?;
    Ok(wire::answer::no_content())
}

pub async fn import(
    FromState(state): FromState<State>,
    Superuser(asked): Superuser,
    request: Request,
) -> Answer {
    let body = body::form(request).await?;
    let readable = |item: &Json| item.is_object() || item.is_null();
    let list = match body.get("collections") {
        Some(Json::Array(list)) if !list.is_empty() && list.iter().all(readable) => list,
        Some(Json::Array(list)) if !list.is_empty() => {
            return Err(Error::new(Kind::Invalid, UNREADABLE).into());
        }
        None | Some(Json::Null | Json::Array(_)) => {
            return Err(Error::form("collections", Violation::required()).into());
        }
        Some(_) => return Err(Error::new(Kind::Invalid, UNREADABLE).into()),
    };
    let delete_missing = body.get("deleteMissing").and_then(Json::as_bool).unwrap_or_default();
    collections::import::import(&asked.context(&state), list, delete_missing).await?;
    Ok(wire::answer::no_content())
}

pub async fn scaffolds(Superuser(asked): Superuser) -> Answer {
    with_fields(&asked, json_text::stored(&model::collection::system::scaffolds()), false)
}

/// `unreadable` is what is said of a body that is none.
async fn read(request: Request, unreadable: &str) -> app::Result<Json> {
    let body = body::of(request).await.map_err(|error| match error.kind {
        Kind::Invalid => Error { message: unreadable.into(), ..error },
        _ => error,
    })?;
    Ok(Json::Object(body))
}
