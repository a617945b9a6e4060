//! Compares two answers and says where they differ. What a server makes up itself (ids, times, tokens, random
//! suffixes) may differ in value, not in identity: once an id of one side has met an id of the other, the two
//! stand for each other for the rest of the run, in both directions.

use std::collections::HashMap;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use regex::Regex;
use serde_json::Value;

/// Where two answers differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// A path like `/items/0/name`.
    pub path: String,
    pub expected: String,
    pub actual: String,
}

/// Which made-up values of one side stand for which of the other.
#[derive(Clone, Debug, Default)]
pub struct Bindings {
    forward: HashMap<String, String>,
    backward: HashMap<String, String>,
}

/// Texts that are the server's own words: they must be there, and may read as they like.
const OWN_WORDS: &[&str] =
    &["emailTemplate", "verificationTemplate", "resetPasswordTemplate", "confirmEmailChangeTemplate"];

/// How far apart two readings of the clock may be, in seconds.
const CLOCK_SECONDS_MAX: i64 = 600;

static PARTS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?P<jwt>eyJ[\w-]+\.[\w-]+\.[\w-]+)",
        r"|(?P<time>\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?Z?)",
        r"|(?P<collection>pbc_\d+)",
        r"|(?P<raw>(?s:Raw error:.*|Invalid query - .*|Failed to create index \S+ - .*)$)",
        r"|(?P<clone>_clone_\w{4})",
        r#"|(?P<example>ex\.: "[^"]*")"#,
        r"|(?P<stored>[a-z0-9]{10}_[a-z0-9]{10}\b)",
        r"|(?P<challenge>code_challenge=[\w-]{43}|^[\w-]{43}$)",
        r"|(?P<suffix>_[a-zA-Z0-9]{10}\b)",
        r"|(?P<random>\b[a-zA-Z0-9]{30,}\b)",
        r"|(?P<field>\b(?:text|number|bool|email|url|editor|date|autodate|select|file|relation|json|password|geoPoint)\d{5,}\b)",
        r"|(?P<id>\b[a-z0-9]{15}\b)",
    ))
    .expect("the pattern compiles")
});
const KINDS: &[&str] = &[
    "jwt",
    "time",
    "collection",
    "raw",
    "clone",
    "example",
    "stored",
    "challenge",
    "suffix",
    "random",
    "field",
    "id",
];

impl Bindings {
    /// All differences between two JSON values; what was learned of made-up values stays in `self` only when
    /// there is none, so that one wrong answer does not spoil the comparison of the following ones.
    pub fn compare(&mut self, expected: &Value, actual: &Value) -> Vec<Difference> {
        let mut trial = self.clone();
        let mut found = Vec::new();
        trial.values("", expected, actual, &mut found);
        if found.is_empty() {
            *self = trial;
        }
        found
    }

    fn values(&mut self, path: &str, expected: &Value, actual: &Value, found: &mut Vec<Difference>) {
        match (expected, actual) {
            (Value::Object(e), Value::Object(a)) => {
                let own = path.rsplit('/').next().is_some_and(|key| OWN_WORDS.contains(&key));
                for (key, e) in e {
                    let path = format!("{path}/{key}");
                    match a.get(key) {
                        Some(a) if own && e.is_string() && same_emptiness(e, a) => {}
                        Some(a) => self.values(&path, e, a, found),
                        None => found.push(Difference::new(&path, e.to_string(), "(absent)")),
                    }
                }
                for (key, a) in a.iter().filter(|(key, _)| !e.contains_key(*key)) {
                    found.push(Difference::new(&format!("{path}/{key}"), "(absent)", a.to_string()));
                }
            }
            (Value::Array(e), Value::Array(a)) => {
                if e.len() != a.len() {
                    let (e, a) = (format!("{} items", e.len()), format!("{} items", a.len()));
                    found.push(Difference::new(path, e, a));
                }
                for (i, (e, a)) in e.iter().zip(a).enumerate() {
                    self.values(&format!("{path}/{i}"), e, a, found);
                }
            }
            (Value::String(e), Value::String(a)) => {
                if !self.texts(e, a) {
                    found.push(Difference::new(path, expected.to_string(), actual.to_string()));
                }
            }
            // By value: how a number is written is not compared where a client cannot tell.
            (Value::Number(e), Value::Number(a))
                if e.as_f64() == a.as_f64() && (e.is_f64() || a.is_f64()) => {}
            _ if expected == actual => {}
            _ => found.push(Difference::new(path, expected.to_string(), actual.to_string())),
        }
    }

