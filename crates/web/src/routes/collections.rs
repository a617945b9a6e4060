//! Collections, for superusers only.

use app::Error;
use app::collections;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State as FromState};
use axum::http::Response;
use axum::routing::{delete, get, put};
use base::Kind;
use model::json_text;
use model::{Collection, Violation};
use serde_json::Value as Json;

use super::records::list_query;
use super::{answer, with_fields};
use crate::extract::Asked;
use crate::state::State;
use crate::wire;

fn encode(collection: &Collection) -> String {
    json_text::stored(&collection.to_json(false))
}

/// The request of a superuser, without a body.
async fn superuser(state: &State, request: Request) -> app::Result<Asked> {
    let (head, _) = request.into_parts();
    let asked = Asked::of(state, &head).await?;
    asked.require_superuser()?;
    Ok(asked)
}

pub fn routes() -> Router<State> {
    Router::new()
        .route("/api/collections", get(list).post(create))
        .route("/api/collections/import", put(import).get(view_import))
        .route("/api/collections/meta/scaffolds", get(scaffolds))
        .route("/api/collections/{collection}", get(view).patch(update).delete(remove))
        .route("/api/collections/{collection}/truncate", delete(truncate))
}

pub async fn list(FromState(state): FromState<State>, request: Request) -> Response<Body> {
    answer(async {
        let asked = superuser(&state, request).await?;
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
    })
    .await
}

pub async fn view(
    FromState(state): FromState<State>,
    Path(name): Path<String>,
    request: Request,
) -> Response<Body> {
    answer(async {
        let asked = superuser(&state, request).await?;
        let collection = asked.context(&state).collection(&name).ok_or_else(Error::not_found)?;
        with_fields(&asked, encode(&collection), false)
    })
    .await
}

/// A collection may well be called `import`.
pub async fn view_import(state: FromState<State>, request: Request) -> Response<Body> {
    view(state, Path("import".into()), request).await
}

pub async fn create(FromState(state): FromState<State>, request: Request) -> Response<Body> {
    answer(async {
        let (asked, body) = superuser_with_body(
            &state,
            request,
            "Failed to load the collection type data due to invalid formatting.",
        )
        .await?;
        let collection = collections::change::create(&asked.context(&state), &body).await?;
        with_fields(&asked, encode(&collection), false)
    })
    .await
}

pub async fn update(
    FromState(state): FromState<State>,
    Path(name): Path<String>,
    request: Request,
) -> Response<Body> {
    answer(async {
        let (asked, body) = superuser_with_body(
            &state,
            request,
            "Failed to load the submitted data due to invalid formatting.",
        )
        .await?;
        let collection = collections::change::update(&asked.context(&state), &name, &body).await?;
        with_fields(&asked, encode(&collection), false)
    })
    .await
}

pub async fn remove(
    FromState(state): FromState<State>,
    Path(name): Path<String>,
    request: Request,
) -> Response<Body> {
    answer(async {
        let asked = superuser(&state, request).await?;
        collections::change::delete(&asked.context(&state), &name).await?;
        Ok(wire::answer::no_content())
    })
    .await
}

pub async fn truncate(
    FromState(state): FromState<State>,
    Path(name): Path<String>,
    request: Request,
) -> Response<Body> {
    answer(async {
        let asked = superuser(&state, request).await?;
        collections::truncate::truncate(&asked.context(&state), &name).await?;
        Ok(wire::answer::no_content())
    })
    .await
}

pub async fn import(FromState(state): FromState<State>, request: Request) -> Response<Body> {
    answer(async {
        const UNREADABLE: &str = "An error occurred while loading the submitted data.";
        let (asked, body) = superuser_with_body(&state, request, UNREADABLE).await?;
        let readable = |item: &Json| item.is_object() || item.is_null();
        let list = match body.get("collections") {
            Some(Json::Array(list)) if !list.is_empty() && list.iter().all(readable) => list,
            Some(Json::Array(list)) if !list.is_empty() => {
                return Err(Error::new(Kind::Invalid, UNREADABLE));
            }
            None | Some(Json::Null | Json::Array(_)) => {
                return Err(Error::form("collections", Violation::required()));
            }
            Some(_) => return Err(Error::new(Kind::Invalid, UNREADABLE)),
        };
        let delete_missing = body.get("deleteMissing").and_then(Json::as_bool).unwrap_or_default();
        collections::import::import(&asked.context(&state), list, delete_missing).await?;
        Ok(wire::answer::no_content())
    })
    .await
}

pub async fn scaffolds(FromState(state): FromState<State>, request: Request) -> Response<Body> {
    answer(async {
        let asked = superuser(&state, request).await?;
        with_fields(&asked, json_text::stored(&model::collection::system::scaffolds()), false)
    })
    .await
}

/// `unreadable` is what is said of a body that is none.
async fn superuser_with_body(
    state: &State,
    request: Request,
    unreadable: &str,
) -> app::Result<(Asked, Json)> {
    // Refused before the body is read.
    let (head, body) = request.into_parts();
    let asked = Asked::of(state, &head).await?;
    asked.require_superuser()?;
    let body = crate::body::read(&head, body).await.map_err(|error| match error.kind {
        Kind::Invalid => Error { message: unreadable.into(), ..error },
        _ => error,
    })?;
    Ok((asked, Json::Object(body)))
}
