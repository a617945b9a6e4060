//! The API described for machines.
//!
//! Superusers are told of everything. Everyone else is told of the collections and operations that the caller's
//! account does not rule out, without hidden fields, help texts and the rules themselves: what any client of theirs
//! has to know, and nothing of collections that are closed.

use app::collections::standing;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State as FromState};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use axum::routing::get;

use crate::describe::typescript;
use crate::extract::{Asked, Superuser};
use crate::state::State;
use crate::wire;
use crate::wire::error::Answer;

pub fn routes() -> Router<State> {
    Router::new().route("/api/openapi.json", get(openapi)).route("/api/types.ts", get(types))
}

async fn openapi(FromState(state): FromState<State>, request: Request) -> Answer {
    let (head, _) = request.into_parts();
    let asked = Asked::of(&state, &head).await?;
    let cx = asked.context(&state);
    let app_name = state.parts().settings.load().meta.app_name.clone();
    let open = standing::standing(&cx);
    let guests = || standing::of_guests(&cx);
    let documents = state.documents();
    let document = documents.get(cx.schema.clone(), cx.is_superuser(), open, guests, &app_name).await?;
    let mut response = match is_known(&head.headers, &document.etag) {
        true => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response
        }
        false => wire::answer::ok(document.body),
    };
    let headers = response.headers_mut();
    if let Ok(etag) = HeaderValue::from_str(&document.etag) {
        headers.insert(header::ETAG, etag);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.append(header::VARY, HeaderValue::from_static("Authorization"));
    Ok(response)
}

/// Whether the client already holds the document.
fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let given = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    given
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == etag)
}

/// What `pando types` writes, for those who have the server rather than its data.
async fn types(FromState(state): FromState<State>, Superuser(asked): Superuser) -> Answer {
    let mut response = Response::new(Body::from(typescript::render(&asked.context(&state).schema)));
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    Ok(response)
}