    /// Whether two texts are the same but for made-up parts.
    pub fn texts(&mut self, expected: &str, actual: &str) -> bool {
        if expected == actual {
            return true;
        }
        let (e, a) = (split(expected), split(actual));
        e.len() == a.len() && e.iter().zip(&a).all(|(e, a)| e.0 == a.0 && self.part(e.0, e.1, a.1))
    }

    fn part(&mut self, kind: &str, expected: &str, actual: &str) -> bool {
        if kind == "time" {
            return expected == actual || (is_now(expected) && is_now(actual));
        }
        if kind == "jwt" {
            return self.tokens(expected, actual);
        }
        // Made anew at each request, so that not even identity is kept; or the words of a parser or an engine.
        if matches!(kind, "clone" | "example" | "raw") {
            return true;
        }
        if kind.is_empty() {
            return expected == actual;
        }
        if expected == actual && !self.forward.contains_key(expected) && !self.backward.contains_key(actual) {
            return true;
        }
        match (self.forward.get(expected), self.backward.get(actual)) {
            (None, None) => {
                self.forward.insert(expected.into(), actual.into());
                self.backward.insert(actual.into(), expected.into());
                true
            }
            (Some(a), Some(e)) => a == actual && e == expected,
            _ => false,
        }
    }

    /// Two tokens say the same when header and claims do; the signature is each server's own.
    fn tokens(&mut self, expected: &str, actual: &str) -> bool {
        let parts = |token: &str, n: usize| -> Option<Value> {
            let bytes = URL_SAFE_NO_PAD.decode(token.split('.').nth(n)?).ok()?;
            serde_json::from_slice(&bytes).ok()
        };
        (0..2).all(|n| match (parts(expected, n), parts(actual, n)) {
            (Some(mut e), Some(mut a)) => {
                let times = (e.get("exp").and_then(Value::as_i64), a.get("exp").and_then(Value::as_i64));
                if let (Some(te), Some(ta)) = times
                    && (te - ta).abs() <= CLOCK_SECONDS_MAX
                {
                    e["exp"] = Value::Null;
                    a["exp"] = Value::Null;
                }
                let mut found = Vec::new();
                self.values("", &e, &a, &mut found);
                found.is_empty()
            }
            _ => false,
        })
    }
}

impl Difference {
    pub fn new(path: &str, expected: impl Into<String>, actual: impl Into<String>) -> Difference {
        let path = if path.is_empty() { "/" } else { path };
        Difference { path: path.into(), expected: expected.into(), actual: actual.into() }
    }
}

fn same_emptiness(a: &Value, b: &Value) -> bool {
    b.as_str().is_some_and(|b| b.is_empty() == a.as_str().is_some_and(str::is_empty))
}

/// A text as a row of (kind of made-up part, or empty for what is literal; the piece).
fn split(text: &str) -> Vec<(&'static str, &str)> {
    let mut pieces = Vec::new();
    let mut from = 0;
    for found in PARTS.captures_iter(text) {
        let Some((kind, part)) = KINDS.iter().find_map(|k| Some((*k, found.name(k)?))) else { continue };
        if part.start() > from {
            pieces.push(("", &text[from..part.start()]));
        }
        pieces.push((kind, part.as_str()));
        from = part.end();
    }
    if from < text.len() {
        pieces.push(("", &text[from..]));
    }
    pieces
}

