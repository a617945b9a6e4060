//! How a request fared in the cache: for `Cache-Status` (RFC 9211), the access log and the metrics.

use hyper::header::{HeaderMap, HeaderName, HeaderValue};

use super::policy::Refusal;

pub const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// What an edge calls its cache, and what a shield does, so that a list of both can be told apart.
pub const EDGE: &str = "pando";
pub const SHIELD: &str = "pando-shield";

/// What became of a request in the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Hit,
    /// What was kept served although its time was over: it is asked for again, or nobody could answer.
    Stale,
    /// The origin said that what was kept still holds.
    Revalidated,
    /// What was kept held no longer, or could not be validated.
    Expired,
    /// Nothing was kept under the key.
    Missing,
    /// What was kept was for other requests.
    Variant,
    /// The request was not for the cache.
    Bypass,
    /// Neither GET nor HEAD.
    Method,
}

impl Outcome {
    /// As metrics and the access log call it.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Hit => "hit",
            Outcome::Stale => "stale",
            Outcome::Revalidated => "revalidated",
            Outcome::Expired => "expired",
            Outcome::Missing => "miss",
            Outcome::Variant => "variant",
            Outcome::Bypass => "bypass",
            Outcome::Method => "method",
        }
    }

    /// As RFC 9211 calls the reason for asking the origin.
    fn forwarded(self) -> Option<&'static str> {
        match self {
            Outcome::Hit | Outcome::Stale => None,
            Outcome::Revalidated | Outcome::Expired => Some("stale"),
            Outcome::Missing => Some("uri-miss"),
            Outcome::Variant => Some("vary-miss"),
            Outcome::Bypass => Some("bypass"),
            Outcome::Method => Some("method"),
        }
    }
}

impl Refusal {
    pub fn name(self) -> &'static str {
        match self {
            Refusal::Method => "method",
            Refusal::Status => "status",
            Refusal::NoStore => "no-store",
            Refusal::Private => "private",
            Refusal::Authorization => "authorization",
            Refusal::SetCookie => "set-cookie",
            Refusal::Vary => "vary",
            Refusal::Unknown => "no-freshness",
            Refusal::Size => "size",
        }
    }
}

/// What is told of one answer.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    pub outcome: Outcome,
    /// Seconds until it is stale.
    pub ttl: Option<i64>,
    /// What the origin answered.
    pub status: Option<u16>,
    /// Whether it is kept, or why not.
    pub stored: Option<Result<(), Refusal>>,
    /// Whether another request's question brought it.
    pub collapsed: bool,
}

impl Told {
    pub fn of(outcome: Outcome) -> Self {
        Told { outcome, ttl: None, status: None, stored: None, collapsed: false }
    }

    /// Adds this cache's member behind those of caches nearer to the origin.
    pub fn tell(&self, name: &str, headers: &mut HeaderMap) {
        use std::fmt::Write;
        let mut text = String::with_capacity(64);
        text.push_str(name);
        match self.outcome.forwarded() {
            None => text.push_str("; hit"),
            Some(reason) => {
                text.push_str("; fwd=");
                text.push_str(reason);
            }
        }
        if let Some(status) = self.status {
            let _ = write!(text, "; fwd-status={status}");
        }
        match self.stored {
            Some(Ok(())) => text.push_str("; stored"),
            Some(Err(why)) => {
                let _ = write!(text, "; detail={}", why.name());
            }
            None => {}
        }
        if self.collapsed {
            text.push_str("; collapsed");
        }
        if let Some(ttl) = self.ttl {
            let _ = write!(text, "; ttl={ttl}");
        }
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.append(CACHE_STATUS, value);
        }
    }
}
