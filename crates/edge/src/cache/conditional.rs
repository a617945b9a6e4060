//! Validation: answering a client's conditions from what is kept, and asking the origin whether what is kept still holds.
//! RFC 9110, section 13; RFC 9111, section 4.3.

use std::time::SystemTime;

use base::limits::EDGE_ETAGS_MAX;
use hyper::header::{self, HeaderMap, HeaderName};

use super::object::Object;
use super::policy::date;

const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

/// What a 304 does not change: it describes the body that is kept, or belonged to the earlier answer alone.
const OF_THE_BODY: [HeaderName; 5] =
    [header::CONTENT_ENCODING, header::CONTENT_LENGTH, header::CONTENT_RANGE, CONTENT_MD5, header::AGE];

/// What a client has anyway when it is told that nothing changed.
const OF_THE_REPRESENTATION: [HeaderName; 5] = [
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
];

const CONDITIONS: [HeaderName; 5] = [
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_MATCH,
    header::IF_UNMODIFIED_SINCE,
    header::IF_RANGE,
];

/// Whether the request has conditions that only the origin can judge.
pub fn is_for_origin(request: &HeaderMap) -> bool {
    request.contains_key(header::IF_MATCH) || request.contains_key(header::IF_UNMODIFIED_SINCE)
}

/// Whether the client has it already.
pub fn is_known(object: &Object, request: &HeaderMap) -> bool {
    if !object.status.is_success() {
        return false;
    }
    if request.contains_key(header::IF_NONE_MATCH) {
        let Some(own) = object.headers.get(header::ETAG) else { return false };
        let own = opaque(own.as_bytes());
        let mut left = EDGE_ETAGS_MAX;
        return request.get_all(header::IF_NONE_MATCH).iter().any(|value| {
            let mut tags = Tags(value.as_bytes());
            tags.by_ref()
                .take_while(|_| left.checked_sub(1).map(|less| left = less).is_some())
                .any(|tag| tag == b"*" || opaque(tag) == own)
        });
    }
    let Some(since) = date(request, header::IF_MODIFIED_SINCE) else { return false };
    let changed = date(&object.headers, header::LAST_MODIFIED)
        .or_else(|| date(&object.headers, header::DATE))
        .unwrap_or(object.answered);
    changed <= since
}

/// The headers of a 304 in place of the whole answer.
pub fn without_body(headers: &mut HeaderMap) {
    for name in &OF_THE_REPRESENTATION {
        headers.remove(name);
    }
}

/// Asks whether what is kept still holds, in place of what the client asked about its own.
pub fn validate(request: &mut HeaderMap, object: &Object) {
    forget(request);
    if let Some(etag) = object.headers.get(header::ETAG) {
        request.insert(header::IF_NONE_MATCH, etag.clone());
    }
    if let Some(changed) = object.headers.get(header::LAST_MODIFIED) {
        request.insert(header::IF_MODIFIED_SINCE, changed.clone());
    }
}

/// Takes away all that asks for less than the whole.
pub fn forget(request: &mut HeaderMap) {
    for name in &CONDITIONS {
        request.remove(name);
    }
    request.remove(header::RANGE);
}

/// The headers after a 304; None when it is about another answer than the one that is kept.
pub fn refreshed(object: &Object, answer: &HeaderMap) -> Option<HeaderMap> {
    if let (Some(new), Some(own)) = (answer.get(header::ETAG), object.headers.get(header::ETAG))
        && opaque(new.as_bytes()) != opaque(own.as_bytes())
    {
        return None;
    }
    Some(updated(&object.headers, answer))
}

/// The headers after a later answer has said some of them anew.
pub fn updated(kept: &HeaderMap, answer: &HeaderMap) -> HeaderMap {
    let mut headers = kept.clone();
    for name in answer.keys().filter(|name| !OF_THE_BODY.contains(name)) {
        headers.remove(name);
        for value in answer.get_all(name) {
            headers.append(name.clone(), value.clone());
        }
    }
    headers
}

/// Whether an answer to HEAD is about what is kept (RFC 9111, section 4.3.5).
pub fn is_same(object: &Object, answer: &HeaderMap) -> bool {
    [header::ETAG, header::LAST_MODIFIED, header::CONTENT_LENGTH].iter().all(|name| {
        let (Some(new), Some(own)) = (answer.get(name), object.headers.get(name)) else { return true };
        new == own
    })
}

/// `If-Range`: whether a part of what is kept goes with what the client has. Only what is equal byte by byte does.
pub fn may_be_partial(object: &Object, request: &HeaderMap) -> bool {
    let Some(condition) = request.get(header::IF_RANGE) else { return true };
    let condition = condition.as_bytes();
    if condition.starts_with(b"\"") {
        return object.headers.get(header::ETAG).is_some_and(|own| own.as_bytes() == condition);
    }
    let dates = (date(request, header::IF_RANGE), date(&object.headers, header::LAST_MODIFIED));
    let (Some(asked), Some(changed)) = dates else { return false };
    asked == changed && is_strong(object, changed)
}

/// A date tells two answers apart only if it was a while old when the answer was made.
fn is_strong(object: &Object, changed: SystemTime) -> bool {
    let made = date(&object.headers, header::DATE).unwrap_or(object.answered);
    made.duration_since(changed).is_ok_and(|since| since.as_secs() >= 1)
}

/// A tag for the weak comparison: what it says, whether it is weak or not.
fn opaque(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

/// The tags of a list. One without quotes reaches to the next comma.
struct Tags<'a>(&'a [u8]);

impl<'a> Iterator for Tags<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while let [b',' | b' ' | b'\t', rest @ ..] = self.0 {
            self.0 = rest;
        }
        let text = self.0;
        let start = if text.starts_with(b"W/\"") { 3 } else { usize::from(text.starts_with(b"\"")) };
        let end = match start {
            0 => text.iter().position(|&byte| byte == b',').unwrap_or(text.len()),
            _ => {
                text[start..].iter().position(|&byte| byte == b'"').map_or(text.len(), |end| start + end + 1)
            }
        };
        self.0 = &text[end..];
        let tag = text[..end].trim_ascii();
        (!tag.is_empty()).then_some(tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_from_lists() {
        let of = |text: &'static str| Tags(text.as_bytes()).collect::<Vec<_>>();
        assert_eq!(of("\"a,b\" , W/\"c\",,d"), [&b"\"a,b\""[..], b"W/\"c\"", b"d"]);
        assert_eq!(of("*"), [b"*"]);
        assert_eq!(of("\"open, x"), [b"\"open, x"]);
        assert!(of(" , ").is_empty());
    }
}
