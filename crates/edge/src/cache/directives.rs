//! What answers and requests say about caching: `Cache-Control`, its targeted forms, and `Pragma`.
//!
//! RFC 9111, section 5.2; RFC 9213 for `CDN-Cache-Control`; RFC 5861 for stale answers; RFC 8246 for `immutable`.

use base::limits::EDGE_DELTA_S_MAX;
use hyper::HeaderMap;
use hyper::header::{self, HeaderName, HeaderValue};

use super::structured;

pub const CDN_CACHE_CONTROL: HeaderName = HeaderName::from_static("cdn-cache-control");
pub const SURROGATE_CONTROL: HeaderName = HeaderName::from_static("surrogate-control");
/// As `Surrogate-Control` calls this cache.
pub const DEVICE: &str = "pando";

/// What an answer says. Times are in seconds; one that cannot be read is 0, as such answers count as stale.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directives {
    pub no_store: bool,
    pub no_cache: bool,
    pub private: bool,
    pub public: bool,
    pub must_revalidate: bool,
    pub proxy_revalidate: bool,
    pub must_understand: bool,
    pub max_age: Option<u64>,
    pub s_maxage: Option<u64>,
    pub stale_while_revalidate: Option<u64>,
    pub stale_if_error: Option<u64>,
    /// Fields that are for one reader, or must be asked for each time: they are not kept.
    pub fields: Vec<HeaderName>,
    /// Whether it is a field for caches like this one, which takes the place of `Cache-Control` and `Expires`.
    pub targeted: bool,
}

/// What a request says. Times are in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asks {
    pub no_store: bool,
    pub no_cache: bool,
    pub no_transform: bool,
    pub only_if_cached: bool,
    pub max_age: Option<u64>,
    pub min_fresh: Option<u64>,
    /// By how much it may be stale; `u64::MAX` for any time.
    pub max_stale: Option<u64>,
}

impl Directives {
    /// Of the most particular field that there is and that can be read.
    pub fn of(headers: &HeaderMap) -> Self {
        structured_field(headers).or_else(|| surrogate(headers)).unwrap_or_else(|| plain(headers))
    }

    fn take(&mut self, name: &[u8], value: Option<&[u8]>) {
        if let Some((field, shorter)) = self.time(name) {
            let given = value.map_or(0, seconds);
            // The most restrictive of several.
            *field = Some(match *field {
                Some(before) if shorter => before.min(given),
                _ => given,
            });
            return;
        }
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("no-store") {
            self.no_store = true;
        } else if is("no-cache") || is("private") {
            let fields: Vec<HeaderName> = value
                .map(|value| value.split(|&byte| byte == b',').filter_map(field).collect())
                .unwrap_or_default();
            match (fields.is_empty(), is("private")) {
                (true, true) => self.private = true,
                (true, false) => self.no_cache = true,
                (false, _) => self.fields.extend(fields),
            }
        } else if is("public") {
            self.public = true;
        } else if is("must-revalidate") {
            self.must_revalidate = true;
        } else if is("proxy-revalidate") {
            self.proxy_revalidate = true;
        } else if is("must-understand") {
            self.must_understand = true;
        }
    }

    fn time(&mut self, name: &[u8]) -> Option<(&mut Option<u64>, bool)> {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("max-age") {
            Some((&mut self.max_age, true))
        } else if is("s-maxage") {
            Some((&mut self.s_maxage, true))
        } else if is("stale-while-revalidate") {
            Some((&mut self.stale_while_revalidate, true))
        } else if is("stale-if-error") {
            Some((&mut self.stale_if_error, true))
        } else {
            None
        }
    }
}

fn plain(headers: &HeaderMap) -> Directives {
    let mut found = Directives::default();
    for value in headers.get_all(header::CACHE_CONTROL) {
        each(value.as_bytes(), |directive| match directive {
            Some((name, value)) => found.take(name, value),
            // Whatever stood behind a quote that never ends may have forbidden it.
            None => found.no_store = true,
        });
    }
    found
}

