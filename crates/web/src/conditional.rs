//! Conditional and partial answers for what lies still: files and the like. Shared by whoever serves bytes.

use std::future::Future;
use std::ops::Range;

use app::{Error, Result};
use axum::body::Body;
use axum::http::request::Parts as Head;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use backing::blob::{Blob, ByteStream};
use base::Timestamp;
use base::limits::RANGES_MAX;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};

use crate::freshness::CDN_CACHE_CONTROL;

/// What is served.
pub struct Resource<'a> {
    pub size_bytes: u64,
    pub modified: Timestamp,
    /// With its quotes.
    pub etag: Option<&'a str>,
    pub content_type: &'a str,
}

/// What a request wants of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    Whole,
    /// One range, or several that are sent as parts.
    Ranges(Vec<Range<u64>>),
    NotModified,
    PreconditionFailed,
    /// A range that is none.
    Malformed,
    /// Ranges beyond the end.
    Beyond,
}

/// A file that somebody saves and nothing shows. It belongs to superusers: nobody else may keep it, and the name may get
/// other bytes.
pub async fn download(head: &Head, blob: &Blob, name: &str, content_type: &str) -> Result<Response<Body>> {
    let resource =
        Resource { size_bytes: blob.size_bytes, modified: blob.modified, etag: None, content_type };
    let quoted = name.replace(['"', '\\'], "_");
    let disposition = HeaderValue::from_str(&format!("attachment; filename=\"{quoted}\""))
        .map_err(|error| Error::not_found().details(error))?;
    let headers = HeaderMap::from_iter([
        (header::CONTENT_DISPOSITION, disposition),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::CACHE_CONTROL, HeaderValue::from_static("private, no-store")),
    ]);
    let read = |range| async { Ok(blob.stream(range).await?) };
    answer(head, &resource, headers, read).await
}

/// The answer to a GET or HEAD. `headers` come along with every answer that is about the resource; `read` gives the
/// bytes of a range.
pub async fn answer<R, F>(
    head: &Head,
    resource: &Resource<'_>,
    mut headers: HeaderMap,
    mut read: R,
) -> Result<Response<Body>>
where
    R: FnMut(Range<u64>) -> F,
    F: Future<Output = Result<ByteStream>>,
{
    let size = resource.size_bytes;
    set(&mut headers, header::LAST_MODIFIED, &resource.modified.to_http().unwrap_or_default());
    set(&mut headers, header::ETAG, resource.etag.unwrap_or_default());
    set(&mut headers, header::CONTENT_TYPE, resource.content_type);
    let is_head = head.method == Method::HEAD;
    let (status, length, body) = match wanted(&head.method, &head.headers, resource) {
        Wanted::NotModified => {
            headers.remove(header::CONTENT_TYPE);
            return Ok(response(StatusCode::NOT_MODIFIED, headers, Body::empty()));
        }
        Wanted::PreconditionFailed => {
            return Ok(response(StatusCode::PRECONDITION_FAILED, headers, Body::empty()));
        }
        Wanted::Malformed => return Ok(unsatisfiable(headers, None, is_head)),
        Wanted::Beyond => return Ok(unsatisfiable(headers, Some(size), is_head)),
        Wanted::Whole if is_head => (StatusCode::OK, size, Body::empty()),
        Wanted::Whole => (StatusCode::OK, size, Body::from_stream(read(0..size).await?)),
        Wanted::Ranges(ranges) => match &ranges[..] {
            [range] => {
                set(&mut headers, header::CONTENT_RANGE, &content_range(range, size));
                let body =
                    if is_head { Body::empty() } else { Body::from_stream(read(range.clone()).await?) };
                (StatusCode::PARTIAL_CONTENT, range.end - range.start, body)
            }
            _ => {
                let parts = Parts::new(&ranges, resource);
                let length = parts.length();
                set(
                    &mut headers,
                    header::CONTENT_TYPE,
                    &format!("multipart/byteranges; boundary={}", parts.boundary),
                );
                let body = if is_head { Body::empty() } else { parts.body(&mut read).await? };
                (StatusCode::PARTIAL_CONTENT, length, body)
            }
        },
    };
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CONTENT_LENGTH, length.into());
    Ok(response(status, headers, body))
}

fn response(status: StatusCode, headers: HeaderMap, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Sets a header; an empty value, or one that no header can carry, is left out.
fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value)
        && !value.is_empty()
    {
        headers.insert(name, value);
    }
}

