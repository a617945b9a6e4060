//! What the request log keeps of a request, in the reference's shape.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use axum::http::request::Parts as Head;
use axum::http::{HeaderName, Method, Response, StatusCode, Uri, header};
use base::json::write_string;
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
    /// Of a `traceparent`: the trace, and the span that the request is part of.
    trace: Option<(String, String)>,
    visit: Visit,
}

/// Level of a request that went well, and of one that did not.
const INFO: i64 = 0;
const ERROR: i64 = 8;
const NANOS_OF_MS: u64 = 1_000_000;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// Lengths of the parts of a `traceparent`, as W3C Trace Context has them: version, trace, span, flags.
const PARENT_LENGTHS: [usize; 4] = [2, 32, 16, 2];

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
            trace: head.headers.get(TRACEPARENT).and_then(|value| parent(value.as_bytes())),
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
        write_millis(&mut data, self.at.elapsed());
        member(&mut data, "method", self.method.as_str());
        member(&mut data, "node", state.parts().audit.node());
        member(&mut data, "referer", &self.referer);
        if settings.log_ip {
            member(&mut data, "remoteIP", &spelled(self.visit.peer()));
        }
        member(&mut data, "requestId", id.as_str());
        data.push_str(",\"status\":");
        data.push_str(status.as_str());
        if let Some((trace, span)) = &self.trace {
            member(&mut data, "spanId", span);
            member(&mut data, "traceId", trace);
        }
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
        let (method, url) = (self.method.as_str(), decoded(url));
        let message = [method, " ", &*shortened(&url, LOG_URL_CHARS_MAX)].concat();
        state.log().add(LogEntry { at: state.parts().clock.now(), level, message, data });
    }
}

/// Trace and span of a `traceparent`; `None` for one that is malformed, which counts as none.
fn parent(value: &[u8]) -> Option<(String, String)> {
    let text = std::str::from_utf8(value).ok()?;
    let parts: Vec<&str> = text.splitn(5, '-').collect();
    let is_hex = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    let is_set = |part: &str| part.bytes().any(|byte| byte != b'0');
    let fits = parts.len() >= 4
        && parts.iter().zip(PARENT_LENGTHS).all(|(part, length)| part.len() == length && is_hex(part))
        && parts[0] != "ff"
        && (parts[0] != "00" || parts.len() == 4);
    (fits && is_set(parts[1]) && is_set(parts[2])).then(|| (parts[1].to_owned(), parts[2].to_owned()))
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

/// Milliseconds with their fraction, in the shortest form.
fn write_millis(data: &mut String, time: Duration) {
    let nanos = time.as_nanos().min(u128::from(u64::MAX)) as u64;
    let mut digits = itoa::Buffer::new();
    data.push_str(digits.format(nanos / NANOS_OF_MS));
    let rest = nanos % NANOS_OF_MS;
    if rest > 0 {
        // The leading one keeps the zeros after the point.
        let fraction = digits.format(NANOS_OF_MS + rest);
        data.push('.');
        data.push_str(fraction[1..].trim_end_matches('0'));
    }
}

/// For people: as it was meant, if it can be read.
fn decoded(url: &str) -> Cow<'_, str> {
    if !url.as_bytes().contains(&b'%') {
        return Cow::Borrowed(url);
    }
    percent_decode_str(url).decode_utf8().unwrap_or(Cow::Borrowed(url))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_taken_only_as_it_must_be() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let (trace, span) = parent(good.as_bytes()).unwrap();
        assert_eq!((&*trace, &*span), ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"));
        assert!(parent(format!("cc{}-more", &good[2..]).as_bytes()).is_some());
        for bad in [
            String::new(),
            good.to_uppercase(),
            format!("ff{}", &good[2..]),
            format!("{good}-more"),
            format!("{good}0"),
            good.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            good.replace("00f067aa0ba902b7", &"0".repeat(16)),
            good[..50].to_owned(),
        ] {
            assert_eq!(parent(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn times_are_written_as_numbers_are() {
        for nanos in [0, 1, 10, 999_999, 1_000_000, 1_500_000, 12_345_678, 60_000_000_001] {
            let mut text = String::new();
            write_millis(&mut text, Duration::from_nanos(nanos));
            assert_eq!(text, base::json::number_text(nanos as f64 / 1e6), "{nanos}");
        }
    }
}
