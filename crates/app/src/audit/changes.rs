//! What differs between before and after, by the paths of what differs, without secrets.

use base::Value;
use base::limits::{AUDIT_CHANGES_BYTES_MAX, AUDIT_DEPTH_MAX, AUDIT_VALUE_BYTES_MAX};
use serde_json::{Map, Value as Json, json};

/// Stands for a secret that is set.
const MASK: &str = "******";
/// Parts of names, in small letters, of what is a secret wherever it stands.
const SECRETS: [&str; 6] = ["password", "secret", "tokenkey", "privatekey", "credential", "authorization"];

pub fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRETS.iter().any(|secret| name.contains(secret))
}

/// Changes that were collected, bounded.
#[derive(Default)]
pub struct Changes {
    found: Map<String, Json>,
    bytes: usize,
}

impl Changes {
    /// Notes what differs at the path. What was not there, or nobody knows, is `None`.
    pub fn add(&mut self, path: &str, secret: bool, before: Option<Json>, after: Option<Json>) {
        self.walk(path, secret, before, after, 0);
    }

    fn walk(&mut self, path: &str, secret: bool, before: Option<Json>, after: Option<Json>, depth: usize) {
        if before == after {
            return;
        }
        let secret = secret || path.rsplit('.').next().is_some_and(is_secret);
        match (before, after) {
            (Some(Json::Object(mut before)), Some(Json::Object(after)))
                if !secret && depth < AUDIT_DEPTH_MAX =>
            {
                for (name, value) in after {
                    self.walk(&format!("{path}.{name}"), false, before.remove(&name), Some(value), depth + 1);
                }
                for (name, value) in before {
                    self.walk(&format!("{path}.{name}"), false, Some(value), None, depth + 1);
                }
            }
            (Some(Json::Array(before)), Some(Json::Array(after)))
                if !secret && depth < AUDIT_DEPTH_MAX && are_named(&before) && are_named(&after) =>
            {
                let mut before: Vec<Json> = before;
                for value in after {
                    let at = before.iter().position(|other| name_of(other) == name_of(&value));
                    let was = at.map(|at| before.remove(at));
                    let label = label_of(&value);
                    self.walk(&format!("{path}.{label}"), false, was, Some(value), depth + 1);
                }
                for value in before {
                    let label = label_of(&value);
                    self.walk(&format!("{path}.{label}"), false, Some(value), None, depth + 1);
                }
            }
            (before, after) => self.put(path, secret, before, after),
        }
    }

    fn put(&mut self, path: &str, secret: bool, before: Option<Json>, after: Option<Json>) {
        let mut change = Map::new();
        for (side, value) in [("before", before), ("after", after)] {
            let Some(value) = value else { continue };
            let shown = if secret { masked(value) } else { cut(without_secrets(value)) };
            change.insert(side.into(), shown);
        }
        let change = Json::Object(change);
        let size = path.len() + change.to_string().len();
        self.bytes += size;
        let kept = if self.bytes <= AUDIT_CHANGES_BYTES_MAX { change } else { json!({"cut": true}) };
        // Names are kept until they alone are too much.
        if self.bytes <= 4 * AUDIT_CHANGES_BYTES_MAX {
            self.found.insert(storable(path.to_owned()), kept);
        }
    }

    pub fn text(self) -> String {
        Json::Object(self.found).to_string()
    }
}

/// Lists whose members have an id or a name are compared by it, such as fields and providers.
fn are_named(items: &[Json]) -> bool {
    items.iter().all(|item| name_of(item).is_some())
}

fn name_of(item: &Json) -> Option<&str> {
    ["id", "name", "label"].iter().find_map(|key| item.get(key)?.as_str())
}

/// What people call it.
fn label_of(item: &Json) -> &str {
    ["name", "label", "id"].iter().find_map(|key| item.get(key)?.as_str()).unwrap_or_default()
}

/// Whether one is set stays to be seen.
fn masked(value: Json) -> Json {
    match value {
        Json::Null => Json::Null,
        Json::String(text) if text.is_empty() => Json::String(text),
        _ => Json::String(MASK.into()),
    }
}

