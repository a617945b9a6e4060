//! What the request log keeps of a request, in the reference's shape.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use axum::http::{Method, Response, StatusCode, Uri};
use base::json::{write_number, write_string};
use model::Record;
use observe::LogEntry;

use crate::state::State;
use crate::wire::error::Logged;

/// The address at the other end of the connection. Travels with the request's extensions.
#[derive(Clone, Copy)]
pub struct Peer(pub std::net::IpAddr);

/// Taken before the request is handled.
pub struct Started {
    at: Instant,
    method: Method,
    uri: Uri,
    referer: String,
    user_agent: String,
    remote: std::net::IpAddr,
    caller: CallerSlot,
}

/// Where whoever learns who the caller is leaves word of it for the log. Travels with the request's extensions.
#[derive(Clone, Default)]
pub struct CallerSlot(Arc<OnceLock<Arc<Record>>>);

impl CallerSlot {
    pub fn fill(&self, caller: &Arc<Record>) {
        // Only the first counts, and there is only one.
        let _ = self.0.set(caller.clone());
    }
}

/// Level of a request that went well, and of one that did not.
const INFO: i64 = 0;
const ERROR: i64 = 8;

impl Started {
    pub fn new(head: &mut axum::http::request::Parts, remote: std::net::IpAddr) -> Self {
        let caller = CallerSlot::default();
        head.extensions.insert(caller.clone());
        let header = |name| {
            head.headers
                .get(name)
                .and_then(|value: &axum::http::HeaderValue| value.to_str().ok())
                .unwrap_or_default()
                .to_string()
        };
        Started {
            at: Instant::now(),
            method: head.method.clone(),
            uri: head.uri.clone(),
            referer: header(axum::http::header::REFERER),
            user_agent: header(axum::http::header::USER_AGENT),
            remote,
            caller,
        }
    }

    pub fn finish<B>(self, state: &State, response: &Response<B>) {
        let settings = &state.parts().settings.load().logs;
        let status = response.status();
        let failed = response.extensions().get::<Logged>();
        let level = if failed.is_some() || status >= StatusCode::BAD_REQUEST { ERROR } else { INFO };
        if level < settings.min_level {
            return;
        }
        let url = self.uri.path_and_query().map_or("", |path| path.as_str());
        let ip = if settings.log_ip { self.remote.to_string() } else { String::new() };
        let auth = self.caller.0.get();
        let mut data = String::with_capacity(256 + url.len());
        data.push_str("{\"auth\":");
        write_string(&mut data, auth.map_or("", |auth| &auth.collection.name));
        if settings.log_auth_id
            && let Some(auth) = auth
        {
            data.push_str(",\"authId\":");
            write_string(&mut data, auth.id());
        }
        if let Some(failed) = failed {
            data.push_str(",\"details\":");
            data.push_str(&failed.details.to_string());
            data.push_str(",\"error\":");
            write_string(&mut data, &failed.error);
        }
        data.push_str(",\"execTime\":");
        write_number(&mut data, self.at.elapsed().as_nanos() as f64 / 1e6);
        for (key, text) in [("method", self.method.as_str()), ("referer", &self.referer), ("remoteIP", &ip)] {
            data.push_str(",\"");
            data.push_str(key);
            data.push_str("\":");
            write_string(&mut data, text);
        }
        data.push_str(",\"status\":");
        data.push_str(status.as_str());
        data.push_str(",\"type\":\"request\"");
        for (key, text) in [("url", url), ("userAgent", &self.user_agent), ("userIP", &ip)] {
            data.push_str(",\"");
            data.push_str(key);
            data.push_str("\":");
            write_string(&mut data, text);
        }
        data.push('}');
        let message = format!("{} {url}", self.method);
        state.log().add(LogEntry { at: state.parts().clock.now(), level, message, data });
    }
}
