//! Backups, for superusers only.

use std::future::Future;

use app::{Error, Result, backups};
use axum::Router;
use axum::extract::{Path, Request, State as FromState};
use axum::middleware::map_response;
use axum::routing::{get, post};
use base::Kind;
use base::limits::{BACKUP_UPLOAD_BYTES_MAX, BODY_BYTES_MAX};
use serde_json::{Value as Json, json};

use super::logs::quiet;
use super::{carried, with_fields};
use crate::body::{self, UNREADABLE};
use crate::conditional;
use crate::extract::{Asked, Superuser};
use crate::state::State;
use crate::wire;
use crate::wire::error::Answer;

pub fn routes() -> Router<State> {
    Router::new()
        .route("/api/system/backup", get(progress).layer(map_response(quiet)))
        .route("/api/backups", get(list).post(create))
        .route("/api/backups/upload", post(upload).get(download_upload).delete(remove_upload))
        .route("/api/backups/{name}", get(download).delete(remove))
        .route("/api/backups/{name}/restore", post(restore))
}

/// What goes on in this process, and what can be done here. The shape is documented in `docs/system-api.md`.
async fn progress(FromState(state): FromState<State>, Superuser(asked): Superuser) -> Answer {
    let parts = state.parts();
    let busy = parts.backups.progress().map(|busy| {
        json!({
            "doing": busy.doing.name(),
            "name": busy.name,
            "since": busy.since.to_string(),
            "phase": busy.phase.name(),
            "done": busy.done,
            "total": busy.total,
        })
    });
    let told =
        json!({"busy": busy, "canRestore": parts.backups.has_data(), "canKeep": backups::can_keep(parts)});
    with_fields(&asked, told.to_string(), false)
}

/// What was begun is finished, whether the client waits for it or not.
async fn to_the_end(work: impl Future<Output = Result<()>> + Send + 'static) -> Answer {
    let done = tokio::spawn(carried(work)).await;
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
    Ok(conditional::download(&head, &blob, &name, "application/zip").await?)
}
