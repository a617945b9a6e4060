//! Which path leads to which use case.

use std::future::Future;

use app::Result;
use axum::Router;
use axum::extract::Request as HttpRequest;
use base::limits::{BODY_BYTES_MAX, BODY_TEXT_BYTES_MAX, UPLOAD_BYTES_MAX};
use observe::request_id;

use crate::state::State;
use crate::wire;
use crate::wire::error::Answer;

mod alerts;
mod audit;
mod auth;
mod backups;
mod batch;
mod collections;
mod crons;
mod dashboard;
mod describe;
mod exchange;
mod files;
mod general;
mod insights;
mod jobs;
mod logs;
mod mail;
mod oauth2_redirect;
mod queues;
mod realtime;
mod records;
mod settings;
mod sql;
mod system;
mod webhooks;

pub use realtime::WIRE;
pub use webhooks::WIRE as WEBHOOKS;

pub fn router(state: State) -> Router {
    Router::new()
        .merge(general::routes())
        .merge(collections::routes())
        .merge(records::routes())
        .merge(files::routes())
        .merge(auth::routes())
        .merge(audit::routes())
        .merge(backups::routes())
        .merge(mail::routes())
        .merge(batch::routes())
        .merge(settings::routes())
        .merge(logs::routes())
        .merge(sql::routes())
        .merge(system::routes())
        .merge(alerts::routes())
        .merge(crons::routes())
        .merge(queues::routes())
        .merge(webhooks::routes())
        .merge(jobs::routes())
        .merge(insights::routes())
        .merge(exchange::routes())
        .merge(realtime::routes())
        .merge(describe::routes())
        .merge(oauth2_redirect::routes())
        .merge(dashboard::routes())
        .fallback(general::fallback)
        .method_not_allowed_fallback(general::fallback)
        .with_state(state)
}

/// The work as a task of its own does it: for the same request, in the same name.
fn carried<F: Future>(work: F) -> impl Future<Output = F::Output> {
    request_id::carried(request_id::current(), app::audit::carried(app::audit::current(), work))
}

/// The answer reduced to the `fields` that the client asked for.
fn with_fields(asked: &crate::extract::Asked, body: String, in_items: bool) -> Answer {
    Ok(wire::answer::ok(reduced(asked, body, in_items)?))
}

/// The same, still as text.
fn reduced(asked: &crate::extract::Asked, body: String, in_items: bool) -> Result<String> {
    match asked.query.get("fields").filter(|fields| !fields.trim().is_empty()) {
        None => Ok(body),
        Some(fields) => wire::fields::pick(&body, fields, in_items)
            .ok_or_else(|| app::Error::bad_request().details("invalid fields parameter")),
    }
}

/// Splits a request that may carry files for a record of the collection.
async fn with_files(
    state: &State,
    request: HttpRequest,
    collection: &str,
) -> Result<(crate::extract::Asked, std::sync::Arc<app::files::Uploads>)> {
    let (head, body) = request.into_parts();
    let mut asked = crate::extract::Asked::of(state, &head).await?;
    let schema = state.parts().catalog.schema();
    let (all, texts) =
        schema.find(collection).map_or((0, 0), |found| (found.upload_bytes_max(), found.text_bytes_max()));
    // What any body may have, and what the collection's fields may bring along.
    let with = |bytes: u64, max: u64| bytes.saturating_add(BODY_BYTES_MAX as u64).min(max);
    let (all, texts) = (with(all, UPLOAD_BYTES_MAX), with(texts, BODY_TEXT_BYTES_MAX as u64));
    let (values, uploads) = crate::body::read_with_files(&head, body, all, texts as usize).await?;
    asked.request.body = values;
    Ok((asked, std::sync::Arc::new(uploads)))
}
