//! Superusers' requests that may change something. They are done in the superuser's name, so that what they write leaves
//! entries in the audit log; what writes nothing, or fails, leaves one about how it ended.

use std::future::Future;
use std::sync::Arc;

use app::audit::{self, Actor, Doing};
use axum::body::Body;
use axum::http::request::Parts as Head;
use axum::http::{Method, Response};
use base::limits::LOG_URL_CHARS_MAX;
use observe::requests::shortened;

use crate::extract::bearer;
use crate::gate::Visit;
use crate::state::State;
use crate::wire::error::Logged;

/// The last parts of paths that change nothing, whatever their method says.
const HARMLESS: [&str; 6] = [
    "/api/realtime",
    "/api/files/token",
    "/auth-refresh",
    "/api/collections/meta/check",
    "/api/collections/meta/plan",
    "/api/collections/meta/dry-run-view",
];

pub struct Audited {
    doing: Arc<Doing>,
    request: String,
}

impl Audited {
    /// `None` for what is no superuser's, or changes nothing. Costs others nothing that they would not pay anyway: who calls
    /// is found out once.
    pub async fn of(state: &State, head: &Head, visit: &Visit) -> Option<Audited> {
        if matches!(head.method, Method::GET | Method::HEAD | Method::OPTIONS) {
            return None;
        }
        let (token, path) = (bearer(&head.headers), head.uri.path());
        if token.is_empty() || !path.starts_with("/api/") || HARMLESS.iter().any(|last| path.ends_with(last))
        {
            return None;
        }
        // What cannot be found out now is found out, and answered, by the route.
        let record = visit.caller(state, token).await.ok()??.record;
        if !record.collection.is_superusers() {
            return None;
        }
        let actor = Actor {
            id: record.id().into(),
            email: record.text("email").into(),
            ip: visit.address().to_string(),
        };
        let request = format!("{} {}", head.method, shortened(path, LOG_URL_CHARS_MAX));
        Some(Audited { doing: Doing::new(actor), request })
    }

    pub async fn answer(
        self,
        state: &State,
        work: impl Future<Output = Response<Body>> + Send,
    ) -> Response<Body> {
        let response = audit::scope(self.doing.clone(), work).await;
        let status = response.status();
        let why = (status.is_client_error() || status.is_server_error()).then(|| {
            match response.extensions().get::<Logged>() {
                Some(logged) => logged.error.as_str(),
                None => status.canonical_reason().unwrap_or_default(),
            }
        });
        audit::ended(state.parts(), &self.doing, &self.request, status.as_u16(), why).await;
        response
    }
}