/// `CDN-Cache-Control`: one that is no structured field, or has a value of the wrong kind, is as if it were not there.
fn structured_field(headers: &HeaderMap) -> Option<Directives> {
    let mut values = headers.get_all(&CDN_CACHE_CONTROL).iter().map(HeaderValue::as_bytes).peekable();
    values.peek()?;
    let text = values.collect::<Vec<_>>().join(&b", "[..]);
    let members = structured::dictionary(&text)?;
    if members.is_empty() {
        return None;
    }
    let mut found = Directives { targeted: true, ..Directives::default() };
    for (name, value) in members {
        let timed = found.time(name.as_bytes()).is_some();
        match value {
            structured::Value::Integer(number) if timed => {
                let number = u64::try_from(number).ok()?.to_string();
                found.take(name.as_bytes(), Some(number.as_bytes()));
            }
            _ if timed => return None,
            structured::Value::Boolean(true) => found.take(name.as_bytes(), None),
            structured::Value::Text(text) => found.take(name.as_bytes(), Some(text)),
            _ => {}
        }
    }
    Some(found)
}

/// `Surrogate-Control`, from <https://www.w3.org/TR/edge-arch/>: what it says to other devices is not for this one.
fn surrogate(headers: &HeaderMap) -> Option<Directives> {
    let mut found = Directives { targeted: true, ..Directives::default() };
    let mut said = false;
    for value in headers.get_all(&SURROGATE_CONTROL) {
        each(value.as_bytes(), |directive| {
            let Some((name, value)) = directive else { return };
            let (name, device) = split_once(name, b';');
            let (value, later) = value.map_or((None, None), |value| {
                let (value, device) = split_once(value, b';');
                (Some(value), device)
            });
            if device.or(later).is_some_and(|device| device.trim_ascii() != DEVICE.as_bytes()) {
                return;
            }
            let known = [&b"max-age"[..], b"no-store"].iter().any(|known| name.eq_ignore_ascii_case(known));
            said |= known;
            // `3600+600`: fresh for so long, and usable for so much longer.
            let (value, longer) = value.map_or((None, None), |value| {
                let (value, longer) = split_once(value, b'+');
                (Some(value), longer)
            });
            if known {
                found.take(name, value);
            }
            if let Some(longer) = longer {
                found.take(b"stale-while-revalidate", Some(longer));
                found.take(b"stale-if-error", Some(longer));
            }
        });
    }
    said.then_some(found)
}

impl Asks {
    pub fn of(headers: &HeaderMap) -> Self {
        let mut asks = Asks::default();
        let mut said = false;
        for value in headers.get_all(header::CACHE_CONTROL) {
            said = true;
            each(value.as_bytes(), |directive| {
                let Some((name, value)) = directive else { return };
                let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
                if is("no-store") {
                    asks.no_store = true;
                } else if is("no-cache") {
                    asks.no_cache = true;
                } else if is("no-transform") {
                    asks.no_transform = true;
                } else if is("only-if-cached") {
                    asks.only_if_cached = true;
                } else if is("max-age") {
                    asks.max_age = Some(value.map_or(0, seconds));
                } else if is("min-fresh") {
                    asks.min_fresh = value.map(seconds);
                } else if is("max-stale") {
                    asks.max_stale = Some(value.map_or(u64::MAX, seconds));
                }
            });
        }
        if !said && headers.contains_key(header::PRAGMA) {
            asks.no_cache = says_no_cache(headers);
        }
        asks
    }
}

/// Whether `Pragma` says `no-cache`.
pub fn says_no_cache(headers: &HeaderMap) -> bool {
    let mut found = false;
    for value in headers.get_all(header::PRAGMA) {
        each(value.as_bytes(), |directive| {
            found |= directive.is_some_and(|(name, _)| name.eq_ignore_ascii_case(b"no-cache"));
        });
    }
    found
}

/// Digits, whole; anything else is no time at all.
fn seconds(value: &[u8]) -> u64 {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return 0;
    }
    let add = |sum: u64, digit: &u8| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    value.iter().fold(0, add).min(EDGE_DELTA_S_MAX)
}

fn field(name: &[u8]) -> Option<HeaderName> {
    HeaderName::from_bytes(name.trim_ascii()).ok()
}

fn split_once(text: &[u8], at: u8) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|&byte| byte == at) {
        Some(place) => (&text[..place], Some(&text[place + 1..])),
        None => (text, None),
    }
}

