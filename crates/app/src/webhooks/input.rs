//! What a superuser says of a webhook, laid over what it was and judged.

use std::collections::BTreeMap;

use base::limits::{
    FILTER_BYTES_MAX, WEBHOOK_COLLECTIONS_MAX, WEBHOOK_HEADER_BYTES_MAX, WEBHOOK_HEADERS_MAX,
    WEBHOOK_NAME_CHARS_MAX, WEBHOOK_SECRET_BYTES_MAX, WEBHOOK_SECRET_BYTES_MIN, WEBHOOK_URL_BYTES_MAX,
};
use model::{Violation, Violations};
use serde_json::{Map, Value as Json};
use url::Url;

use super::definition::{Action, Webhook};
use super::secret::Secret;
use crate::rules::Context;

/// What the delivery itself sets, or what is of one connection only.
const RESERVED: [&str; 12] = [
    "host",
    "connection",
    "content-length",
    "content-type",
    "expect",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-request-id",
];
/// Headers of the specification.
const RESERVED_PREFIX: &str = "webhook-";

fn invalid(message: impl Into<String>) -> Violation {
    Violation::new("validation_invalid_value", message)
}

/// Lays the body over the webhook. What it does not name stays as it is.
pub(super) fn apply(cx: &Context<'_>, webhook: &mut Webhook, body: &Map<String, Json>) -> Violations {
    let mut violations = Violations::default();
    let mut wrong = |key: &str, violation| violations.add(key, violation);
    for (key, target) in
        [("name", &mut webhook.name), ("url", &mut webhook.url), ("filter", &mut webhook.filter)]
    {
        match body.get(key) {
            None => {}
            Some(Json::Null) => target.clear(),
            Some(Json::String(text)) => *target = text.trim().to_owned(),
            Some(_) => wrong(key, invalid("Must be a text.")),
        }
    }
    match body.get("enabled") {
        None => {}
        Some(Json::Bool(enabled)) => {
            if *enabled && !webhook.enabled {
                // Whoever switches it on again has seen why it was off.
                webhook.failing = 0;
            }
            webhook.enabled = *enabled;
            webhook.disabled_reason.clear();
        }
        Some(_) => wrong("enabled", invalid("Must be true or false.")),
    }
    if let Some(given) = body.get("collections") {
        match texts(given) {
            None => wrong("collections", invalid("Must be a list of collections.")),
            Some(names) => {
                webhook.collections.clear();
                for name in names {
                    let found = cx.schema.find(&name).filter(|found| !found.is_view());
                    match found {
                        Some(found) if webhook.collections.iter().any(|id| **id == *found.id) => {}
                        Some(found) => webhook.collections.push(found.id.to_string()),
                        None => {
                            let message = format!("{name:?} is no collection with records of its own.");
                            wrong("collections", Violation::new("validation_missing_collection", message));
                        }
                    }
                }
            }
        }
    }
    if let Some(given) = body.get("events") {
        match texts(given) {
            None => wrong("events", invalid("Must be a list of events.")),
            Some(names) => {
                let all = names.iter().all(|name| Action::ALL.iter().any(|action| action.name() == name));
                if !all {
                    wrong("events", Violation::unknown_choice());
                }
                let chosen = |action: &Action| names.iter().any(|name| name == action.name());
                webhook.events = Action::ALL.into_iter().filter(chosen).collect();
            }
        }
    }
    match body.get("headers") {
        None => {}
        Some(Json::Null) => webhook.headers.clear(),
        Some(Json::Object(given)) => {
            let texts = given.iter().map(|(name, value)| {
                Some((name.trim().to_ascii_lowercase(), value.as_str()?.trim().to_owned()))
            });
            match texts.collect::<Option<BTreeMap<_, _>>>() {
                Some(headers) => webhook.headers = headers,
                None => wrong("headers", invalid("Every header must be a text.")),
            }
        }
        Some(_) => wrong("headers", invalid("Must be an object of texts.")),
    }
    violations.merge(judge(cx, webhook));
    violations
}

