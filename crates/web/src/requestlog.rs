//! What the request log keeps of a request, in the reference's shape.

use std::time::Duration;

use axum::http::request::Parts as Head;
use axum::http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};
use base::limits::LOG_DATA_BYTES_DEFAULT;
use observe::{Answered, RequestId};

use crate::gate::Visit;
use crate::identified::Told;
use crate::state::State;
use crate::wire::error::Logged;

mod cut;

/// Marks an answer that is worth no entry unless it is an error: files, and the log's own reading.
#[derive(Clone, Copy)]
pub struct Unlogged;

/// Taken before the request is handled.
pub struct Started {
    referer: Option<HeaderValue>,
    user_agent: Option<HeaderValue>,
    /// Of a `traceparent`: the trace, and the span that the request is part of.
    trace: Option<(String, String)>,
    visit: Visit,
}

/// Level of a request that went well, and of one that did not.
const INFO: i64 = 0;
const ERROR: i64 = 8;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// Lengths of the parts of a `traceparent`, as W3C Trace Context has them: version, trace, span, flags.
const PARENT_LENGTHS: [usize; 4] = [2, 32, 16, 2];

/// First in the data of an entry that was cut.
const CUT_MARK: &str = "{\"__pb_truncated__\":true";

impl Started {
    pub fn new(head: &Head, visit: Visit) -> Self {
        Started {
            referer: head.headers.get(header::REFERER).cloned(),
            user_agent: head.headers.get(header::USER_AGENT).cloned(),
            trace: head.headers.get(TRACEPARENT).and_then(|value| parent(value.as_bytes())),
            visit,
        }
    }

    /// `told` is what was asked, and `elapsed` how long the answer took.
    pub fn finish<B>(
        self,
        state: &State,
        id: &RequestId,
        told: &Told,
        elapsed: Duration,
        response: &Response<B>,
    ) {
        let settings = &state.parts().settings.load().logs;
        let status = response.status();
        let failed = response.extensions().get::<Logged>();
        let is_error = failed.is_some() || status >= StatusCode::BAD_REQUEST;
        let level = if is_error { ERROR } else { INFO };
        let is_quiet = told.method == Method::OPTIONS || response.extensions().get::<Unlogged>().is_some();
        if level < settings.min_level || (is_quiet && !is_error) {
            return;
        }
        let auth = self.visit.record();
        let (remote, user) = match settings.log_ip {
            true => (Some(self.visit.peer()), Some(self.visit.address())),
            false => (None, None),
        };
        let details = failed.map(|failed| failed.details.to_string());
        let (trace, span) = self.trace.as_ref().map(|(trace, span)| (&**trace, &**span)).unwrap_or_default();
        let answered = Answered {
            at: state.parts().clock.now(),
            level,
            status: status.as_u16().into(),
            nanos: elapsed.as_nanos().try_into().unwrap_or(u64::MAX),
            method: told.method.as_str(),
            url: told.uri.path_and_query().map_or("", |path| path.as_str()),
            request: id.as_str(),
            node: state.parts().audit.node(),
            remote,
            user,
            auth: auth.map_or("", |auth| &auth.collection.name),
            auth_id: auth.filter(|_| settings.log_auth_id).map_or("", |auth| auth.id()),
            referer: text(&self.referer),
            user_agent: text(&self.user_agent),
            trace,
            span,
            failure: failed.zip(details.as_deref()).map(|(failed, details)| (details, &*failed.error)),
        };
        let max = usize::try_from(settings.max_data_size).ok().filter(|max| *max > 0);
        let max = max.unwrap_or(LOG_DATA_BYTES_DEFAULT);
        if answered.data_bytes_max() <= max {
            return state.log().add_answered(&answered);
        }
        let mut entry = answered.entry();
        if entry.data.len() > max {
            let rest = cut::object(&entry.data, max.max(1));
            let comma = if rest == "{}" { "" } else { "," };
            entry.data = format!("{CUT_MARK}{comma}{}", &rest[1..]);
        }
        state.log().add(&entry);
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

/// Of a header field that is set and readable.
fn text(value: &Option<HeaderValue>) -> &str {
    value.as_ref().and_then(|value| value.to_str().ok()).unwrap_or_default()
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
}