fn without_secrets(value: Json) -> Json {
    match value {
        Json::Object(members) => {
            let member = |(name, value): (String, Json)| {
                let value = if is_secret(&name) { hidden(value) } else { without_secrets(value) };
                (storable(name), value)
            };
            Json::Object(members.into_iter().map(member).collect())
        }
        Json::Array(items) => Json::Array(items.into_iter().map(without_secrets).collect()),
        Json::String(text) => Json::String(storable(text)),
        other => other,
    }
}

/// PostgreSQL has no U+0000 in its texts, and the log may move there: it is shown by its picture.
fn storable(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{2400}") } else { text }
}

/// Of a group that is named like a secret only what is text or a list of it is one, such as a key; a flag or a length is not.
fn hidden(value: Json) -> Json {
    match value {
        Json::Object(_) => without_secrets(value),
        Json::Bool(_) | Json::Number(_) => value,
        other => masked(other),
    }
}

fn cut(value: Json) -> Json {
    let text = value.to_string();
    if text.len() <= AUDIT_VALUE_BYTES_MAX {
        return value;
    }
    let mut end = AUDIT_VALUE_BYTES_MAX;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    Json::String(format!("{}…", &text[..end]))
}

/// A stored value as it is shown.
pub fn shown(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Number(number) => json!(number),
        Value::Text(text) => Json::String(text.to_string()),
        Value::Json(text) => serde_json::from_str(text).unwrap_or_else(|_| Json::String(text.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(before: Json, after: Json) -> Json {
        let mut changes = Changes::default();
        changes.add("x", false, Some(before), Some(after));
        serde_json::from_str(&changes.text()).unwrap()
    }

    #[test]
    fn what_differs_is_named_by_its_path() {
        let told = changes(
            json!({"a": 1, "b": {"c": "x", "d": true}, "gone": 1}),
            json!({"a": 1, "b": {"c": "y", "d": true}, "new": [1]}),
        );
        assert_eq!(
            told,
            json!({"x.b.c": {"before": "x", "after": "y"}, "x.gone": {"before": 1}, "x.new": {"after": [1]}})
        );
        let told = changes(
            json!([{"id": "1", "name": "title", "max": 1}, {"id": "2", "name": "old"}]),
            json!([{"id": "1", "name": "heading", "max": 1}, {"id": "3", "name": "new"}]),
        );
        assert_eq!(
            told,
            json!({
                "x.heading.name": {"before": "title", "after": "heading"},
                "x.new": {"after": {"id": "3", "name": "new"}},
                "x.old": {"before": {"id": "2", "name": "old"}},
            })
        );
    }

    #[test]
    fn secrets_are_masked_wherever_they_stand() {
        let told = changes(
            json!({"smtp": {"password": "hush", "host": "a"}, "s3": {"secret": ""}}),
            json!({"smtp": {"password": "hushhush", "host": "a"}, "s3": {"secret": "shh"}}),
        );
        assert_eq!(
            told,
            json!({
                "x.smtp.password": {"before": "******", "after": "******"},
                "x.s3.secret": {"before": "", "after": "******"},
            })
        );
        let provider = json!([{"name": "google", "clientSecret": "hush"}]);
        let told = changes(json!([]), provider).to_string();
        assert!(!told.contains("hush") && told.contains("google"), "{told}");
        let mut all = Changes::default();
        all.add("tokenKey", true, Some(json!("hush")), Some(json!("other")));
        let told: Json = serde_json::from_str(&all.text()).unwrap();
        assert_eq!(told, json!({"tokenKey": {"before": "******", "after": "******"}}));
    }

    #[test]
    fn any_engine_can_store_an_entry() {
        let told = changes(json!("a"), json!({"b\0": ["c\0"]})).to_string();
        assert!(!told.contains("u0000") && told.contains('\u{2400}'), "{told}");
    }

    #[test]
    fn an_entry_is_bounded() {
        let long = "é".repeat(AUDIT_VALUE_BYTES_MAX);
        let told = changes(json!("a"), json!(long)).to_string();
        assert!(told.len() < 2 * AUDIT_VALUE_BYTES_MAX);
        let mut all = Changes::default();
        for at in 0..10_000 {
            all.add(&format!("field{at}"), false, None, Some(json!("x".repeat(100))));
        }
        assert!(all.text().len() < 8 * AUDIT_CHANGES_BYTES_MAX);
    }
}
