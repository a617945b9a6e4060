//! What may be kept of an answer, how long it is fresh, and when it may be used: RFC 9111, sections 3 and 4.
//!
//! All times are handed in. What is needed to judge a kept answer is worked out once, when it comes.

use std::time::{Duration, SystemTime};

use base::limits::{EDGE_HEURISTIC_PERCENT, EDGE_HEURISTIC_S_MAX, EDGE_STALE_DOWN_MS};
use hyper::header::{self, HeaderMap, HeaderName};
use hyper::{Method, StatusCode};

use super::directives::{Asks, Directives, says_no_cache};
use super::vary;

/// Why an answer is not kept, in the words of `Cache-Status` and the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    Method,
    Status,
    NoStore,
    Private,
    Authorization,
    SetCookie,
    Vary,
    /// It says neither how long it is fresh nor how it could be validated.
    Unknown,
    Size,
}

/// What is known of how long one answer may be used, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freshness {
    /// How old it was when it came.
    pub age_ms: u64,
    pub lifetime_ms: u64,
    /// How long beyond that it may be used while it is asked for again.
    pub revalidate_ms: u64,
    /// The same while the origin answers with an error.
    pub error_ms: u64,
    /// The same while no node can be reached.
    pub down_ms: u64,
    /// Every use is to be asked for.
    pub always_validate: bool,
}

/// One that may be kept, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub freshness: Freshness,
    /// Fields that are not to be kept.
    pub without: Vec<HeaderName>,
}

/// What an operator may decide.
#[derive(Clone, Debug)]
pub struct Rules {
    /// How long beyond its time an answer that says nothing of it may serve while no node can be reached.
    pub stale_down_ms: u64,
    /// Whether an answer that names no time is fresh for a part of the time since its last change.
    pub heuristic: bool,
    /// Whether what requests say about caching counts.
    pub obeys_clients: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Rules { stale_down_ms: EDGE_STALE_DOWN_MS, heuristic: true, obeys_clients: true }
    }
}

/// An answer as it came, with what it answers.
pub struct Came<'a> {
    pub method: &'a Method,
    /// Whether the request bore credentials.
    pub authorized: bool,
    pub status: StatusCode,
    pub headers: &'a HeaderMap,
    /// When the request was sent, and when the answer's head came.
    pub asked: SystemTime,
    pub answered: SystemTime,
}

/// How a kept answer may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    Fresh,
    /// It may serve once more while it is asked for again.
    WhileRevalidated,
    /// The client takes it stale.
    AsAsked,
    /// Not before the origin was asked.
    Validate,
}

/// Statuses that may be kept although nothing says for how long (RFC 9110, section 15.1); 206 and 300 are not kept.
fn is_heuristic(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200 | 203 | 204 | 301 | 308 | 404 | 405 | 410 | 414 | 501)
}

/// Statuses whose caching requirements are known and met.
fn is_understood(status: StatusCode) -> bool {
    is_heuristic(status)
        || matches!(status.as_u16(), 300 | 302 | 303 | 307 | 400 | 401 | 403 | 500 | 502..=504)
}

/// Whether an answer may be kept, and what follows for its use.
pub fn judge(came: &Came, rules: &Rules) -> Result<Kept, Refusal> {
    let headers = came.headers;
    if came.method != Method::GET {
        return Err(Refusal::Method);
    }
    if came.status.is_informational() || matches!(came.status.as_u16(), 206 | 304) {
        return Err(Refusal::Status);
    }
    let said = Directives::of(headers);
    if said.must_understand && !is_understood(came.status) {
        return Err(Refusal::Status);
    }
    if said.no_store && !said.must_understand {
        return Err(Refusal::NoStore);
    }
    if said.private {
        return Err(Refusal::Private);
    }
    if came.authorized && !said.public && said.s_maxage.is_none() && !said.must_revalidate {
        return Err(Refusal::Authorization);
    }
    if headers.contains_key(header::SET_COOKIE) && !said.public {
        return Err(Refusal::SetCookie);
    }
    if vary::names(headers).is_none() {
        return Err(Refusal::Vary);
    }
    let freshness = freshness(came, &said, rules);
    let usable = freshness.lifetime_ms + freshness.revalidate_ms + freshness.error_ms > 0;
    let explicit = usable || said.max_age.is_some() || said.s_maxage.is_some() || said.public;
    if !explicit && !is_heuristic(came.status) && !headers.contains_key(header::EXPIRES) {
        return Err(Refusal::Unknown);
    }
    let validator = headers.contains_key(header::ETAG) || headers.contains_key(header::LAST_MODIFIED);
    if !validator && (!usable || freshness.always_validate) {
        return Err(Refusal::Unknown);
    }
    Ok(Kept { freshness, without: said.fields })
}

