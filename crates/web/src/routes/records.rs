//! Records.

use std::sync::Arc;

use app::records::{self, ListQuery};
use app::rules::Context;
use app::{Error, Result};
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State as FromState};
use axum::http::request::Parts as Head;
use axum::routing::get;
use backing::Kept;
use base::Kind;
use model::{CachePolicy, Collection, Schema};

use super::{reduced, with_files};
use crate::extract::{Asked, Query, bearer};
use crate::freshness;
use crate::state::State;
use crate::wire;
use crate::wire::error::Answer;

pub fn routes() -> Router<State> {
    Router::new()
        .route("/api/collections/{collection}/records", get(list).post(create))
        .route("/api/collections/{collection}/records/{id}", get(view).patch(update).delete(remove))
}

pub(super) fn find(schema: &Schema, name: &str) -> Result<Arc<Collection>> {
    missing(schema, name, "Missing collection context.")
}

/// The reference words it differently for writes.
fn find_to_write(schema: &Schema, name: &str) -> Result<Arc<Collection>> {
    missing(schema, name, "Missing or invalid collection context.")
}

fn missing(schema: &Schema, name: &str, message: &str) -> Result<Arc<Collection>> {
    schema.find(name).cloned().ok_or_else(|| Error::new(Kind::NotFound, message))
}

pub async fn list(FromState(state): FromState<State>, Path(name): Path<String>, request: Request) -> Answer {
    let (head, _) = request.into_parts();
    let asked = Asked::of(&state, &head).await?;
    let cx = asked.context(&state);
    let collection = find(&cx.schema, &name)?;
    let policy = policy(&asked, &collection);
    let cx = if policy.is_some() { cx.traced() } else { cx };
    let parts = state.parts();
    let key = cache_key(&asked, &cx.schema, &collection, head.uri.query().unwrap_or_default());
    let key = key.filter(|_| parts.caches());
    if let Some(known) = key.as_ref().and_then(|key| parts.answers.get(key)) {
        return Ok(told(&state, &head, &asked, policy, known));
    }
    let began = parts.answers.begin();
    let _load = parts.keeping.loads.list().await.map_err(Error::from)?;
    let page = records::list::list(&cx, &collection, &list_query(&asked.query)?).await?;
    let body = bytes::Bytes::from(reduced(&asked, wire::record::page(&page), true)?);
    let mut sources = cx.take_sources();
    let tables = std::mem::take(&mut sources.tables);
    let kept = match policy {
        Some(policy) => freshness::judged(&asked, policy, sources, body),
        None => body.into(),
    };
    if let Some(key) = key {
        parts.answers.put(&key, began, tables, kept.clone());
    }
    Ok(told(&state, &head, &asked, policy, kept))
}

/// What the collection lets caches outside do. Superusers' answers are never kept there.
fn policy<'a>(asked: &Asked, collection: &'a Collection) -> Option<&'a CachePolicy> {
    collection.cache.as_ref().filter(|_| !asked.request.is_superuser())
}

fn told(
    state: &State,
    head: &Head,
    asked: &Asked,
    policy: Option<&CachePolicy>,
    kept: Kept,
) -> axum::http::Response<Body> {
    match policy {
        None => wire::answer::ok(kept.bytes),
        Some(policy) => freshness::answer(head, asked, policy, kept, state.parts().clock.now().seconds()),
    }
}

/// What a list's answer depends on besides tables; `None` when that is more than can be named, such as the time.
fn cache_key(asked: &Asked, schema: &Schema, collection: &Collection, raw_query: &str) -> Option<Vec<u8>> {
    if collection.is_view() || schema.is_volatile || model::filter::is_volatile(asked.query.text("filter")) {
        return None;
    }
    if asked.query.text("sort").contains('@') {
        return None;
    }
    let mut key = Vec::with_capacity(64 + raw_query.len());
    key.extend_from_slice(&schema.version.to_le_bytes());
    key.extend_from_slice(collection.id.as_bytes());
    key.push(0);
    if let Some(auth) = &asked.request.auth {
        key.extend_from_slice(auth.collection.id.as_bytes());
        key.push(0);
        key.extend_from_slice(auth.id().as_bytes());
    }
    key.push(0);
    key.extend_from_slice(raw_query.as_bytes());
    Some(key)
}