/// Whether a time is about now: then it is a reading of the clock. Other times are data and compare exactly.
fn is_now(text: &str) -> bool {
    let text = text.trim_end_matches('Z').replace(' ', "T") + "Z";
    text.parse::<jiff::Timestamp>()
        .is_ok_and(|t| (t.as_second() - jiff::Timestamp::now().as_second()).abs() <= CLOCK_SECONDS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn differs(e: Value, a: Value) -> usize {
        Bindings::default().compare(&e, &a).len()
    }

    #[test]
    fn made_up_values_may_differ() {
        assert_eq!(differs(json!({"id": "abc123def456ghi"}), json!({"id": "zzz123def456ghi"})), 0);
        assert_eq!(
            differs(json!("CREATE INDEX `idx_AbCdEfGhIj`"), json!("CREATE INDEX `idx_0123456789`")),
            0
        );
        assert_eq!(differs(json!("pbc_123"), json!("pbc_4567")), 0);
    }

    #[test]
    fn identity_is_kept_in_both_directions() {
        let mut b = Bindings::default();
        assert!(b.compare(&json!("abc123def456ghi"), &json!("zzz123def456ghi")).is_empty());
        assert!(b.compare(&json!("abc123def456ghi"), &json!("zzz123def456ghi")).is_empty());
        assert_eq!(b.compare(&json!("abc123def456ghi"), &json!("yyy123def456ghi")).len(), 1);
        assert_eq!(b.compare(&json!("bbb123def456ghi"), &json!("zzz123def456ghi")).len(), 1);
    }

    #[test]
    fn a_differing_answer_teaches_nothing() {
        let mut b = Bindings::default();
        let (e, a) = (json!(["abc123def456ghi", 1]), json!(["zzz123def456ghi", 2]));
        assert_eq!(b.compare(&e, &a).len(), 1);
        assert!(b.compare(&json!("abc123def456ghi"), &json!("yyy123def456ghi")).is_empty());
    }

    #[test]
    fn planted_differences_are_found() {
        assert_eq!(differs(json!({"a": 1}), json!({"a": 1.5})), 1);
        assert_eq!(differs(json!({"a": 1}), json!({})), 1);
        assert_eq!(differs(json!({}), json!({"a": 1})), 1);
        assert_eq!(differs(json!([1, 2]), json!([1])), 1);
        assert_eq!(differs(json!(null), json!("")), 1);
        assert_eq!(differs(json!("2020-01-01 00:00:00.000Z"), json!("2020-01-01 00:00:00.001Z")), 1);
        assert_eq!(differs(json!("abc123def456ghi"), json!("abc")), 1);
        assert_eq!(
            differs(
                json!({"verificationTemplate": {"subject": "a"}}),
                json!({"verificationTemplate": {"subject": ""}})
            ),
            1
        );
    }

    #[test]
    fn numbers_are_compared_by_value() {
        assert_eq!(differs(json!(1e5), json!(100_000)), 0);
        assert_eq!(differs(json!(-0.0), json!(0)), 0);
        assert_eq!(differs(json!(9_007_199_254_740_993_i64), json!(9_007_199_254_740_992_i64)), 1);
    }

    #[test]
    fn own_words_may_differ() {
        let of = |s: &str| json!({"verificationTemplate": {"subject": s, "body": s}});
        assert_eq!(differs(of("Verify"), of("Please verify")), 0);
    }

    #[test]
    fn tokens_are_compared_by_their_claims() {
        let token = |claims: Value| {
            let head = URL_SAFE_NO_PAD.encode(json!({"alg": "HS256", "typ": "JWT"}).to_string());
            json!(format!("{head}.{}.c2lnbmF0dXJl", URL_SAFE_NO_PAD.encode(claims.to_string())))
        };
        let e = token(json!({"exp": 1000, "type": "auth"}));
        assert_eq!(differs(e.clone(), token(json!({"exp": 1100, "type": "auth"}))), 0);
        assert_eq!(differs(e.clone(), token(json!({"exp": 1100, "type": "file"}))), 1);
        assert_eq!(differs(e, token(json!({"exp": 9000, "type": "auth"}))), 1);
    }
}
