//! What a table looks like, free of any engine.

use base::{Name, Value};

/// How a column stores its values. Engines choose native types from this; results are equal on all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ColumnType {
    /// The record id: text, the primary key.
    Id,
    /// Text, `''` when unset, compared by bytes.
    Text,
    /// A double, `0` when unset.
    Number,
    /// `false` when unset.
    Bool,
    /// A point in time with milliseconds. `Value::Text` in the form of `base::Timestamp`, `''` when unset.
    Date,
    /// Any JSON, `Value::Null` when unset. Key order and number spelling are kept.
    Json,
    /// A JSON array of strings, `[]` when unset.
    List,
    /// `{"lon":0,"lat":0}`, with these keys in this order.
    Point,
    /// A column of a view whose origin is unknown: whatever the engine yields, read as JSON.
    Dynamic,
}

impl ColumnType {
    /// The value of a column that was never set.
    pub fn zero(self) -> Value {
        match self {
            ColumnType::Id | ColumnType::Text | ColumnType::Date => Value::Text("".into()),
            ColumnType::Number => Value::Number(0.0),
            ColumnType::Bool => Value::Bool(false),
            ColumnType::Json | ColumnType::Dynamic => Value::Null,
            ColumnType::List => Value::Json("[]".into()),
            ColumnType::Point => Value::Json(r#"{"lon":0,"lat":0}"#.into()),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Column {
    pub name: Name,
    pub ty: ColumnType,
}

impl Column {
    pub fn new(name: impl Into<Name>, ty: ColumnType) -> Self {
        Column { name: name.into(), ty }
    }
}

/// A table's name and columns, in the order in which rows carry them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    pub name: Name,
    pub columns: Vec<Column>,
}

impl Table {
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| &*column.name == name)
    }

    pub fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| &*column.name == name)
    }
}
