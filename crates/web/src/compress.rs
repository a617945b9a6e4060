//! Compressing answers for clients that ask for it. Those that do not are answered as if this were not here.

use async_compression::Level;
use async_compression::tokio::bufread::{BrotliEncoder, GzipEncoder};
use axum::body::{Body, HttpBody as _};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use base::limits::COMPRESS_BYTES_MIN;
use futures_util::TryStreamExt;
use tokio_util::io::{ReaderStream, StreamReader};

/// Quick rather than small: the answer is waited for.
const BROTLI_QUALITY: i32 = 3;
const GZIP_QUALITY: i32 = 4;

/// What a client can unpack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Codings {
    brotli: bool,
    gzip: bool,
}

impl Codings {
    pub fn of(headers: &HeaderMap) -> Self {
        match headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()) {
            Some(text) => Codings::parse(text),
            None => Codings::default(),
        }
    }

    pub fn parse(text: &str) -> Self {
        let mut codings = Codings::default();
        for item in text.split(',') {
            let (name, weight) = item.split_once(';').unwrap_or((item, ""));
            let refused = weight
                .trim()
                .strip_prefix("q=")
                .is_some_and(|weight| weight.trim().parse::<f32>().is_ok_and(|weight| weight <= 0.0));
            match name.trim() {
                name if name.eq_ignore_ascii_case("br") => codings.brotli = !refused,
                name if name.eq_ignore_ascii_case("gzip") => codings.gzip = !refused,
                _ => {}
            }
        }
        codings
    }

    pub fn accepts(&self, coding: &str) -> bool {
        match coding {
            "br" => self.brotli,
            "gzip" => self.gzip,
            _ => false,
        }
    }

    fn is_none(&self) -> bool {
        !self.brotli && !self.gzip
    }
}

/// The answer as the client can take it.
pub fn apply(codings: Codings, response: Response<Body>) -> Response<Body> {
    if codings.is_none() || !is_worth_it(&response) {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let reader = StreamReader::new(body.into_data_stream().map_err(std::io::Error::other));
    let (coding, body) = match codings.brotli {
        true => {
            let encoder = BrotliEncoder::with_quality(reader, Level::Precise(BROTLI_QUALITY));
            ("br", Body::from_stream(ReaderStream::new(encoder)))
        }
        false => {
            let encoder = GzipEncoder::with_quality(reader, Level::Precise(GZIP_QUALITY));
            ("gzip", Body::from_stream(ReaderStream::new(encoder)))
        }
    };
    head.headers.remove(header::CONTENT_LENGTH);
    head.headers.remove(header::ACCEPT_RANGES);
    head.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
    let mut varies = head.headers.get_all(header::VARY).iter();
    if !varies.any(|names| names.as_bytes().ends_with(b"Accept-Encoding")) {
        head.headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    }
    // The same content in other bytes.
    if let Some(etag) = head.headers.get_mut(header::ETAG)
        && !etag.as_bytes().starts_with(b"W/")
        && let Ok(weak) = HeaderValue::from_bytes(&[b"W/", etag.as_bytes()].concat())
    {
        *etag = weak;
    }
    Response::from_parts(head, body)
}

/// Long enough, of a kind that shrinks, whole, and not compressed already.
fn is_worth_it(response: &Response<Body>) -> bool {
    let headers = response.headers();
    let text =
        |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or_default();
    let length = response.body().size_hint().exact();
    let length = length.or_else(|| text(header::CONTENT_LENGTH).parse().ok());
    response.status() != StatusCode::PARTIAL_CONTENT
        && length.is_some_and(|length| length >= COMPRESS_BYTES_MIN)
        && !headers.contains_key(header::CONTENT_ENCODING)
        && !text(header::CACHE_CONTROL).contains("no-transform")
        && shrinks(text(header::CONTENT_TYPE))
}

fn shrinks(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    match kind.split_once('/') {
        Some(("text", kind)) => kind != "event-stream",
        Some(("application", kind)) => {
            matches!(kind, "json" | "javascript" | "xml" | "wasm" | "manifest+json" | "x-ndjson")
                || kind.ends_with("+json")
                || kind.ends_with("+xml")
        }
        Some(("image", kind)) => matches!(kind, "svg+xml" | "vnd.microsoft.icon" | "bmp"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_take() {
        for (text, brotli, gzip) in [
            ("", false, false),
            ("gzip", false, true),
            ("gzip, deflate, br", true, true),
            ("br;q=0.5, GZIP;q=0", true, false),
            ("identity, *", false, false),
        ] {
            assert_eq!(Codings::parse(text), Codings { brotli, gzip }, "{text}");
        }
    }

    fn answer(content_type: &'static str, length: usize) -> Response<Body> {
        let mut response = Response::new(Body::from("x".repeat(length)));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        response
    }

    #[test]
    fn what_is_left_alone() {
        let all = Codings { brotli: true, gzip: true };
        let is_packed = |response: Response<Body>| response.headers().contains_key(header::CONTENT_ENCODING);
        assert!(is_packed(apply(all, answer("application/json", 2000))));
        assert!(!is_packed(apply(Codings::default(), answer("application/json", 2000))));
        assert!(!is_packed(apply(all, answer("application/json", 1000))));
        assert!(!is_packed(apply(all, answer("image/png", 2000))));
        assert!(!is_packed(apply(all, answer("text/event-stream", 2000))));
        let mut part = answer("text/plain", 2000);
        *part.status_mut() = StatusCode::PARTIAL_CONTENT;
        assert!(!is_packed(apply(all, part)));
    }
}