pub(super) fn list_query(query: &Query) -> Result<ListQuery> {
    let number = |name: &str| match query.get(name).filter(|text| !text.is_empty()) {
        None => Ok(0),
        // Negative pages and sizes fall back to the defaults.
        Some(text) => text
            .parse::<i64>()
            .map(|number| number.max(0) as u64)
            .map_err(|error| Error::bad_request().details(format!("{name}: {error}"))),
    };
    let skip_total = match query.text("skipTotal") {
        "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => false,
        "1" | "t" | "T" | "true" | "TRUE" | "True" => true,
        other => return Err(Error::bad_request().details(format!("skipTotal: {other:?} is no boolean"))),
    };
    Ok(ListQuery {
        page: number("page")?,
        per_page: number("perPage")?,
        sort: query.text("sort").to_string(),
        filter: query.text("filter").to_string(),
        skip_total,
        expand: query.expand(),
    })
}

pub async fn view(
    FromState(state): FromState<State>,
    Path((name, id)): Path<(String, String)>,
    request: Request,
) -> Answer {
    let (head, _) = request.into_parts();
    let (asked, ahead) = match bearer(&head.headers).is_empty() {
        true => (Asked::of(&state, &head).await, None),
        false => tokio::join!(Asked::of(&state, &head), records::view::ahead(state.parts(), &name, &id)),
    };
    let asked = asked?;
    let cx = asked.context(&state);
    let collection = find(&cx.schema, &name)?;
    let policy = policy(&asked, &collection);
    let cx = if policy.is_some() { cx.traced() } else { cx };
    let shown = records::view::view(&cx, &collection, &id, &asked.query.expand(), ahead).await?;
    let body = bytes::Bytes::from(reduced(&asked, wire::record::one(&shown), false)?);
    let kept = match policy {
        Some(policy) => freshness::judged(&asked, policy, cx.take_sources(), body),
        None => body.into(),
    };
    Ok(told(&state, &head, &asked, policy, kept))
}

pub async fn create(
    FromState(state): FromState<State>,
    Path(name): Path<String>,
    request: Request,
) -> Answer {
    let (asked, uploads) = with_files(&state, request, &name).await?;
    let cx = asked.context(&state).with_uploads(uploads);
    let collection = find_to_write(&cx.schema, &name)?;
    Ok(wire::answer::ok(created(&asked, &cx, &collection).await?))
}

pub(super) async fn created(asked: &Asked, cx: &Context<'_>, collection: &Arc<Collection>) -> Result<String> {
    let shown = records::create::create(cx, collection, &asked.query.expand()).await?;
    reduced(asked, wire::record::one(&shown), false)
}

pub async fn update(
    FromState(state): FromState<State>,
    Path((name, id)): Path<(String, String)>,
    request: Request,
) -> Answer {
    let (asked, uploads) = with_files(&state, request, &name).await?;
    let cx = asked.context(&state).with_uploads(uploads);
    let collection = find_to_write(&cx.schema, &name)?;
    Ok(wire::answer::ok(updated(&asked, &cx, &collection, &id).await?))
}

pub(super) async fn updated(
    asked: &Asked,
    cx: &Context<'_>,
    collection: &Arc<Collection>,
    id: &str,
) -> Result<String> {
    let shown = records::update::update(cx, collection, id, &asked.query.expand()).await?;
    reduced(asked, wire::record::one(&shown), false)
}

pub async fn remove(
    FromState(state): FromState<State>,
    Path((name, id)): Path<(String, String)>,
    asked: Asked,
) -> Answer {
    let cx = asked.context(&state);
    let collection = find(&cx.schema, &name)?;
    records::delete::delete(&cx, &collection, &id).await?;
    Ok(wire::answer::no_content())
}
