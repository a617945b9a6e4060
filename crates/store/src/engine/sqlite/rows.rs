//! Rows out of SQLite, by the type of each column. Other programs may have stored values of another class
//! there: nothing is an error.

use base::Value;
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

pub(super) fn value(raw: ValueRef<'_>, ty: ColumnType) -> Value {
    match raw {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => decode::text_value(text, ty),
            Err(_) => decode::text_value(&String::from_utf8_lossy(bytes), ty),
        },
        // The rules of `_collections` and columns of views may be null; table columns of these types are not.
        ValueRef::Null if matches!(ty, ColumnType::Id | ColumnType::Text) => Value::Null,
        ValueRef::Null => ty.zero(),
        ValueRef::Real(number) => decode::number_value(number, ty),
        ValueRef::Integer(number) => match ty {
            ColumnType::Number => Value::Number(number as f64),
            ColumnType::Bool => Value::Bool(number != 0),
            // Doubles cannot hold it.
            ty if number.unsigned_abs() > 1 << 53 => integer(number, ty),
            ty => decode::number_value(number as f64, ty),
        },
    }
}

fn integer(number: i64, ty: ColumnType) -> Value {
    match ty {
        ColumnType::Json | ColumnType::Dynamic => Value::Json(number.to_string().into()),
        ColumnType::Point => ty.zero(),
        ty => decode::text_value(&number.to_string(), ty),
    }
}