fn unsatisfiable(mut headers: HeaderMap, size: Option<u64>, is_head: bool) -> Response<Body> {
    for name in [header::CACHE_CONTROL, CDN_CACHE_CONTROL, header::LAST_MODIFIED, header::ETAG] {
        headers.remove(name);
    }
    set(&mut headers, header::CONTENT_TYPE, "text/plain; charset=utf-8");
    let text = match size {
        Some(size) => {
            set(&mut headers, header::CONTENT_RANGE, &format!("bytes */{size}"));
            "invalid range: failed to overlap\n"
        }
        None => "invalid range\n",
    };
    headers.insert(header::CONTENT_LENGTH, text.len().into());
    let body = if is_head { Body::empty() } else { Body::from(text) };
    response(StatusCode::RANGE_NOT_SATISFIABLE, headers, body)
}

fn content_range(range: &Range<u64>, size: u64) -> String {
    format!("bytes {}-{}/{size}", range.start, range.end.saturating_sub(1))
}

/// Judges the request's conditions in the order that HTTP sets, and then its range.
pub fn wanted(method: &Method, headers: &HeaderMap, resource: &Resource<'_>) -> Wanted {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let time = |name: HeaderName| text(name).and_then(Timestamp::parse_http);
    let modified = resource.modified.seconds();
    let reads = matches!(*method, Method::GET | Method::HEAD);

    if let Some(tags) = text(header::IF_MATCH) {
        if !lists(tags, resource.etag, false) {
            return Wanted::PreconditionFailed;
        }
    } else if time(header::IF_UNMODIFIED_SINCE).is_some_and(|since| modified > since.seconds()) {
        return Wanted::PreconditionFailed;
    }
    if let Some(tags) = text(header::IF_NONE_MATCH) {
        if lists(tags, resource.etag, true) {
            return if reads { Wanted::NotModified } else { Wanted::PreconditionFailed };
        }
    } else if reads && time(header::IF_MODIFIED_SINCE).is_some_and(|since| modified <= since.seconds()) {
        return Wanted::NotModified;
    }
    let Some(range) = text(header::RANGE).filter(|_| reads && resource.size_bytes > 0) else {
        return Wanted::Whole;
    };
    let still_the_same = match text(header::IF_RANGE).map(str::trim) {
        None => true,
        Some(tag) if tag.starts_with(['"', 'W']) => resource.etag == Some(tag) && !tag.starts_with('W'),
        Some(date) => Timestamp::parse_http(date).is_some_and(|date| date.seconds() == modified),
    };
    if still_the_same { ranges(range, resource.size_bytes) } else { Wanted::Whole }
}

/// Whether the client says that it has the answer with this tag.
pub fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let asked = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    asked.is_some_and(|tags| lists(tags, Some(etag), true))
}

/// Whether a list of tags names this one. `weakly`, what differs only in being weak is the same.
fn lists(tags: &str, etag: Option<&str>, weakly: bool) -> bool {
    let bare = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_string();
    tags.split(',').map(str::trim).any(|tag| match etag {
        _ if tag == "*" => true,
        Some(etag) if weakly => bare(tag) == bare(etag),
        Some(etag) => tag == etag && !tag.starts_with("W/"),
        None => false,
    })
}

fn ranges(text: &str, size: u64) -> Wanted {
    let Some(list) = text.strip_prefix("bytes=") else { return Wanted::Malformed };
    let (mut found, mut beyond) = (Vec::new(), false);
    for item in list.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        let Some((start, end)) = item.split_once('-') else { return Wanted::Malformed };
        let (start, end) = (start.trim(), end.trim());
        let range = if start.is_empty() {
            let Some(last) = number(end) else { return Wanted::Malformed };
            size - last.min(size)..size
        } else {
            let Some(start) = number(start) else { return Wanted::Malformed };
            let end = match end {
                "" => size,
                end => match number(end) {
                    Some(end) if end >= start => end.saturating_add(1).min(size),
                    _ => return Wanted::Malformed,
                },
            };
            start..end
        };
        if range.start >= size {
            beyond = true;
        } else {
            found.push(range);
        }
    }
    if found.is_empty() {
        return if beyond { Wanted::Beyond } else { Wanted::Whole };
    }
    // Nobody needs more than there is: such a list wants the server busy, not the bytes.
    let asked = found.iter().map(|range| range.end - range.start).fold(0, u64::saturating_add);
    if asked > size || found.len() > RANGES_MAX { Wanted::Whole } else { Wanted::Ranges(found) }
}

fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| digits && i64::try_from(*number).is_ok())
}

/// Several ranges in one body.
struct Parts {
    boundary: String,
    parts: Vec<(String, Range<u64>)>,
    end: String,
}

impl Parts {
    fn new(ranges: &[Range<u64>], resource: &Resource<'_>) -> Self {
        let boundary = base::id::random(BOUNDARY_LEN, base::id::RECORD_ALPHABET);
        let parts = ranges.iter().enumerate().map(|(index, range)| {
            let (before, kind) = (if index == 0 { "" } else { "\r\n" }, resource.content_type);
            let at = content_range(range, resource.size_bytes);
            let head = format!("{before}--{boundary}\r\nContent-Range: {at}\r\nContent-Type: {kind}\r\n\r\n");
            (head, range.clone())
        });
        Parts { parts: parts.collect(), end: format!("\r\n--{boundary}--\r\n"), boundary }
    }

    fn length(&self) -> u64 {
        let parts = self.parts.iter().map(|(head, range)| head.len() as u64 + range.end - range.start);
        parts.sum::<u64>() + self.end.len() as u64
    }

    async fn body<R, F>(self, read: &mut R) -> Result<Body>
    where
        R: FnMut(Range<u64>) -> F,
        F: Future<Output = Result<ByteStream>>,
    {
        let text = |text: String| futures_util::stream::iter([Ok::<_, std::io::Error>(Bytes::from(text))]);
        let mut all: Vec<ByteStream> = Vec::with_capacity(self.parts.len() * 2 + 1);
        for (head, range) in self.parts {
            all.push(text(head).boxed());
            all.push(read(range).await?);
        }
        all.push(text(self.end).boxed());
        Ok(Body::from_stream(
            futures_util::stream::iter(all.into_iter().map(Ok::<_, std::io::Error>)).try_flatten(),
        ))
    }
}

const BOUNDARY_LEN: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    fn one(range: Range<u64>) -> Wanted {
        Wanted::Ranges(std::iter::once(range).collect())
    }

    #[test]
    fn ranges_are_read() {
        for (text, expected) in [
            ("bytes=0-3", one(0..4)),
            ("bytes=2-", one(2..10)),
            ("bytes=-3", one(7..10)),
            ("bytes=-100", one(0..10)),
            ("bytes=0-100", one(0..10)),
            ("bytes=0-1, 3-4 ,", Wanted::Ranges(vec![0..2, 3..5])),
            ("bytes=0-1,100-", one(0..2)),
            ("bytes=", Wanted::Whole),
            ("bytes=0-5,2-7", Wanted::Whole),
            ("bytes=10-", Wanted::Beyond),
            ("bytes=-0", Wanted::Beyond),
            ("bytes=5-2", Wanted::Malformed),
            ("bytes=abc", Wanted::Malformed),
            ("bytes=--1", Wanted::Malformed),
            ("bytes=+1-2", Wanted::Malformed),
            ("lines=0-1", Wanted::Malformed),
            ("bytes=0-999999999999999999999", Wanted::Malformed),
        ] {
            assert_eq!(ranges(text, 10), expected, "{text}");
        }
    }

    #[test]
    fn tags_are_compared() {
        let resource =
            Resource { size_bytes: 10, modified: Timestamp(5_500), etag: Some("\"a\""), content_type: "" };
        for (name, value, expected) in [
            (header::IF_NONE_MATCH, "\"b\", W/\"a\"", Wanted::NotModified),
            (header::IF_NONE_MATCH, "\"b\"", Wanted::Whole),
            (header::IF_MATCH, "W/\"a\"", Wanted::PreconditionFailed),
            (header::IF_MATCH, "*", Wanted::Whole),
            (header::IF_MODIFIED_SINCE, "Thu, 01 Jan 1970 00:00:05 GMT", Wanted::NotModified),
            (header::IF_MODIFIED_SINCE, "Thu, 01 Jan 1970 00:00:04 GMT", Wanted::Whole),
            (header::IF_UNMODIFIED_SINCE, "Thu, 01 Jan 1970 00:00:04 GMT", Wanted::PreconditionFailed),
        ] {
            let headers = HeaderMap::from_iter([(name.clone(), HeaderValue::from_static(value))]);
            assert_eq!(wanted(&Method::GET, &headers, &resource), expected, "{name}: {value}");
        }
    }
}
