//! Records and pages of them, written straight to text with keys in alphabetical order.

use std::fmt::Write;

use app::records::{Expanded, Page, Shown};
use base::Value;
use base::json::{write_number, write_string};
use model::collection::JsonKey;

pub fn write(out: &mut String, shown: &Shown) {
    let collection = &shown.record.collection;
    out.push('{');
    let mut expand_due = shown.expand.as_deref();
    for key in &collection.json_order {
        let name: &str = match key {
            JsonKey::CollectionId => "collectionId",
            JsonKey::CollectionName => "collectionName",
            JsonKey::Field(position) => {
                let field = &collection.fields[*position];
                if field.hidden && !shown.hidden {
                    continue;
                }
                if !shown.email && &*field.name == "email" {
                    continue;
                }
                &field.name
            }
        };
        if name > "expand"
            && let Some(expand) = expand_due.take()
        {
            write_key(out, "expand");
            write_expand(out, expand);
        }
        write_key(out, name);
        match key {
            JsonKey::CollectionId => write_string(out, &collection.id),
            JsonKey::CollectionName => write_string(out, &collection.name),
            // A password that is not hidden shows that it is there, and nothing of it.
            JsonKey::Field(position) if collection.fields[*position].is_secret() => out.push_str("\"\""),
            // A view may join nothing: its rules tell a missing text from an empty one, and records do not.
            JsonKey::Field(position) => match shown.record.row.get(*position) {
                Value::Null => write_value(out, &collection.table.columns[*position].ty.zero()),
                value => write_value(out, value),
            },
        }
    }
    if let Some(expand) = expand_due {
        write_key(out, "expand");
        write_expand(out, expand);
    }
    out.push('}');
}

/// Field names are letters, digits and underscores, so they need no escaping.
fn write_key(out: &mut String, name: &str) {
    out.push_str(if out.ends_with('{') { "\"" } else { ",\"" });
    out.push_str(name);
    out.push_str("\":");
}

fn write_value(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => write_number(out, *number),
        Value::Text(text) => write_string(out, text),
        Value::Json(json) => out.push_str(json),
    }
}

fn write_expand(out: &mut String, expand: &[(String, Expanded)]) {
    out.push('{');
    for (name, expanded) in expand {
        write_key(out, name);
        match expanded {
            Expanded::One(shown) => write(out, shown),
            Expanded::Many(many) => write_list(out, many),
        }
    }
    out.push('}');
}

fn write_list(out: &mut String, items: &[Shown]) {
    out.push('[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(out, item);
    }
    out.push(']');
}

pub fn one(shown: &Shown) -> String {
    let mut out = String::with_capacity(1024);
    write(&mut out, shown);
    out
}

pub fn page(page: &Page) -> String {
    let mut out = String::with_capacity(256 + page.items.len() * 384);
    out.push_str("{\"items\":");
    write_list(&mut out, &page.items);
    page_tail(&mut out, page.page, page.per_page, page.total);
    out
}

/// A page of anything else that is written as text.
pub fn page_with<T>(page: &Page<T>, write: impl Fn(&mut String, &T)) -> String {
    let mut out = String::from("{\"items\":[");
    for (index, item) in page.items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(&mut out, item);
    }
    out.push(']');
    page_tail(&mut out, page.page, page.per_page, page.total);
    out
}

/// The numbers after the items, and the closing brace.
fn page_tail(out: &mut String, page: u64, per_page: u64, total: Option<u64>) {
    let (items, pages) = match total {
        Some(total) => (total as i64, total.div_ceil(per_page.max(1)) as i64),
        None => (-1, -1),
    };
    let _ = write!(
        out,
        ",\"page\":{page},\"perPage\":{per_page},\"totalItems\":{items},\"totalPages\":{pages}}}"
    );
}

/// A page of anything else that is shown as JSON.
pub fn page_of<T>(page: &Page<T>, shown: impl Fn(&T) -> serde_json::Value) -> String {
    page_with(page, |out, item| out.push_str(&shown(item).to_string()))
}

/// A login's answer. `meta` is JSON text, or empty for none.
pub fn with_token(token: &str, shown: &Shown, meta: &str) -> String {
    let mut out = String::with_capacity(1024 + meta.len());
    out.push('{');
    if !meta.is_empty() {
        write_key(&mut out, "meta");
        out.push_str(meta);
    }
    write_key(&mut out, "record");
    write(&mut out, shown);
    out.push_str(",\"token\":");
    write_string(&mut out, token);
    out.push('}');
    out
}
