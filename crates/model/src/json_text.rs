//! JSON values as the text that the reference would write.

use base::json::{write_number, write_string};
use serde_json::Value as Json;

/// Compact, with the keys of objects in alphabetical order.
pub fn compact(json: &Json) -> String {
    let mut out = String::new();
    write(&mut out, json, true);
    out
}

/// The form of stored columns: compact, with keys in the order that they are held in. Line separators are not
/// escaped.
pub fn stored(json: &Json) -> String {
    let mut out = String::new();
    write(&mut out, json, false);
    out
}

fn write_stored_string(out: &mut String, text: &str) {
    out.push('"');
    for part in text.split_inclusive(['\u{2028}', '\u{2029}']) {
        let plain = part.trim_end_matches(['\u{2028}', '\u{2029}']);
        let mut quoted = String::with_capacity(plain.len() + 2);
        write_string(&mut quoted, plain);
        out.push_str(&quoted[1..quoted.len() - 1]);
        out.push_str(&part[plain.len()..]);
    }
    out.push('"');
}

fn write(out: &mut String, json: &Json, sorted: bool) {
    match json {
        Json::Null => out.push_str("null"),
        Json::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Json::Number(number) => write_number(out, number.as_f64().unwrap_or_default()),
        Json::String(text) if sorted => write_string(out, text),
        Json::String(text) => write_stored_string(out, text),
        Json::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(out, item, sorted);
            }
            out.push(']');
        }
        Json::Object(object) => {
            let mut entries: Vec<_> = object.iter().collect();
            if sorted {
                entries.sort_by(|left, right| left.0.cmp(right.0));
            }
            out.push('{');
            for (index, (key, value)) in entries.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_string(out, key);
                out.push(':');
                write(out, value, sorted);
            }
            out.push('}');
        }
    }
}
