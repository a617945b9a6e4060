//! JSON as the columns hold it, whoever wrote them. Lenient: what is odd becomes the nearest value of the type,
//! never an error.

use base::{Timestamp, Value, json};
use query::{Column, ColumnType, Row};

/// The result columns of a count by the hour.
pub fn hour_columns() -> [Column; 2] {
    [Column::new("hour", ColumnType::Text), Column::new("number", ColumnType::Number)]
}

pub fn hours(rows: &[Row]) -> Vec<(String, u64)> {
    rows.iter().map(|row| (row.get(0).text_or_empty().to_string(), row.get(1).as_number() as u64)).collect()
}

pub fn visit_columns() -> [Column; 3] {
    ["one", "other", "number"].map(|name| Column::new(name, ColumnType::Number))
}

pub fn visits(rows: &[Row]) -> Vec<[i64; 3]> {
    rows.iter().map(|row| [0, 1, 2].map(|at| row.get(at).as_number() as i64)).collect()
}

/// A text as a column of the type holds it.
pub fn text_value(text: &str, ty: ColumnType) -> Value {
    match ty {
        ColumnType::Id | ColumnType::Text => Value::text(text),
        ColumnType::Date => date_text(text),
        ColumnType::Json => json_text(text),
        ColumnType::List => list_text(text),
        ColumnType::Point => point_text(text),
        ColumnType::Dynamic => dynamic_text(text),
        ColumnType::Number => Value::Number(text.trim().parse().unwrap_or(0.0)),
        ColumnType::Bool => {
            Value::Bool(matches!(text.to_ascii_lowercase().as_str(), "1" | "t" | "true" | "yes" | "on"))
        }
    }
}

/// A number where a column of the type is expected.
pub fn number_value(number: f64, ty: ColumnType) -> Value {
    match ty {
        ColumnType::Number | ColumnType::Dynamic => Value::Number(number),
        ColumnType::Bool => Value::Bool(number != 0.0),
        ColumnType::Id | ColumnType::Text => Value::text(json::number_text(number)),
        ColumnType::Json => Value::Json(json::number_text(number).into()),
        // Of another program: the API takes no number for a date.
        ColumnType::Date if number == 0.0 => ty.zero(),
        ColumnType::Date => Value::text(Timestamp((number * 1000.0) as i64).to_string()),
        ColumnType::List => Value::list(&[json::number_text(number)]),
        ColumnType::Point => ty.zero(),
    }
}

/// A JSON column's text. Text that is no JSON becomes a JSON string.
pub fn json_text(text: &str) -> Value {
    if text.is_empty() || text == "null" {
        return Value::Null;
    }
    match compact(text) {
        Some(compacted) => match &*compacted {
            "null" => Value::Null,
            _ => Value::Json(compacted),
        },
        None => {
            let mut out = String::with_capacity(text.len() + 2);
            json::write_string(&mut out, text);
            Value::Json(out.into())
        }
    }
}

/// A list column's text. A text that is no array is a list of one.
pub fn list_text(text: &str) -> Value {
    if text.is_empty() || text == "[]" {
        return ColumnType::List.zero();
    }
    match text.starts_with('[').then(|| compact(text)).flatten() {
        Some(compacted) => Value::Json(compacted),
        None if text == "null" => ColumnType::List.zero(),
        None => Value::list(&[text]),
    }
}

/// A point column's text.
pub fn point_text(text: &str) -> Value {
    #[derive(serde::Deserialize, Default)]
    #[serde(default)]
    struct Point {
        lon: f64,
        lat: f64,
    }
    match serde_json::from_str::<Point>(text) {
        Ok(point) => Value::Json(point_json(point.lon, point.lat).into()),
        Err(_) => ColumnType::Point.zero(),
    }
}

pub fn point_json(lon: f64, lat: f64) -> String {
    let mut out = String::from("{\"lon\":");
    json::write_number(&mut out, lon);
    out.push_str(",\"lat\":");
    json::write_number(&mut out, lat);
    out.push('}');
    out
}

/// A date column's text in the API's form; empty when it is no date.
pub fn date_text(text: &str) -> Value {
    let bytes = text.as_bytes();
    let plain = bytes.len() == base::time::TIMESTAMP_LEN
        && bytes[10] == b' '
        && bytes[23] == b'Z'
        && bytes[19] == b'.'
        && bytes[..4].iter().all(u8::is_ascii_digit);
    if plain || text.is_empty() {
        return Value::text(text);
    }
    Value::text(Timestamp::parse(text).map(|stamp| stamp.to_string()).unwrap_or_default())
}

/// The value of a view's column that may hold anything: JSON where it reads as JSON, else the text.
pub fn dynamic_text(text: &str) -> Value {
    // Most texts are told by their first byte.
    let starts =
        matches!(text.as_bytes().first(), Some(b'{' | b'[' | b'"' | b'-' | b't' | b'f' | b'n' | b'0'..=b'9'));
    match starts.then(|| compact(text)).flatten() {
        Some(compacted) if &*compacted == "null" => Value::Null,
        Some(compacted) => Value::Json(compacted),
        None => Value::text(text),
    }
}

/// The text without blanks between tokens; `None` when it is no JSON.
pub fn compact(text: &str) -> Option<Box<str>> {
    serde_json::from_str::<serde::de::IgnoredAny>(text).ok()?;
    if !text.bytes().any(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t')) {
        return Some(text.into());
    }
    let mut out = Vec::with_capacity(text.len());
    let (mut string, mut escaped) = (false, false);
    for byte in text.bytes() {
        if string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => string = false,
                _ => {}
            }
        } else if matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
            continue;
        } else if byte == b'"' {
            string = true;
        }
        out.push(byte);
    }
    String::from_utf8(out).ok().map(String::into_boxed_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lenient() {
        assert_eq!(json_text(r#"{"a b": [1, "x \" y"]}"#), Value::Json(r#"{"a b":[1,"x \" y"]}"#.into()));
        assert_eq!(json_text("plain"), Value::Json("\"plain\"".into()));
        assert_eq!(json_text(" null "), Value::Null);
        assert_eq!(list_text("one"), Value::Json("[\"one\"]".into()));
        assert_eq!(point_text(r#"{"lat":2,"lon":1.5}"#), Value::Json(r#"{"lon":1.5,"lat":2}"#.into()));
        assert_eq!(date_text("2022-01-01"), Value::text("2022-01-01 00:00:00.000Z"));
        assert_eq!(date_text("never"), Value::text(""));
        assert_eq!(dynamic_text("abc"), Value::text("abc"));
    }
}
