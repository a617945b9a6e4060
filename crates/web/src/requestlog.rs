//! What the request log keeps of a request, in the reference's shape.

use std::borrow::Cow;
use std::time::Instant;

use axum::http::request::Parts as Head;
use axum::http::{HeaderName, Method, Response, StatusCode, Uri, header};
use base::json::{write_number, write_string};
use base::limits::{LOG_DATA_BYTES_DEFAULT, LOG_HEADER_CHARS_MAX, LOG_URL_CHARS_MAX};
use observe::{LogEntry, RequestId};
use percent_encoding::percent_decode_str;

use crate::gate::{Visit, spelled};
use crate::state::State;
use crate::wire::error::Logged;

mod cut;

/// Marks an answer that is worth no entry unless it is an error: files, and the log's own reading.
#[derive(Clone, Copy)]
pub struct Unlogged;

/// Taken before the request is handled.
pub struct Started {
    at: Instant,
    method: Method,
    uri: Uri,
    referer: String,
    user_agent: String,
    visit: Visit,
}

/// Level of a request that went well, and of one that did not.
const INFO: i64 = 0;
const ERROR: i64 = 8;

/// First in the data of an entry that was cut.
const CUT_MARK: &str = "{\"__pb_truncated__\":true";

impl Started {
    pub fn new(head: &Head, visit: Visit) -> Self {
        let text = |name: HeaderName| {
            let value = head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
            shortened(value, LOG_HEADER_CHARS_MAX).into_owned()
        };
        Started {
            at: Instant::now(),
            method: head.method.clone(),
            uri: head.uri.clone(),
            referer: text(header::REFERER),
            user_agent: text(header::USER_AGENT),
            visit,
        }
    }

    pub fn finish<B>(self, state: &State, id: &RequestId, response: &Response<B>) {
        let settings = &state.parts().settings.load().logs;
        let status = response.status();
        let failed = response.extensions().get::<Logged>();
        let is_error = failed.is_some() || status >= StatusCode::BAD_REQUEST;
        let level = if is_error { ERROR } else { INFO };
        let is_quiet = self.method == Method::OPTIONS || response.extensions().get::<Unlogged>().is_some();
        if level < settings.min_level || (is_quiet && !is_error) {
            return;
        }
        let url = self.uri.path_and_query().map_or("", |path| path.as_str());
        let auth = self.visit.record();
        let mut data = String::with_capacity(256 + url.len().min(LOG_URL_CHARS_MAX));
        data.push_str("{\"auth\":");
        write_string(&mut data, auth.map_or("", |auth| &auth.collection.name));
        if settings.log_auth_id
            && let Some(auth) = auth
        {
            member(&mut data, "authId", auth.id());
        }
        if let Some(failed) = failed {
            data.push_str(",\"details\":");
            data.push_str(&failed.details.to_string());
            member(&mut data, "error", &failed.error);
        }
        data.push_str(",\"execTime\":");
        write_number(&mut data, self.at.elapsed().as_nanos() as f64 / 1e6);
        member(&mut data, "method", self.method.as_str());
        member(&mut data, "referer", &self.referer);
        if settings.log_ip {
            member(&mut data, "remoteIP", &spelled(self.visit.peer()));
        }
        member(&mut data, "requestId", id.as_str());
        data.push_str(",\"status\":");
        data.push_str(status.as_str());
        data.push_str(",\"type\":\"request\"");
        member(&mut data, "url", &shortened(url, LOG_URL_CHARS_MAX));
        member(&mut data, "userAgent", &self.user_agent);
        if settings.log_ip {
            member(&mut data, "userIP", &spelled(self.visit.address()));
        }
        data.push('}');
        let max = usize::try_from(settings.max_data_size).ok().filter(|max| *max > 0);
        let max = max.unwrap_or(LOG_DATA_BYTES_DEFAULT);
        if data.len() > max {
            let rest = cut::object(&data, max.max(1));
            let comma = if rest == "{}" { "" } else { "," };
            data = format!("{CUT_MARK}{comma}{}", &rest[1..]);
        }
        let message = format!("{} {}", self.method, shortened(&decoded(url), LOG_URL_CHARS_MAX));
        state.log().add(LogEntry { at: state.parts().clock.now(), level, message, data });
    }
}

fn member(data: &mut String, key: &str, text: &str) {
    data.push_str(",\"");
    data.push_str(key);
    data.push_str("\":");
    write_string(data, text);
}

pub fn shortened(text: &str, chars: usize) -> Cow<'_, str> {
    if text.len() <= chars {
        return Cow::Borrowed(text);
    }
    match text.char_indices().nth(chars) {
        Some((at, _)) => Cow::Owned(format!("{}...", &text[..at])),
        None => Cow::Borrowed(text),
    }
}

/// For people: as it was meant, if it can be read.
fn decoded(url: &str) -> Cow<'_, str> {
    percent_decode_str(url).decode_utf8().unwrap_or(Cow::Borrowed(url))
}
