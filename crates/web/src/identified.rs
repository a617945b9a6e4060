//! The name that every request has, and what is told of those that fail: who reports the name can be helped.

use std::time::{Duration, Instant};

use axum::http::request::Parts as Head;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, Uri};
use base::limits::{FAILURES_TOLD_MAX, LOG_URL_CHARS_MAX};
use observe::RequestId;
use observe::requests::shortened;
use parking_lot::Mutex;

use crate::state::State;
use crate::wire::error::Logged;

const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// The name that the client, or what stands before us, gave it; a new one if that is none, or none that can be used.
/// Anybody may name their requests: a name opens nothing, and what it may hold is harmless wherever it is shown.
pub fn of(headers: &HeaderMap) -> RequestId {
    let given = headers.get(HEADER).and_then(|given| RequestId::read(given.as_bytes()));
    given.unwrap_or_else(RequestId::make)
}

/// Names the request in its answer.
pub fn answer<B>(response: &mut Response<B>, id: &RequestId) {
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert(HEADER, value);
    }
}

/// What is told of a request, in the log and in messages.
pub struct Told {
    pub method: Method,
    pub uri: Uri,
}

impl Told {
    pub fn of(head: &Head) -> Self {
        Told { method: head.method.clone(), uri: head.uri.clone() }
    }

    /// Tells of an answer that is our own fault. When a dependency is gone, all requests fail: then a few stand for all.
    pub fn failed<B>(self, state: &State, response: &Response<B>) {
        let Some(kept_back) = state.telling().next() else { return };
        if kept_back > 0 {
            tracing::error!(count = kept_back, "more requests failed than were told of");
        }
        let status = response.status().as_u16();
        let (error, details) = match response.extensions().get::<Logged>() {
            Some(logged) => (logged.error.as_str(), logged.details.as_str().unwrap_or_default()),
            None => ("", ""),
        };
        // Not the query, which may hold what is nobody's business.
        let path = shortened(self.uri.path(), LOG_URL_CHARS_MAX);
        tracing::error!(status, method = %self.method, %path, error, details, "a request failed");
    }
}

/// Bounds what is told in a second.
#[derive(Default)]
pub struct Telling(Mutex<Window>);

#[derive(Default)]
struct Window {
    since: Option<Instant>,
    told: u32,
    kept_back: u64,
}

impl Telling {
    /// `None` when there was enough; else how many were kept back in the second before.
    fn next(&self) -> Option<u64> {
        let mut window = self.0.lock();
        let mut kept_back = 0;
        if window.since.is_none_or(|since| since.elapsed() > Duration::from_secs(1)) {
            kept_back = window.kept_back;
            *window = Window { since: Some(Instant::now()), ..Window::default() };
        }
        if window.told >= FAILURES_TOLD_MAX {
            window.kept_back += 1;
            return None;
        }
        window.told += 1;
        Some(kept_back)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_failures_is_told_in_part() {
        let telling = Telling::default();
        let told = (0..10 * FAILURES_TOLD_MAX).filter(|_| telling.next().is_some()).count();
        // A slow machine may see a new second begin.
        assert!((1..10 * FAILURES_TOLD_MAX as usize).contains(&told), "{told}");
    }
}
