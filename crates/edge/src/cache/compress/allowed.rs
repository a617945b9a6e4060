//! Which answers the edge may have in other codings.
//!
//! An answer that shows a secret of its reader beside something that somebody else can choose gives that secret away by its length
//! when it is compressed: whoever makes the reader's browser ask again and again, and sees how long the answers are, guesses it
//! byte by byte (BREACH). The edge knows of no body what is in it. So it leaves alone whatever depends on who asks, by
//! `Authorization` or by a cookie, unless the origin says with `public` that there is nothing in it to be kept from anybody.

use base::limits::{EDGE_COMPRESS_BYTES_MAX, EDGE_COMPRESS_BYTES_MIN};
use hyper::StatusCode;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::cache::directives::{CDN_CACHE_CONTROL, SURROGATE_CONTROL, members};
use crate::cache::object::Object;

/// What says something of the bytes as they are sent, or vouches for them.
const OF_THE_BYTES: [HeaderName; 8] = [
    header::CONTENT_ENCODING,
    header::CONTENT_RANGE,
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("signature"),
    HeaderName::from_static("signature-input"),
];

/// Kinds of content that shrink, beside all text and whatever ends with `+json`, `+xml` or `+text`.
const KINDS: [&str; 26] = [
    "application/dash+xml",
    "application/eot",
    "application/geo+json",
    "application/graphql",
    "application/javascript",
    "application/json",
    "application/jsonl",
    "application/ndjson",
    "application/rtf",
    "application/vnd.api+json",
    "application/vnd.apple.mpegurl",
    "application/vnd.ms-fontobject",
    "application/wasm",
    "application/x-javascript",
    "application/x-ndjson",
    "application/x-protobuf",
    "application/x-sh",
    "application/xml",
    "application/yaml",
    "font/otf",
    "font/ttf",
    "image/bmp",
    "image/vnd.microsoft.icon",
    "image/x-icon",
    "model/gltf-binary",
    "model/obj",
];

/// `length` is None where it is not known yet. `by_reader` says that the answer was found by something of its reader's.
pub fn is_allowed(object: &Object, length: Option<usize>, by_reader: bool) -> bool {
    let headers = &object.headers;
    let varies = |name: HeaderName| object.varies.iter().any(|(known, _)| *known == name);
    object.status == StatusCode::OK
        && length.is_none_or(|length| (EDGE_COMPRESS_BYTES_MIN..=EDGE_COMPRESS_BYTES_MAX).contains(&length))
        && headers.get(header::CONTENT_TYPE).is_some_and(shrinks)
        && !OF_THE_BYTES.iter().any(|name| headers.contains_key(name))
        // Whoever varies by it has codings of its own.
        && !varies(header::ACCEPT_ENCODING)
        && !says(headers, "no-transform")
        && (says(headers, "public")
            || !(by_reader || varies(header::AUTHORIZATION) || varies(header::COOKIE)))
}

/// Whether it stays as it is for as long as it is fresh.
pub fn is_immutable(object: &Object) -> bool {
    says(&object.headers, "immutable")
}

/// Whether a directive stands in any of the fields for caches.
fn says(headers: &HeaderMap, directive: &str) -> bool {
    [header::CACHE_CONTROL, CDN_CACHE_CONTROL, SURROGATE_CONTROL].iter().any(|name| {
        headers.get_all(name).iter().any(|value| {
            members(value.as_bytes())
                .flatten()
                .any(|member| member.eq_ignore_ascii_case(directive.as_bytes()))
        })
    })
}

fn shrinks(content_type: &HeaderValue) -> bool {
    let Ok(text) = content_type.to_str() else { return false };
    let kind = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if let Some(text) = kind.strip_prefix("text/") {
        // A stream of events has no end that could be waited for.
        return text != "event-stream";
    }
    KINDS.contains(&kind.as_str()) || ["+json", "+xml", "+text"].iter().any(|end| kind.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::tests::object;
    use crate::cache::vary;

    fn allowed(lines: &[(&'static str, &str)], by_reader: bool) -> bool {
        let mut object = object("a", "/", &[], "");
        object.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
        for (name, value) in lines {
            object.headers.remove(*name);
            object.headers.append(*name, value.parse().unwrap());
        }
        object.varies = vary::values(vary::names(&object.headers).unwrap(), &HeaderMap::new());
        is_allowed(&object, Some(5_000), by_reader)
    }

    #[test]
    fn what_the_head_says_decides() {
        for (lines, expected) in [
            (&[][..], true),
            (&[("content-type", "Application/JSON; charset=utf-8")], true),
            (&[("content-type", "application/problem+json")], true),
            (&[("content-type", "image/svg+xml")], true),
            (&[("content-type", "image/png")], false),
            (&[("content-type", "text/event-stream")], false),
            (&[("content-type", "application/zip")], false),
            (&[("content-encoding", "br")], false),
            (&[("content-encoding", "identity")], false),
            (&[("cache-control", "max-age=1, No-Transform")], false),
            (&[("cdn-cache-control", "no-transform")], false),
            (&[("cache-control", "x=\"no-transform\"")], true),
            (&[("content-digest", "sha-256=:x:")], false),
            (&[("content-md5", "x")], false),
            (&[("signature", "x")], false),
            (&[("vary", "Accept-Encoding")], false),
            (&[("vary", "Accept-Language")], true),
            (&[("vary", "Authorization")], false),
            (&[("vary", "Accept, Cookie")], false),
            (&[("vary", "Cookie"), ("cache-control", "public, max-age=5")], true),
        ] {
            assert_eq!(allowed(lines, false), expected, "{lines:?}");
        }
        assert!(!allowed(&[], true));
        assert!(allowed(&[("cache-control", "public")], true));
    }

    #[test]
    fn size_and_status_count() {
        let mut object = object("a", "/", &[], "");
        object.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
        assert!(is_allowed(&object, None, false));
        assert!(!is_allowed(&object, Some(EDGE_COMPRESS_BYTES_MIN - 1), false));
        assert!(is_allowed(&object, Some(EDGE_COMPRESS_BYTES_MIN), false));
        assert!(!is_allowed(&object, Some(EDGE_COMPRESS_BYTES_MAX + 1), false));
        object.status = StatusCode::NOT_FOUND;
        assert!(!is_allowed(&object, None, false));
        object.status = StatusCode::OK;
        object.headers.remove(header::CONTENT_TYPE);
        assert!(!is_allowed(&object, None, false));
    }
}