fn freshness(came: &Came, said: &Directives, rules: &Rules) -> Freshness {
    let lifetime_ms = lifetime(came, said, rules).saturating_mul(1_000);
    // Who says that it must be asked for means it, also when the origin is away.
    let strict = said.must_revalidate || said.proxy_revalidate || said.no_cache;
    let longer = |seconds: Option<u64>| match strict {
        true => 0,
        false => seconds.unwrap_or(0).saturating_mul(1_000),
    };
    let error_ms = longer(said.stale_if_error);
    let down_ms = match said.s_maxage {
        _ if strict => 0,
        Some(_) => error_ms,
        None => said.stale_if_error.map_or(rules.stale_down_ms, |_| error_ms),
    };
    Freshness {
        age_ms: initial_age(came),
        lifetime_ms,
        revalidate_ms: longer(said.stale_while_revalidate),
        error_ms,
        down_ms,
        always_validate: said.no_cache,
    }
}

/// RFC 9111, section 4.2.1, in seconds.
fn lifetime(came: &Came, said: &Directives, rules: &Rules) -> u64 {
    if let Some(seconds) = said.s_maxage.or(said.max_age) {
        return seconds;
    }
    let date = date(came.headers, header::DATE).unwrap_or(came.answered);
    if !said.targeted && came.headers.contains_key(header::EXPIRES) {
        // What cannot be read, `0` above all, lies in the past.
        return date_once(came.headers, header::EXPIRES).map_or(0, |expires| seconds_since(expires, date));
    }
    let guessed = rules.heuristic
        && (is_heuristic(came.status) || said.public)
        && !said.targeted
        && !said.no_cache
        && !says_no_cache(came.headers);
    match date_once(came.headers, header::LAST_MODIFIED) {
        Some(changed) if guessed => {
            (seconds_since(date, changed) * EDGE_HEURISTIC_PERCENT / 100).min(EDGE_HEURISTIC_S_MAX)
        }
        _ => 0,
    }
}

/// The corrected initial age of RFC 9111, section 4.2.3, in milliseconds.
fn initial_age(came: &Came) -> u64 {
    let date = date(came.headers, header::DATE).unwrap_or(came.answered);
    let apparent = seconds_since(came.answered, date) * 1_000;
    let delay = milliseconds(came.answered.duration_since(came.asked).unwrap_or_default());
    apparent.max(told_age(came.headers).saturating_mul(1_000).saturating_add(delay))
}

/// Of several values the first counts; what is no number is ignored (RFC 9111, section 5.1).
fn told_age(headers: &HeaderMap) -> u64 {
    let first = headers.get(header::AGE).map(|value| value.as_bytes()).unwrap_or_default();
    let first = first.split(|&byte| byte == b',').next().unwrap_or_default().trim_ascii();
    if first.is_empty() || !first.iter().all(u8::is_ascii_digit) {
        return 0;
    }
    let text = std::str::from_utf8(first).unwrap_or_default();
    text.parse().map_or(base::limits::EDGE_DELTA_S_MAX, |age: u64| age.min(base::limits::EDGE_DELTA_S_MAX))
}

/// A date in any of the three forms of RFC 9110, section 5.6.7.
pub fn date(headers: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()
}

/// The same, if nothing else is said beside it.
fn date_once(headers: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    let mut values = headers.get_all(&name).iter();
    let first = values.next()?;
    if values.any(|other| other != first) {
        return None;
    }
    date(headers, name)
}

fn seconds_since(later: SystemTime, earlier: SystemTime) -> u64 {
    later.duration_since(earlier).unwrap_or_default().as_secs()
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Freshness {
    /// How old it is, when it came at `answered`.
    pub fn age_ms(&self, answered: SystemTime, now: SystemTime) -> u64 {
        self.age_ms.saturating_add(milliseconds(now.duration_since(answered).unwrap_or_default()))
    }

    /// How it may be used at that age by who asks so.
    pub fn judge(&self, age_ms: u64, asks: &Asks) -> Use {
        if self.always_validate || asks.no_cache {
            return Use::Validate;
        }
        let of_client = |seconds: Option<u64>| seconds.map(|seconds| seconds.saturating_mul(1_000));
        if of_client(asks.max_age).is_some_and(|most| most == 0 || age_ms > most) {
            return Use::Validate;
        }
        let least = of_client(asks.min_fresh).unwrap_or(0);
        if age_ms.saturating_add(least) < self.lifetime_ms {
            return Use::Fresh;
        }
        if asks.min_fresh.is_some() {
            return Use::Validate;
        }
        let stale_ms = age_ms.saturating_sub(self.lifetime_ms);
        if stale_ms < self.revalidate_ms {
            return Use::WhileRevalidated;
        }
        // Whoever may not serve it stale has no time for an outage either.
        let allowed = self.down_ms > 0 || self.error_ms > 0;
        match of_client(asks.max_stale) {
            Some(most) if allowed && stale_ms <= most => Use::AsAsked,
            _ => Use::Validate,
        }
    }

    /// Whether it may serve in place of an error. `down` says that no node answered at all.
    pub fn serves_errors(&self, age_ms: u64, down: bool) -> bool {
        let longer = if down { self.down_ms.max(self.error_ms) } else { self.error_ms };
        !self.always_validate && age_ms < self.lifetime_ms.saturating_add(longer)
    }

    /// Seconds that are left of its time; less than 0 for what is stale.
    pub fn ttl_s(&self, age_ms: u64) -> i64 {
        let of = |ms: u64| i64::try_from(ms / 1_000).unwrap_or(i64::MAX);
        of(self.lifetime_ms) - of(age_ms)
    }
}

#[cfg(test)]
mod tests;
