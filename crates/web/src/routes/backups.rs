//! Backups, for superusers only.

use std::future::Future;

use app::{Error, Result, backups};
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State as FromState};
use axum::http::request::Parts as Head;
use axum::http::{HeaderMap, HeaderValue, Response, header};
use axum::routing::{get, post};
use base::Kind;
use base::limits::{BACKUP_UPLOAD_BYTES_MAX, BODY_BYTES_MAX};
use serde_json::{Value as Json, json};

use super::{answer, with_fields};
use crate::body;
use crate::conditional::{self, Resource};
use crate::extract::Asked;
use crate::state::State;
use crate::wire;

pub fn routes() -> Router<State> {
    Router::new()
        .route("/api/backups", get(list).post(create))
        .route("/api/backups/upload", post(upload).get(download_upload).delete(remove_upload))
        .route("/api/backups/{name}", get(download).delete(remove))
        .route("/api/backups/{name}/restore", post(restore))
}

async fn superuser(state: &State, head: &Head) -> Result<Asked> {
    let asked = Asked::of(state, head).await?;
    asked.require_superuser()?;
    Ok(asked)
}

/// What was begun is finished, whether the client waits for it or not.
async fn to_the_end(work: impl Future<Output = Result<()>> + Send + 'static) -> Result<Response<Body>> {
    let done = tokio::spawn(work).await;
    done.map_err(|error| Error::internal(error.to_string()))??;
    Ok(wire::answer::no_content())
}

async fn list(FromState(state): FromState<State>, request: Request) -> Response<Body> {
    answer(async {
        let (head, _) = request.into_parts();
        let asked = superuser(&state, &head).await?;
        let all = backups::list(state.parts()).await?;
        let all = all.iter().map(|entry| {
            json!({"modified": entry.modified.to_string(), "key": entry.key, "size": entry.size_bytes})
        });
        with_fields(&asked, Json::Array(all.collect()).to_string(), false)
    })
    .await
}

async fn create(FromState(state): FromState<State>, request: Request) -> Response<Body> {
    answer(async {
        let (head, body) = request.into_parts();
        superuser(&state, &head).await?;
        let unreadable = || Error::new(Kind::Invalid, "An error occurred while loading the submitted data.");
        let form = body::read(&head, body).await.map_err(|_| unreadable())?;
        let name = match form.get("name") {
            None | Some(Json::Null) => String::new(),
            Some(Json::String(name)) => name.clone(),
            Some(_) => return Err(unreadable()),
        };
        to_the_end(async move { backups::create(state.parts(), &name).await }).await
    })
    .await
}

async fn upload(FromState(state): FromState<State>, request: Request) -> Response<Body> {
    answer(async {
        let (head, body) = request.into_parts();
        superuser(&state, &head).await?;
        let (_, uploads) =
            body::read_with_files(&head, body, BACKUP_UPLOAD_BYTES_MAX, BODY_BYTES_MAX).await?;
        to_the_end(async move { backups::upload(state.parts(), uploads).await }).await
    })
    .await
}

async fn restore(
    FromState(state): FromState<State>,
    Path(name): Path<String>,
    request: Request,
) -> Response<Body> {
    answer(async {
        let (head, _) = request.into_parts();
        superuser(&state, &head).await?;
        to_the_end(async move { backups::restore(state.parts(), &name).await }).await
    })
    .await
}

/// A backup may well be called `upload`.
async fn remove_upload(state: FromState<State>, request: Request) -> Response<Body> {
    remove(state, Path("upload".into()), request).await
}

async fn remove(
    FromState(state): FromState<State>,
    Path(name): Path<String>,
    request: Request,
) -> Response<Body> {
    answer(async {
        let (head, _) = request.into_parts();
        superuser(&state, &head).await?;
        backups::delete(state.parts(), &name).await?;
        Ok(wire::answer::no_content())
    })
    .await
}

async fn download_upload(state: FromState<State>, request: Request) -> Response<Body> {
    download(state, Path("upload".into()), request).await
}

async fn download(
    FromState(state): FromState<State>,
    Path(name): Path<String>,
    request: Request,
) -> Response<Body> {
    answer(async {
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
        conditional::answer(&head, &resource, headers, |range| async { Ok(blob.stream(range).await?) }).await
    })
    .await
}
