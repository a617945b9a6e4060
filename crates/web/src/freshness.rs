//! What caches in front of the server are told of an answer: whether they may keep it, for whom, how long, and by which
//! tags they are told that it is no longer so.
//!
//! Only caches that can be purged keep anything: browsers always ask (`max-age=0`), and are told that nothing changed.
//! Answers of collections that do not say otherwise carry nothing, as the reference has it: no freshness and no validator,
//! so nobody has a reason to keep them.

use std::sync::Arc;

use app::sources::Sources;
use app::tags;
use axum::body::Body;
use axum::http::request::Parts as Head;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use backing::Kept;
use base::Name;
use base::limits::{
    ANSWER_TAG_BYTES_MAX, ANSWER_TIMED_TTL_SECONDS_MAX, FILE_TTL_SECONDS, STATIC_TTL_SECONDS,
};
use model::CachePolicy;
use sha2::{Digest, Sha256};

use crate::conditional;
use crate::extract::Asked;
use crate::public::kind;
use crate::wire;

pub const SURROGATE_KEY: HeaderName = HeaderName::from_static("surrogate-key");
/// RFC 9213: for shared caches that can be purged, where others are told something else.
pub const CDN_CACHE_CONTROL: HeaderName = HeaderName::from_static("cdn-cache-control");
const ANY_ORIGIN: HeaderValue = HeaderValue::from_static("*");

/// Who may be given an answer that was made for somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// Whoever asks: it would be the same.
    Everybody,
    /// All who do not say who they are.
    Guests,
    /// Who asks with the same token.
    Caller,
    /// Nobody else, and not even the same caller without asking.
    Nobody,
}

/// What is known of an answer's body, so that it need not be found out again.
#[derive(Clone, Debug, PartialEq, Eq)]
struct About {
    reach: Reach,
    /// Whether the clock may change it.
    timed: bool,
    /// With its quotes.
    etag: String,
    /// Separated by spaces.
    tags: String,
}

/// Judges an answer under a collection's policy, for whoever keeps it.
pub fn judged(asked: &Asked, policy: &CachePolicy, sources: Sources, body: bytes::Bytes) -> Kept {
    let about = About::of(asked, policy, sources, &body);
    Kept { bytes: body, note: Some(about.note()) }
}

/// The answer with all that caches are told of it; bodiless when the client has it already.
pub fn answer(head: &Head, asked: &Asked, policy: &CachePolicy, kept: Kept, now: i64) -> Response<Body> {
    let Some(about) = kept.note.as_deref().and_then(About::read) else { return wire::answer::ok(kept.bytes) };
    let mut headers = HeaderMap::new();
    about.write(asked, policy, now, &mut headers);
    let is_known = conditional::is_known(&head.headers, &about.etag);
    let mut response = match is_known {
        true => wire::answer::empty(StatusCode::NOT_MODIFIED),
        false => wire::answer::ok(kept.bytes),
    };
    response.headers_mut().extend(headers);
    response
}

