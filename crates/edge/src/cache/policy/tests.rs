//! The policy by cases, and on headers that nobody would send.

use hyper::header::HeaderValue;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

const START: SystemTime = SystemTime::UNIX_EPOCH;

fn at(seconds: u64) -> SystemTime {
    START + Duration::from_secs(1_700_000_000 + seconds)
}

fn headers(lines: &[(&'static str, String)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.append(*name, value);
        }
    }
    headers
}

fn judged(status: u16, authorized: bool, lines: &[(&'static str, &str)]) -> Result<Kept, Refusal> {
    let lines: Vec<_> = lines.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    let headers = headers(&lines);
    let came = Came {
        method: &Method::GET,
        authorized,
        status: StatusCode::from_u16(status).unwrap(),
        headers: &headers,
        asked: at(0),
        answered: at(0),
    };
    judge(&came, &Rules::default())
}

#[test]
fn what_may_be_kept() {
    let cc = "cache-control";
    for (status, authorized, lines, expected) in [
        (200, false, &[(cc, "max-age=5")][..], None),
        (200, false, &[], Some(Refusal::Unknown)),
        (200, false, &[("etag", "\"a\"")], None),
        (599, false, &[("etag", "\"a\"")], Some(Refusal::Unknown)),
        (599, false, &[(cc, "max-age=5")], None),
        (599, false, &[(cc, "max-age=5, must-understand")], Some(Refusal::Status)),
        (200, false, &[(cc, "max-age=5, must-understand, no-store")], None),
        (200, false, &[(cc, "max-age=5, no-store")], Some(Refusal::NoStore)),
        (200, false, &[(cc, "max-age=5, private")], Some(Refusal::Private)),
        (200, false, &[(cc, "max-age=5, private=\"x\"")], None),
        (200, false, &[(cc, "no-cache")], Some(Refusal::Unknown)),
        (200, false, &[(cc, "no-cache"), ("etag", "\"a\"")], None),
        (200, false, &[(cc, "max-age=0, stale-while-revalidate=5")], None),
        (206, false, &[(cc, "max-age=5")], Some(Refusal::Status)),
        (200, true, &[(cc, "max-age=5")], Some(Refusal::Authorization)),
        (200, true, &[(cc, "max-age=5, public")], None),
        (200, true, &[(cc, "s-maxage=5")], None),
        (200, true, &[(cc, "max-age=5, must-revalidate")], None),
        (
            200,
            true,
            &[(cc, "max-age=5, public"), ("cdn-cache-control", "max-age=5")],
            Some(Refusal::Authorization),
        ),
        (200, false, &[(cc, "max-age=5"), ("set-cookie", "a=b")], Some(Refusal::SetCookie)),
        (200, false, &[(cc, "max-age=5, public"), ("set-cookie", "a=b")], None),
        (200, false, &[(cc, "max-age=5"), ("vary", "a, *")], Some(Refusal::Vary)),
    ] {
        assert_eq!(judged(status, authorized, lines).err(), expected, "{status} {authorized} {lines:?}");
    }
}

#[test]
fn stale_answers_serve_only_who_may_have_them() {
    let of =
        |text: &str| judged(200, false, &[("cache-control", text), ("etag", "\"a\"")]).unwrap().freshness;
    let plain = of("max-age=10");
    assert_eq!(plain.judge(9_999, &Asks::default()), Use::Fresh);
    assert_eq!(plain.judge(10_000, &Asks::default()), Use::Validate);
    assert!(plain.serves_errors(20_000, true) && !plain.serves_errors(20_000, false));
    let told = of("max-age=10, stale-while-revalidate=5, stale-if-error=20");
    assert_eq!(told.judge(14_999, &Asks::default()), Use::WhileRevalidated);
    assert_eq!(told.judge(15_000, &Asks::default()), Use::Validate);
    assert!(told.serves_errors(29_999, false) && !told.serves_errors(30_000, true));
    let stale = Asks { max_stale: Some(60), ..Asks::default() };
    assert_eq!(plain.judge(20_000, &stale), Use::AsAsked);
    for strict in ["must-revalidate", "proxy-revalidate", "s-maxage=10", "no-cache"] {
        let strict = of(&format!("max-age=10, {strict}"));
        assert!(!strict.serves_errors(20_000, true), "{strict:?}");
        assert_eq!(strict.judge(20_000, &stale), Use::Validate);
    }
    assert_eq!(of("no-cache").judge(0, &Asks::default()), Use::Validate);
    assert!(of("s-maxage=10, stale-if-error=60").serves_errors(20_000, true));
    let asks = |asks: Asks| plain.judge(5_000, &asks);
    assert_eq!(asks(Asks { max_age: Some(4), ..Asks::default() }), Use::Validate);
    assert_eq!(asks(Asks { max_age: Some(5), ..Asks::default() }), Use::Fresh);
    assert_eq!(asks(Asks { max_age: Some(0), ..Asks::default() }), Use::Validate);
    assert_eq!(asks(Asks { min_fresh: Some(4), ..Asks::default() }), Use::Fresh);
    assert_eq!(asks(Asks { min_fresh: Some(5), ..Asks::default() }), Use::Validate);
}

/// Pieces of headers, put together at random.
const PIECES: &[&str] = &[
    "max-age",
    "s-maxage",
    "no-cache",
    "no-store",
    "public",
    "private",
    "must-revalidate",
    "stale-if-error",
    "stale-while-revalidate",
    "must-understand",
    "=",
    "=",
    ",",
    ", ",
    "\"",
    "'",
    "\\",
    ";",
    " ",
    "0",
    "5",
    "3600",
    "99999999999999999999",
    "-1",
    "1.5",
    "pando",
    "+",
    "(",
    ")",
    ":",
    "?1",
    "@",
    "%",
    "*",
    "a",
    "Fri, 01 Jan 2038 01:01:01 GMT",
];
const NAMES: &[&str] = &[
    "cache-control",
    "cdn-cache-control",
    "surrogate-control",
    "expires",
    "age",
    "date",
    "last-modified",
    "vary",
    "pragma",
    "etag",
    "set-cookie",
];

#[test]
fn nothing_is_fresh_beyond_what_is_said() {
    let mut random = StdRng::seed_from_u64(7);
    for _ in 0..20_000 {
        let lines: Vec<_> = (0..random.random_range(0..6))
            .map(|_| {
                let name = NAMES[random.random_range(0..NAMES.len())];
                let count = random.random_range(0..8);
                let value: String =
                    (0..count).map(|_| PIECES[random.random_range(0..PIECES.len())]).collect();
                (name, value)
            })
            .collect();
        let headers = headers(&lines);
        let answered = at(random.random_range(0..10));
        let came = Came {
            method: &Method::GET,
            authorized: random.random_bool(0.3),
            status: StatusCode::from_u16(random.random_range(200..600)).unwrap(),
            headers: &headers,
            asked: at(0),
            answered,
        };
        let Ok(kept) = judge(&came, &Rules::default()) else { continue };
        let said = Directives::of(&headers);
        let asks = Asks::of(&headers);
        let freshness = kept.freshness;
        assert!(!said.private && (!said.no_store || said.must_understand), "{lines:?}");
        let mut before = 0;
        for after in [0, 1, 5, 3_600, 1 << 20, 1 << 40] {
            let now = answered + Duration::from_secs(after);
            let age_ms = freshness.age_ms(answered, now);
            assert!(age_ms >= before && age_ms >= after.saturating_mul(1_000), "{lines:?}");
            before = age_ms;
            if freshness.judge(age_ms, &asks) != Use::Fresh {
                continue;
            }
            for most in [said.s_maxage.or(said.max_age)].into_iter().flatten() {
                assert!(age_ms < most * 1_000, "{lines:?} after {after}");
            }
            assert!(!said.no_cache && !asks.no_cache, "{lines:?}");
            assert!(asks.max_age.is_none_or(|most| age_ms <= most * 1_000), "{lines:?}");
        }
    }
}
