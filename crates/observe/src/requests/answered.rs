//! What is kept of a request that was answered, and how it reads in the log: in the reference's shape.

use std::borrow::Cow;
use std::net::IpAddr;

use base::Timestamp;
use base::address::spelled;
use base::limits::{LOG_HEADER_CHARS_MAX, LOG_URL_CHARS_MAX};
use percent_encoding::percent_decode_str;

use super::LogEntry;
use crate::messages::{key, member};

const NANOS_OF_MS: u64 = 1_000_000;
/// What the names of all members and the numbers take in an entry's data.
const FRAME_BYTES: usize = 512;
/// What a byte takes at most when it is escaped.
const ESCAPED_BYTES: usize = 6;

pub(super) const RECURRING: usize = 7;
pub(super) const UNIQUE: usize = 3;

/// An empty text is what there is nothing to say of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answered<'a> {
    pub at: Timestamp,
    /// As in [`LogEntry`].
    pub level: i64,
    pub status: u64,
    /// How long it took.
    pub nanos: u64,
    pub method: &'a str,
    pub url: &'a str,
    /// The request's id.
    pub request: &'a str,
    pub node: &'a str,
    /// The other end of the connection.
    pub remote: Option<IpAddr>,
    /// The client.
    pub user: Option<IpAddr>,
    /// The caller's collection.
    pub auth: &'a str,
    pub auth_id: &'a str,
    pub referer: &'a str,
    pub user_agent: &'a str,
    /// Of a `traceparent`: the trace, and the span that the request is part of.
    pub trace: &'a str,
    pub span: &'a str,
    /// Of a request that failed: the details as JSON, and why.
    pub failure: Option<(&'a str, &'a str)>,
}

impl Answered<'_> {
    pub fn entry(&self) -> LogEntry {
        LogEntry { at: self.at, level: self.level, message: self.message(), data: self.data() }
    }

    /// For people: the address as it was meant, if it can be read.
    fn message(&self) -> String {
        let url = match self.url.as_bytes().contains(&b'%') {
            true => percent_decode_str(self.url).decode_utf8().unwrap_or(Cow::Borrowed(self.url)),
            false => Cow::Borrowed(self.url),
        };
        [self.method, " ", &*shortened(&url, LOG_URL_CHARS_MAX)].concat()
    }

    fn data(&self) -> String {
        let mut data = String::with_capacity(FRAME_BYTES + self.url.len().min(LOG_URL_CHARS_MAX));
        data.push('{');
        member(&mut data, "auth", self.auth);
        let set = |data: &mut String, key: &str, text: &str| {
            if !text.is_empty() {
                member(data, key, text);
            }
        };
        set(&mut data, "authId", self.auth_id);
        if let Some((details, error)) = self.failure {
            key(&mut data, "details");
            data.push_str(details);
            member(&mut data, "error", error);
        }
        key(&mut data, "execTime");
        write_millis(&mut data, self.nanos);
        member(&mut data, "method", self.method);
        member(&mut data, "node", self.node);
        member(&mut data, "referer", &shortened(self.referer, LOG_HEADER_CHARS_MAX));
        set(&mut data, "remoteIP", &self.remote.map(spelled).unwrap_or_default());
        member(&mut data, "requestId", self.request);
        key(&mut data, "status");
        data.push_str(itoa::Buffer::new().format(self.status));
        set(&mut data, "spanId", self.span);
        set(&mut data, "traceId", self.trace);
        member(&mut data, "type", "request");
        member(&mut data, "url", &shortened(self.url, LOG_URL_CHARS_MAX));
        member(&mut data, "userAgent", &shortened(self.user_agent, LOG_HEADER_CHARS_MAX));
        set(&mut data, "userIP", &self.user.map(spelled).unwrap_or_default());
        data.push('}');
        data
    }

    /// How long the entry's data is at most, in bytes.
    pub fn data_bytes_max(&self) -> usize {
        let (details, error) = self.failure.unwrap_or_default();
        let texts = self.recurring().into_iter().chain(self.unique());
        (texts.map(str::len).sum::<usize>() + error.len()) * ESCAPED_BYTES + details.len() + FRAME_BYTES
    }

    /// What often is as in the request before.
    pub(super) fn recurring(&self) -> [&str; RECURRING] {
        [self.method, self.node, self.url, self.auth, self.auth_id, self.referer, self.user_agent]
    }

    pub(super) fn unique(&self) -> [&str; UNIQUE] {
        [self.request, self.trace, self.span]
    }
}

/// The text, or its beginning with dots.
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
fn write_millis(data: &mut String, nanos: u64) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_numbers_are() {
        for nanos in [0, 1, 10, 999_999, 1_000_000, 1_500_000, 12_345_678, 60_000_000_001] {
            let mut text = String::new();
            write_millis(&mut text, nanos);
            assert_eq!(text, base::json::number_text(nanos as f64 / 1e6), "{nanos}");
        }
    }

    #[test]
    fn reads_as_the_reference_has_it() {
        let answered = Answered {
            at: Timestamp(1_700_000_000_123),
            level: 8,
            status: 404,
            nanos: 1_500_000,
            method: "GET",
            url: "/a%20b?c=\"",
            request: "r1",
            node: "n1",
            failure: Some(("{\"x\":1}", "missing")),
            ..Answered::default()
        };
        let entry = answered.entry();
        assert_eq!((entry.message.as_str(), entry.level), ("GET /a b?c=\"", 8));
        assert_eq!(
            entry.data,
            r#"{"auth":"","details":{"x":1},"error":"missing","execTime":1.5,"method":"GET","node":"n1","referer":"","requestId":"r1","status":404,"type":"request","url":"/a%20b?c=\"","userAgent":""}"#
        );
        assert!(entry.data.len() <= answered.data_bytes_max());
        let seen = Answered {
            remote: Some([10, 0, 0, 1].into()),
            user: Some([10, 0, 0, 2].into()),
            auth: "users",
            auth_id: "u1",
            ..answered
        };
        let seen = Answered { trace: "t", span: "s", failure: None, ..seen };
        assert_eq!(
            seen.entry().data,
            r#"{"auth":"users","authId":"u1","execTime":1.5,"method":"GET","node":"n1","referer":"","remoteIP":"10.0.0.1","requestId":"r1","status":404,"spanId":"s","traceId":"t","type":"request","url":"/a%20b?c=\"","userAgent":"","userIP":"10.0.0.2"}"#
        );
    }
}
