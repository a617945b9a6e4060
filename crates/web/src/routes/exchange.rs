//! Exports and imports of records, for superusers only.

use app::exchange::{self, Direction, Exchange, export, import};
use app::{Error, Result};
use axum::Router;
use axum::extract::{Path, Request, State as FromState};
use axum::http::StatusCode;
use axum::routing::get;
use base::limits::{BODY_BYTES_MAX, EXCHANGE_FILE_BYTES_MAX};
use serde_json::{Value as Json, json};

use super::records::list_query;
use super::{carried, reduced, with_fields};
use crate::body::{self, text};
use crate::conditional;
use crate::extract::{Asked, Superuser};
use crate::state::State;
use crate::wire;
use crate::wire::error::Answer;

pub fn routes() -> Router<State> {
    Router::new()
        .route("/api/exports", get(exports).post(begin_export))
        .route("/api/exports/{id}", get(view_export).delete(remove_export))
        .route("/api/exports/{id}/file", get(download))
        .route("/api/imports", get(imports).post(begin_import))
        .route("/api/imports/{id}", get(view_import).delete(remove_import))
}

fn encode(state: &State, exchange: &Exchange) -> Json {
    let schema = state.parts().catalog.schema();
    let name = schema.by_id(&exchange.collection).map_or(&*exchange.collection_name, |found| &found.name);
    let mut json = json!({
        "id": &*exchange.id,
        "state": exchange.state.name(),
        "collection": name,
        "format": exchange.format.name(),
        "rows": exchange.rows,
        "size": exchange.size_bytes,
        "error": exchange.error,
        "created": exchange.created,
        "updated": exchange.updated,
    });
    match exchange.direction {
        Direction::Export => {
            json["filter"] = exchange.filter.as_str().into();
            json["total"] = exchange.total.into();
        }
        Direction::Import => {
            let errors =
                exchange.errors.iter().map(|wrong| json!({"line": wrong.line, "message": wrong.message}));
            json["mode"] = exchange.mode.name().into();
            json["position"] = exchange.position.into();
            json["report"] = json!({
                "created": exchange.created_rows,
                "updated": exchange.updated_rows,
                "failed": exchange.failed_rows,
                "errors": errors.collect::<Vec<_>>(),
            });
        }
    }
    json
}

async fn list(state: State, asked: Asked, direction: Direction) -> Answer {
    let query = list_query(&asked.query)?;
    let page = query.cut(exchange::all(state.parts(), direction).await?);
    with_fields(&asked, wire::record::page_of(&page, |one| encode(&state, one)), true)
}

async fn view(state: State, asked: Asked, direction: Direction, id: &str) -> Answer {
    let found = exchange::view(state.parts(), direction, id).await?;
    with_fields(&asked, encode(&state, &found).to_string(), false)
}

async fn remove(state: State, direction: Direction, id: &str) -> Answer {
    exchange::delete(state.parts(), direction, id).await?;
    Ok(wire::answer::no_content())
}

/// It is not done yet.
fn accepted(state: &State, asked: &Asked, begun: &Exchange) -> Result<axum::response::Response> {
    let body = reduced(asked, encode(state, begun).to_string(), false)?;
    Ok(wire::answer::json(StatusCode::ACCEPTED, body))
}

async fn exports(FromState(state): FromState<State>, Superuser(asked): Superuser) -> Answer {
    list(state, asked, Direction::Export).await
}

async fn imports(FromState(state): FromState<State>, Superuser(asked): Superuser) -> Answer {
    list(state, asked, Direction::Import).await
}

async fn view_export(
    FromState(state): FromState<State>,
    Path(id): Path<String>,
    Superuser(asked): Superuser,
) -> Answer {
    view(state, asked, Direction::Export, &id).await
}

async fn view_import(
    FromState(state): FromState<State>,
    Path(id): Path<String>,
    Superuser(asked): Superuser,
) -> Answer {
    view(state, asked, Direction::Import, &id).await
}

async fn remove_export(FromState(state): FromState<State>, Path(id): Path<String>, _: Superuser) -> Answer {
    remove(state, Direction::Export, &id).await
}

async fn remove_import(FromState(state): FromState<State>, Path(id): Path<String>, _: Superuser) -> Answer {
    remove(state, Direction::Import, &id).await
}

async fn begin_export(
    FromState(state): FromState<State>,
    Superuser(asked): Superuser,
    request: Request,
) -> Answer {
    let form = body::form(request).await?;
    let (collection, format, filter) =
        (text(&form, "collection")?, text(&form, "format")?, text(&form, "filter")?);
    let wanted = export::Asked { collection: &collection, format: &format, filter: &filter };
    let begun = export::create(&asked.context(&state), &wanted).await?;
    Ok(accepted(&state, &asked, &begun)?)
}

async fn begin_import(
    FromState(state): FromState<State>,
    Superuser(asked): Superuser,
    request: Request,
) -> Answer {
    let (head, body) = request.into_parts();
    let (form, uploads) = body::read_with_files(&head, body, EXCHANGE_FILE_BYTES_MAX, BODY_BYTES_MAX).await?;
    // What was begun is finished, whether the client waits for it or not.
    let work = async move {
        let (collection, format, mode) =
            (text(&form, "collection")?, text(&form, "format")?, text(&form, "mode")?);
        let wanted = import::Asked { collection: &collection, format: &format, mode: &mode };
        let begun = import::create(&asked.context(&state), &wanted, uploads).await?;
        accepted(&state, &asked, &begun)
    };
    let done = tokio::spawn(carried(work)).await;
    Ok(done.map_err(|error| Error::internal(error.to_string()))??)
}

async fn download(FromState(state): FromState<State>, Path(id): Path<String>, request: Request) -> Answer {
    let (head, _) = request.into_parts();
    let asked = Asked::of(&state, &head).await?;
    let (export, blob) = exchange::file(&asked.context(&state), &id, asked.query.text("token")).await?;
    let name = format!("{}.{}", export.collection_name, export.format.name());
    Ok(conditional::download(&head, &blob, &name, export.format.content_type()).await?)
}