/// Each directive with its value, without quotes; None for a quote that does not end. A value that is not separated by `=`
/// alone is none that counts: it is given as it stands, with its spaces.
fn each<'a>(text: &'a [u8], mut found: impl FnMut(Option<(&'a [u8], Option<&'a [u8]>)>)) {
    for member in members(text) {
        let Some(member) = member else {
            found(None);
            continue;
        };
        let (name, value) = split_once(member, b'=');
        let value = value.map(|value| match value {
            [b'"', inner @ .., b'"'] => inner,
            // `max-age =60` is not what the grammar allows, so its time does not count.
            other if name.ends_with(b" ") || name.ends_with(b"\t") => {
                if other.first().is_some_and(u8::is_ascii_digit) { &[][..] } else { other }
            }
            other => other,
        });
        let name = name.trim_ascii();
        if !name.is_empty() {
            found(Some((name, value)));
        }
    }
}

/// The members of a list, without the spaces around them and without empty ones. Commas in quotes separate nothing; None stands
/// for a quote that does not end.
pub fn members(text: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        loop {
            let text = rest?;
            let (mut quoted, mut escaped) = (false, false);
            let end = text.iter().position(|&byte| {
                if escaped {
                    escaped = false;
                } else if quoted && byte == b'\\' {
                    escaped = true;
                } else if byte == b'"' {
                    quoted = !quoted;
                }
                byte == b',' && !quoted
            });
            let member = &text[..end.unwrap_or(text.len())];
            rest = end.map(|end| &text[end + 1..]);
            if quoted {
                return Some(None);
            }
            let member = member.trim_ascii();
            if !member.is_empty() {
                return Some(Some(member));
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = lines.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append::<HeaderName>(name, value);
        }
        headers
    }

    #[test]
    fn times_are_whole_digits_and_the_shortest_counts() {
        for (text, expected) in [
            ("max-age=60", Some(60)),
            ("MaX-aGe=0060", Some(60)),
            ("max-age=\"60\"", Some(60)),
            ("max-age='60'", Some(0)),
            ("max-age=-60", Some(0)),
            ("max-age=60.0", Some(0)),
            ("max-age", Some(0)),
            ("max-age =60", Some(0)),
            ("max-age= 60", Some(0)),
            ("max-age=99999999999999999999999", Some(EDGE_DELTA_S_MAX)),
            ("a=\"max-age=60\", max-age=1", Some(1)),
            ("max-age=60, max-age=5", Some(5)),
            ("x=\"max-age=60\"", None),
            ("", None),
        ] {
            let found = Directives::of(&headers(&[("cache-control", text)]));
            assert_eq!(found.max_age, expected, "{text}");
        }
        assert!(Directives::of(&headers(&[("cache-control", "max-age=9, a=\"b, no-store")])).no_store);
    }

    #[test]
    fn fields_may_be_named() {
        let found =
            Directives::of(&headers(&[("cache-control", "no-cache=\"a, b\", private=\"c\", public")]));
        assert!(!found.no_cache && !found.private && found.public);
        assert_eq!(found.fields, ["a", "b", "c"]);
        assert!(Directives::of(&headers(&[("cache-control", "no-cache=\"\"")])).no_cache);
    }

    #[test]
    fn the_field_for_such_caches_comes_first() {
        let long = ("cache-control", "max-age=3600, public");
        let of = |name, value| Directives::of(&headers(&[long, (name, value)]));
        assert_eq!(of("cdn-cache-control", "max-age=5").max_age, Some(5));
        assert!(of("cdn-cache-control", "no-store").no_store);
        assert!(!of("cdn-cache-control", "max-age=5").public);
        for ignored in ["max-age=5, &&", "max-age=\"5\"", "max-age=-1", "", "MAX-AGE=5"] {
            assert_eq!(of("cdn-cache-control", ignored).max_age, Some(3600), "{ignored}");
        }
        let surrogate = of("surrogate-control", "max-age=5+10;pando");
        assert_eq!((surrogate.max_age, surrogate.stale_if_error), (Some(5), Some(10)));
        assert_eq!(of("surrogate-control", "max-age=5;another").max_age, Some(3600));
    }

    #[test]
    fn requests_say_what_they_accept() {
        let of = |name, value| Asks::of(&headers(&[(name, value)]));
        assert!(of("pragma", "No-Cache").no_cache);
        assert!(!Asks::of(&headers(&[("pragma", "no-cache"), ("cache-control", "x")])).no_cache);
        assert_eq!(of("cache-control", "max-stale").max_stale, Some(u64::MAX));
        assert_eq!(of("cache-control", "max-stale=5, min-fresh=3").max_stale, Some(5));
        assert!(of("cache-control", "only-if-cached").only_if_cached);
    }
}
