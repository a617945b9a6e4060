//! Rows out of SQLite, by the type of each column. Other programs may have stored values of another class
//! there: nothing is an error.

use base::{Value, json};
use query::{Column, ColumnType, Row};
use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::connection::prepared;
use crate::engine::decode;
use crate::sql::Statement;

pub fn select(
    connection: &Connection,
    statement: &Statement,
    columns: &[Column],
) -> rusqlite::Result<Vec<Row>> {
    let mut prepared = prepared(connection, statement)?;
    let mut rows = prepared.raw_query();
    let mut out = Vec::new();
    while let Some(row) = rows.next()? {
        let mut values = Vec::with_capacity(columns.len());
        for (index, column) in columns.iter().enumerate() {
            values.push(value(row.get_ref(index)?, column.ty));
        }
        out.push(Row::from(values));
    }
    Ok(out)
}

fn value(raw: ValueRef<'_>, ty: ColumnType) -> Value {
    let raw = match raw {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => return text_value(text, ty),
            Err(_) => return text_value(&String::from_utf8_lossy(bytes), ty),
        },
        raw => raw,
    };
    match (ty, raw) {
        // The rules of `_collections` and columns of views may be null; table columns of these types are not.
        (ColumnType::Id | ColumnType::Text, ValueRef::Null) => Value::Null,
        (_, ValueRef::Null) => ty.zero(),
        (ColumnType::Number, raw) => Value::Number(number(raw)),
        (ColumnType::Bool, raw) => Value::Bool(number(raw) != 0.0),
        (ColumnType::Id | ColumnType::Text, raw) => Value::text(number_text(raw)),
        (ColumnType::Json, raw) => Value::Json(number_text(raw).into()),
        (ColumnType::Dynamic, ValueRef::Integer(number)) if number.unsigned_abs() > 1 << 53 => {
            Value::Json(number.to_string().into())
        }
        (ColumnType::Dynamic, raw) => Value::Number(number(raw)),
        (ColumnType::Date, raw) => decode::date_text(&number_text(raw)),
        (ColumnType::List, raw) => Value::list(&[number_text(raw)]),
        (ColumnType::Point, _) => ty.zero(),
    }
}

fn text_value(text: &str, ty: ColumnType) -> Value {
    match ty {
        ColumnType::Id | ColumnType::Text => Value::text(text),
        ColumnType::Date => decode::date_text(text),
        ColumnType::Json => decode::json_text(text),
        ColumnType::List => decode::list_text(text),
        ColumnType::Point => decode::point_text(text),
        ColumnType::Dynamic => decode::dynamic_text(text),
        ColumnType::Number => Value::Number(text.trim().parse().unwrap_or(0.0)),
        ColumnType::Bool => {
            Value::Bool(matches!(text.to_ascii_lowercase().as_str(), "1" | "t" | "true" | "yes" | "on"))
        }
    }
}

fn number(raw: ValueRef<'_>) -> f64 {
    match raw {
        ValueRef::Integer(number) => number as f64,
        ValueRef::Real(number) => number,
        _ => 0.0,
    }
}

fn number_text(raw: ValueRef<'_>) -> String {
    match raw {
        ValueRef::Integer(number) => number.to_string(),
        raw => json::number_text(number(raw)),
    }
}