/// What superusers are told is nobody else's, unless it says itself that it is.
pub fn belongs_to_superusers(headers: &mut HeaderMap) {
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

/// Where no front door takes the tags away, they would tell clients what answers are made of.
pub fn without_tags(headers: &mut HeaderMap) {
    headers.remove(SURROGATE_KEY);
}

/// What is said of an uploaded file, whose name never gets other bytes. One that is not shown to everybody is nobody's to
/// keep; the reference lets browsers keep it all the same.
pub fn file(headers: &mut HeaderMap, shown_to_all: Option<&Name>, id: &str) {
    let Some(table) = shown_to_all else {
        headers.insert(CDN_CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
        return;
    };
    let lasting = format!("public, max-age={FILE_TTL_SECONDS}");
    let tags = format!("{} {}", tags::record(table, id), tags::all_of(table));
    for (name, value) in [(CDN_CACHE_CONTROL, lasting), (SURROGATE_KEY, tags)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, ANY_ORIGIN);
}

/// What is said of a static file. Deploying changes it without a word, so nobody keeps it for long unless its name goes with
/// its content.
pub fn of_site(headers: &mut HeaderMap, kept: kind::Kept) {
    let for_all = match kept {
        kind::Kept::ForGood => "public, max-age=31536000, immutable",
        _ => "no-cache",
    };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(for_all));
    if kept == kind::Kept::Briefly
        && let Ok(brief) = HeaderValue::from_str(&format!("max-age={STATIC_TTL_SECONDS}"))
    {
        headers.insert(CDN_CACHE_CONTROL, brief);
    }
}

impl About {
    fn of(asked: &Asked, policy: &CachePolicy, sources: Sources, body: &[u8]) -> About {
        let depends = sources.depends;
        let is_guest = asked.caller.is_none();
        let reach = if depends.request || (depends.time && policy.ttl > ANSWER_TIMED_TTL_SECONDS_MAX) {
            Reach::Nobody
        } else if policy.is_public() && !depends.caller {
            Reach::Everybody
        } else if is_guest {
            Reach::Guests
        } else if policy.is_public() {
            Reach::Nobody
        } else {
            Reach::Caller
        };
        let mut tags = sources.tags().join(" ");
        if let (Reach::Caller, Some(caller)) = (reach, &asked.caller) {
            let caller = &caller.record;
            tags.push(' ');
            tags.push_str(&tags::record(&caller.collection.name, caller.id()));
            tags.push(' ');
            tags.push_str(&tags::all_of(&caller.collection.name));
        }
        let reach = if tags.len() > ANSWER_TAG_BYTES_MAX { Reach::Nobody } else { reach };
        About { reach, timed: depends.time, etag: etag(body), tags }
    }

    fn write(&self, asked: &Asked, policy: &CachePolicy, now: i64, headers: &mut HeaderMap) {
        let mut set = |name: HeaderName, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        set(header::ETAG, &self.etag);
        let life = asked.caller.as_ref().map_or(i64::MAX, |caller| caller.expires.saturating_sub(now));
        let ttl = policy.ttl.min(life.max(0));
        // A token that is nobody's must not make room for itself.
        let is_stray = asked.caller.is_none() && !asked.token.is_empty() && self.reach == Reach::Guests;
        if self.reach == Reach::Nobody || is_stray {
            return set(header::CACHE_CONTROL, "private, no-cache");
        }
        let freshness = match self.reach {
            // Whoever may not see it any more must not be given it because nobody can be asked.
            Reach::Caller => format!("max-age=0, s-maxage={ttl}, must-revalidate"),
            _ => public(policy, self.timed),
        };
        set(header::CACHE_CONTROL, &freshness);
        let vary =
            if self.reach == Reach::Everybody { "Accept-Encoding" } else { "Authorization, Accept-Encoding" };
        set(header::VARY, vary);
        set(SURROGATE_KEY, &self.tags);
        // For pages of every origin, whoever asked first.
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, ANY_ORIGIN);
    }

    /// As it is kept beside the body.
    fn note(&self) -> Arc<str> {
        let reach = match self.reach {
            Reach::Everybody => "everybody",
            Reach::Guests => "guests",
            Reach::Caller => "caller",
            Reach::Nobody => "nobody",
        };
        let timed = if self.timed { "timed" } else { "" };
        format!("{reach}\n{timed}\n{}\n{}", self.etag, self.tags).into()
    }

    fn read(note: &str) -> Option<About> {
        let mut lines = note.split('\n');
        let reach = match lines.next()? {
            "everybody" => Reach::Everybody,
            "guests" => Reach::Guests,
            "caller" => Reach::Caller,
            _ => Reach::Nobody,
        };
        let timed = lines.next()? == "timed";
        Some(About { reach, timed, etag: lines.next()?.into(), tags: lines.next()?.into() })
    }
}

fn public(policy: &CachePolicy, timed: bool) -> String {
    let mut text = format!("public, max-age=0, s-maxage={}", policy.ttl);
    if timed {
        return text + ", must-revalidate";
    }
    for (name, seconds) in
        [("stale-while-revalidate", policy.stale_while_revalidate), ("stale-if-error", policy.stale_if_error)]
    {
        if seconds > 0 {
            text.push_str(&format!(", {name}={seconds}"));
        }
    }
    text
}

/// A strong one: other bytes have another.
fn etag(body: &[u8]) -> String {
    let digest = Sha256::digest(body);
    let mut text = String::with_capacity(34);
    text.push('"');
    for byte in &digest[..16] {
        text.push_str(&format!("{byte:02x}"));
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_as_it_was_written() {
        for reach in [Reach::Everybody, Reach::Guests, Reach::Caller, Reach::Nobody] {
            for timed in [false, true] {
                let about = About { reach, timed, etag: etag(b"x"), tags: "c:posts r:users/a".into() };
                assert_eq!(About::read(&about.note()), Some(about));
            }
        }
    }

    #[test]
    fn what_shared_caches_are_told() {
        let policy =
            CachePolicy { ttl: 60, scope: "public".into(), stale_while_revalidate: 5, stale_if_error: 0 };
        assert_eq!(public(&policy, false), "public, max-age=0, s-maxage=60, stale-while-revalidate=5");
        assert_eq!(public(&policy, true), "public, max-age=0, s-maxage=60, must-revalidate");
    }
}
