//! Backups, for superusers only.

use std::future::Future;

use app::{Error, Result, backups};
use axum::Router;
use axum::extract::{Path, Request, State as FromState};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::routing::{get, post};
use base::Kind;
use base::limits::{BACKUP_UPLOAD_BYTES_MAX, BODY_BYTES_MAX};
use observe::request_id;
use serde_json::{Value as Json, json};

use super::with_fields;
use crate::body::{self, UNREADABLE};
use crate::conditional::{self, Resource};
use crate::extract::{Asked, Superuser};
use crate::state::State;
use crate::wire;
use crate::wire::error::Answer;

pub fn routes() -> Router<State> {
    Router::new()
        .route("/api/backups", get(list).post(create))
        .route("/api/backups/upload", post(upload).get(download_upload).delete(remove_upload))
        .route("/api/backups/{name}", get(download).delete(remove))
        .route("/api/backups/{name}/restore", post(restore))
}

/// What was begun is finished, whether the client waits for it or not.
async fn to_the_end(work: impl Future<Output = Result<()>> + Send + 'static) -> Answer {
    let done = tokio::spawn(request_id::carried(request_id::current(), work)).await;
    done.map_err(|error| Error::internal(error.to_string()))??;
    Ok(wire::answer::no_content())
}

async fn list(FromState(state): FromState<State>, Superuser(asked): Superuser) -> Answer {
    let all = backups::list(state.parts()).await?;
    let all = all.iter().map(
        |entry| json!({"modified": entry.modified.to_string(), "key": entry.key, "size": entry.size_bytes}),
    );
    with_fields(&asked, Json::Array(all.collect()).to_string(), false)
}

async fn create(FromState(state): FromState<State>, _: Superuser, request: Request) -> Answer {
    let unreadable = || Error::new(Kind::Invalid, UNREADABLE);
    let form = body::of(request).await.map_err(|_| unreadable())?;
    let name = match form.get("name") {
        None | Some(Json::Null) => String::new(),
        Some(Json::String(name)) => name.clone(),
        Some(_) => return Err(unreadable().into()),
    };
    to_the_end(async move { backups::create(state.parts(), &name).await }).await
}

async fn upload(FromState(state): FromState<State>, _: Superuser, request: Request) -> Answer {
    let (head, body) = request.into_parts();
    let (_, uploads) = body::read_with_files(&head, body, BACKUP_UPLOAD_BYTES_MAX, BODY_BYTES_MAX).await?;
    to_the_end(async move { backups::upload(state.parts(), uploads).await }).await
}

async fn restore(FromState(state): FromState<State>, Path(name): Path<String>, _: Superuser) -> Answer {
    to_the_end(async move { backups::restore(state.parts(), &name).await }).await
}

/// A backup may well be called `upload`.
async fn remove_upload(state: FromState<State>, superuser: Superuser) -> Answer {
    remove(state, Path("upload".into()), superuser).await
}

async fn remove(FromState(state): FromState<State>, Path(name): Path<String>, _: Superuser) -> Answer {
    backups::delete(state.parts(), &name).await?;
    Ok(wire::answer::no_content())
}

async fn download_upload(state: FromState<State>, request: Request) -> Answer {
    download(state, Path("upload".into()), request).await
}

async fn download(FromState(state): FromState<State>, Path(name): Path<String>, request: Request) -> Answer {
    let (head, _) = request.into_parts();
    let asked = Asked::of(&state, &head).await?;
    let blob = backups::get(&asked.context(&state), &name, asked.query.text("token")).await?;
    let resource = Resource {
        size_bytes: blob.size_bytes,
        modified: blob.modified,
        etag: None,
        content_type: "application/zip",
    };
    let quoted = name.replace(['"', '\\'], "_");
    let disposition = HeaderValue::from_str(&format!("attachment; filename=\"{quoted}\""))
        .map_err(|error| Error::not_found().details(error))?;
    let headers = HeaderMap::from_iter([
        (header::CONTENT_DISPOSITION, disposition),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        // A name may get other bytes, and nobody else may keep them.
        (header::CACHE_CONTROL, HeaderValue::from_static("private, no-store")),
    ]);
    let blob = &blob;
    let read = |range| async { Ok(blob.stream(range).await?) };
    Ok(conditional::answer(&head, &resource, headers, read).await?)
}
