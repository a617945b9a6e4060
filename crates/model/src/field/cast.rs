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
    let joined;
    let plain = if text.contains('_') {
        // Underscores may only stand between digits.
        let separated = text.split('_').all(|part| !part.is_empty());
        joined = text.replace('_', "");
        if separated { joined.as_str() } else { return None }
    } else {
        text
    };
    if let Some(number) = parse_hexadecimal(plain) {
        return Some(number);
    }
    let number: f64 = plain.parse().ok()?;
    // Digits that overflow are no number; the word for infinity is one, to be refused later.
    (number.is_finite() || !plain.bytes().any(|byte| byte.is_ascii_digit())).then_some(number)
}

/// `0x1.8p4`: hexadecimal digits times a power of two, which must be given.
fn parse_hexadecimal(text: &str) -> Option<f64> {
    let (sign, text) = text.strip_prefix('-').map_or((1.0, text), |text| (-1.0, text));
    let text = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?;
    let (digits, power) = text.split_once(['p', 'P'])?;
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let mut number = 0.0;
    for digit in whole.chars().chain(fraction.chars()) {
        number = number * 16.0 + f64::from(digit.to_digit(16)?);
    }
    let power: i32 = power.parse().ok()?;
    let shift = i32::try_from(fraction.len()).ok()?.checked_mul(4)?;
    let number = sign * number * 2f64.powi(power.checked_sub(shift)?);
    (number.is_finite() && !digits.is_empty()).then_some(number)
}

pub fn bool(input: &Json) -> bool {
    match input {
        Json::Bool(value) => *value,
        Json::Number(number) => number.as_f64().is_some_and(|number| number != 0.0),
        Json::String(text) => matches!(text.as_str(), "1" | "t" | "T" | "true" | "TRUE" | "True"),
        _ => false,
    }
}

/// Texts without repetitions and empty ones. A text that is a JSON array of texts counts as that array; any other
/// scalar is a list of one. A list with an element that has no text is refused whole, as an empty one.
pub fn list(input: &Json) -> Vec<String> {
    let items = match input {
        Json::Array(items) => items.iter().map(scalar).collect::<Option<Vec<_>>>().unwrap_or_default(),
        Json::String(text) if text.starts_with('[') => {
            match serde_json::from_str::<Vec<Option<String>>>(text) {
                Ok(items) => items.into_iter().flatten().collect(),
                Err(_) => vec![text.clone()],
            }
        }
        other => scalar(other).into_iter().collect(),
    };
    unique(items)
}

/// Like [`list`], but takes inner lists apart and leaves out only the elements that have no text.
pub fn file_names(input: &Json) -> Vec<String> {
    fn flatten(input: &Json, out: &mut Vec<String>) {
        match input {
            Json::Array(items) => items.iter().for_each(|item| flatten(item, out)),
            other => out.extend(scalar(other)),
        }
    }
    let mut items = Vec::new();
    if let Json::String(text) = input
        && text.starts_with('[')
        && let Ok(parsed) = serde_json::from_str::<Vec<Json>>(text)
    {
        items.extend(parsed.iter().filter_map(Json::as_str).map(str::to_owned));
    }
    if items.is_empty() {
        flatten(input, &mut items);
    }
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
    let stamp =
        input.as_str().and_then(base::Timestamp::parse).filter(|stamp| *stamp != base::Timestamp::NONE);
    Value::text(stamp.map(|stamp| stamp.to_string()).unwrap_or_default())
}

/// A point from an object or from the text of one; what is missing is 0. An object that holds something else than
/// numbers is refused whole, a text only in part.
pub fn point(input: &Json) -> Value {
    let parsed;
    let object = match input {
        Json::Object(object) => {
            let fits = |key: &str| object.get(key).is_none_or(|part| part.is_number() || part.is_null());
            (fits("lon") && fits("lat")).then_some(object)
        }
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

/// Compact JSON text. A text that is itself JSON stands for that value; numbers out of range stay text, to be
/// refused later.
pub fn json(input: &Json) -> Value {
    if let Json::String(text) = input
        && looks_like_json(text)
        && let Ok(raw) = serde_json::from_str::<Box<serde_json::value::RawValue>>(text)
    {
        return match serde_json::from_str::<Json>(raw.get()) {
            Err(_) => Value::text(text.as_str()),
            Ok(Json::Null) => Value::Null,
            // A column of the reference keeps the number and not its spelling.
            Ok(Json::Number(number)) => {
                let number = number.as_f64().unwrap_or_default() + 0.0;
                Value::Json(base::json::number_text(number).into())
            }
            Ok(_) => Value::Json(squeeze(raw.get()).into()),
        };
    }
    match input {
        Json::Null => Value::Null,
        other => Value::Json(crate::json_text::compact(other).into()),
    }
}

/// JSON without the white space between its tokens, otherwise untouched.
fn squeeze(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let (mut inside, mut escaped) = (false, false);
    for letter in json.chars() {
        if inside || !letter.is_ascii_whitespace() {
            out.push(letter);
        }
        if escaped {
            escaped = false;
        } else if inside && letter == '\\' {
            escaped = true;
        } else if letter == '"' {
            inside = !inside;
        }
    }
    out
}

fn looks_like_json(text: &str) -> bool {
    matches!(text, "true" | "false" | "null")
        || text.starts_with(['{', '[', '"', '-'])
        || text.starts_with(|first: char| first.is_ascii_digit())
}