/// A list of texts, or one.
fn texts(given: &Json) -> Option<Vec<String>> {
    match given {
        Json::Null => Some(Vec::new()),
        Json::String(text) if text.is_empty() => Some(Vec::new()),
        Json::String(text) => Some(vec![text.clone()]),
        Json::Array(items) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

fn judge(cx: &Context<'_>, webhook: &Webhook) -> Violations {
    let mut violations = Violations::default();
    if webhook.name.chars().count() > WEBHOOK_NAME_CHARS_MAX {
        violations.add("name", Violation::length(0, WEBHOOK_NAME_CHARS_MAX));
    }
    if webhook.url.is_empty() {
        violations.add("url", Violation::required());
    } else if let Some(why) = url_problem(&webhook.url, cx.parts.fetch.allows_private()) {
        violations.add("url", Violation::new("validation_is_url", why));
    }
    if webhook.collections.is_empty() {
        violations.add("collections", Violation::required());
    } else if webhook.collections.len() > WEBHOOK_COLLECTIONS_MAX {
        violations.add("collections", Violation::length(1, WEBHOOK_COLLECTIONS_MAX));
    }
    if webhook.events.is_empty() {
        violations.add("events", Violation::required());
    }
    if let Some(why) = filter_problem(cx, &webhook.filter, &webhook.collections) {
        violations.add("filter", Violation::new("validation_invalid_filter", why));
    }
    if webhook.headers.len() > WEBHOOK_HEADERS_MAX {
        violations.add("headers", Violation::length(0, WEBHOOK_HEADERS_MAX));
    }
    let mut headers = Violations::default();
    for (name, value) in &webhook.headers {
        if let Some(why) = header_problem(name, value) {
            headers.add(name.as_str(), invalid(why));
        }
    }
    violations.nest("headers", headers);
    violations
}

pub(crate) fn url_problem(text: &str, allows_private: bool) -> Option<&'static str> {
    if text.len() > WEBHOOK_URL_BYTES_MAX {
        return Some("Must be shorter.");
    }
    let Ok(url) = Url::parse(text) else { return Some("Must be a valid URL.") };
    if !url.username().is_empty() || url.password().is_some() {
        return Some("Must not hold credentials: a header can.");
    }
    match url.scheme() {
        "https" if url.has_host() => None,
        // What may lead into the own network may also be without certificates.
        "http" if url.has_host() && allows_private => None,
        "http" => Some("Must begin with https://."),
        _ => Some("Must be a valid URL."),
    }
}

fn filter_problem(cx: &Context<'_>, filter: &str, collections: &[String]) -> Option<String> {
    if filter.len() > FILTER_BYTES_MAX {
        return Some("Must be shorter.".into());
    }
    if filter.contains("@request.") {
        return Some("Nobody's request is known when a webhook is judged.".into());
    }
    for id in collections {
        let Some(collection) = cx.schema.by_id(id) else { continue };
        if let Err(error) = cx.rule(collection, filter) {
            let why = error.details.unwrap_or(error.message);
            return Some(model::violation::sentence(&format!("{}: {why}", collection.name)));
        }
    }
    None
}

fn header_problem(name: &str, value: &str) -> Option<&'static str> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Some("Is no name of a header.");
    }
    if RESERVED.contains(&name) || name.starts_with(RESERVED_PREFIX) {
        return Some("Is set by the delivery itself.");
    }
    if name.len().max(value.len()) > WEBHOOK_HEADER_BYTES_MAX {
        return Some("Must be shorter.");
    }
    let is_plain = |byte: u8| byte == b'\t' || (b' '..=b'~').contains(&byte);
    (!value.bytes().all(is_plain)).then_some("Must be of plain ASCII letters.")
}

/// A secret that the caller chose; `None` when one is to be made.
pub(super) fn secret(body: &Map<String, Json>) -> Result<Option<Secret>, Violations> {
    match body.get("secret") {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) if text.is_empty() => Ok(None),
        Some(Json::String(text)) if Secret::read(text).is_some() => Ok(Secret::read(text)),
        Some(_) => {
            let message = format!(
                "Must be whsec_ and {WEBHOOK_SECRET_BYTES_MIN} to {WEBHOOK_SECRET_BYTES_MAX} bytes in Base64."
            );
            Err(Violations::one("secret", invalid(message)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_judged() {
        for (text, public, private) in [
            ("https://example.com/hook?a=1", true, true),
            ("http://example.com/hook", false, true),
            ("https://user:pass@example.com", false, false),
            ("ftp://example.com", false, false),
            ("example.com", false, false),
            ("https://", false, false),
        ] {
            assert_eq!(url_problem(text, false).is_none(), public, "{text}");
            assert_eq!(url_problem(text, true).is_none(), private, "{text}");
        }
    }

    #[test]
    fn headers_are_judged() {
        for (name, value, good) in [
            ("authorization", "Bearer x", true),
            ("x-a", "", true),
            ("webhook-id", "x", false),
            ("host", "x", false),
            ("a b", "x", false),
            ("x-a", "a\r\nb: c", false),
            ("", "x", false),
        ] {
            assert_eq!(header_problem(name, value).is_none(), good, "{name}: {value:?}");
        }
    }
}
