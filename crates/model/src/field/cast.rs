//! How any JSON input becomes text, a number, a boolean or a list.

use base::Value;
use serde_json::Value as Json;

/// Text of a scalar; lists and objects have none. Numbers are written without an exponent.
pub fn text(input: &Json) -> String {
    scalar(input).unwrap_or_default()
}

fn scalar(input: &Json) -> Option<String> {
    match input {
        Json::Null => Some(String::new()),
        Json::Bool(value) => Some(value.to_string()),
        Json::Number(number) => Some(plain_number(number.as_f64().unwrap_or_default())),
        Json::String(text) => Some(text.clone()),
        Json::Array(_) | Json::Object(_) => None,
    }
}

/// All digits, however large or small the number is.
pub fn plain_number(number: f64) -> String {
    // Rust's own `Display` is the shortest text that reads back equal, and never has an exponent.
    format!("{number}")
}

/// Text that is no number counts as 0, but `NaN` and `Inf` stay what they are, to be refused later.
pub fn number(input: &Json) -> f64 {
    match input {
        Json::Bool(true) => 1.0,
        Json::Number(number) => number.as_f64().unwrap_or_default(),
        Json::String(text) => parse_number(text).unwrap_or_default(),
        _ => 0.0,
    }
}

fn parse_number(text: &str) -> Option<f64> {
    if text.contains('_') {
        return text.replace('_', "").parse().ok();
    }
    text.parse().ok()
}

pub fn bool(input: &Json) -> bool {
    match input {
        Json::Bool(value) => *value,
        Json::Number(number) => number.as_f64().is_some_and(|number| number != 0.0),
        Json::String(text) => matches!(text.as_str(), "1" | "t" | "T" | "true" | "TRUE" | "True"),
        _ => false,
    }
}

/// Texts without repetitions and empty ones. A text that is a JSON array counts as that array; any other scalar
/// is a list of one. A list with an element that has no text is refused whole, as an empty one.
pub fn list(input: &Json) -> Vec<String> {
    let items = match input {
        Json::Array(items) => items.iter().map(scalar).collect::<Option<Vec<_>>>().unwrap_or_default(),
        Json::String(text) if text.starts_with('[') => match serde_json::from_str::<Vec<Json>>(text) {
            Ok(items) => items.iter().map(scalar).collect::<Option<Vec<_>>>().unwrap_or_default(),
            Err(_) => vec![text.clone()],
        },
        other => scalar(other).into_iter().collect(),
    };
    unique(items)
}

/// The first of equal texts, and none that are empty.
pub fn unique(items: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::with_capacity(items.len());
    for item in items {
        if !item.is_empty() && !kept.contains(&item) {
            kept.push(item);
        }
    }
    kept
}

/// The stored form of a list: an array when the field takes several, else the last item.
pub fn listed(mut items: Vec<String>, multiple: bool) -> Value {
    if multiple { Value::list(&items) } else { Value::text(items.pop().unwrap_or_default()) }
}

/// Appends, prepends or removes items of a list value.
pub fn modify_list(
    modifier: super::Modifier,
    current: &Value,
    input: &Json,
    multiple: bool,
) -> Option<Value> {
    let current = current.to_list();
    let given = list(input);
    let items = match modifier {
        super::Modifier::Append => unique(current.into_iter().chain(given).collect()),
        super::Modifier::Prepend => unique(given.into_iter().chain(current).collect()),
        super::Modifier::Remove => current.into_iter().filter(|item| !given.contains(item)).collect(),
        super::Modifier::Autogenerate => return None,
    };
    Some(listed(items, multiple))
}

/// The API's form of a date; empty when the input is none.
pub fn date(input: &Json) -> Value {
    let stamp = input.as_str().and_then(base::Timestamp::parse);
    Value::text(stamp.map(|stamp| stamp.to_string()).unwrap_or_default())
}

/// A point from an object or from the text of one; what is missing or no number is 0.
pub fn point(input: &Json) -> Value {
    let parsed;
    let object = match input {
        Json::Object(object) => Some(object),
        Json::String(text) => {
            parsed = serde_json::from_str::<Json>(text).unwrap_or_default();
            parsed.as_object()
        }
        _ => None,
    };
    let part =
        |key: &str| object.and_then(|object| object.get(key)).and_then(Json::as_f64).unwrap_or_default();
    let mut out = String::from(r#"{"lon":"#);
    base::json::write_number(&mut out, part("lon"));
    out.push_str(r#","lat":"#);
    base::json::write_number(&mut out, part("lat"));
    out.push('}');
    Value::Json(out.into())
}

/// Compact JSON text. A text that is itself a JSON value other than a bare word stands for that value.
pub fn json(input: &Json) -> Value {
    if let Json::String(text) = input
        && looks_like_json(text)
        && let Ok(raw) = serde_json::from_str::<Box<serde_json::value::RawValue>>(text)
    {
        return if raw.get() == "null" { Value::Null } else { Value::Json(raw.get().into()) };
    }
    match input {
        Json::Null => Value::Null,
        other => Value::Json(crate::json_text::compact(other).into()),
    }
}

fn looks_like_json(text: &str) -> bool {
    matches!(text, "true" | "false" | "null")
        || text.starts_with(['{', '[', '"', '-']) | text.starts_with(|first: char| first.is_ascii_digit())
}
