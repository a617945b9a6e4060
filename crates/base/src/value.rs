//! The one scalar type that travels between model, store and web.

use std::sync::Arc;

/// A table, column, collection or field name. Shared, because every row and query repeats it.
pub type Name = Arc<str>;

/// A stored or bound value.
///
/// The mapping to columns is `query::ColumnType`'s: dates are `Text` in the form of [`crate::Timestamp`]
/// (empty when unset), lists, objects and points are `Json` text exactly as the API returns it.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Value {
    #[default]
    Null,
    Bool(bool),
    /// All numbers are IEEE doubles, as in JSON and in the reference.
    Number(f64),
    Text(Box<str>),
    /// Compact JSON text. It is valid JSON by construction.
    Json(Box<str>),
}

impl Value {
    pub fn text(text: impl Into<Box<str>>) -> Self {
        Value::Text(text.into())
    }

    /// Encodes strings as a JSON array.
    pub fn list<S: AsRef<str>>(items: &[S]) -> Self {
        let mut out = String::with_capacity(2 + items.len() * 18);
        out.push('[');
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            crate::json::write_string(&mut out, item.as_ref());
        }
        out.push(']');
        Value::Json(out.into())
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Text(text) | Value::Json(text) => Some(text),
            _ => None,
        }
    }

    /// The text of a text value; empty for everything else.
    pub fn text_or_empty(&self) -> &str {
        match self {
            Value::Text(text) => text,
            _ => "",
        }
    }

    pub fn as_bool(&self) -> bool {
        match self {
            Value::Bool(value) => *value,
            Value::Number(value) => *value != 0.0,
            _ => false,
        }
    }

    pub fn as_number(&self) -> f64 {
        match self {
            Value::Number(value) => *value,
            Value::Bool(true) => 1.0,
            _ => 0.0,
        }
    }

    /// The ids or names a relation, select or file value holds, whether it is single (text) or multiple
    /// (a JSON array). Items that are not strings are skipped.
    pub fn to_list(&self) -> Vec<String> {
        match self {
            Value::Text(text) if text.is_empty() => Vec::new(),
            Value::Text(text) => vec![text.to_string()],
            Value::Json(text) => match serde_json::from_str::<serde_json::Value>(text) {
                Ok(serde_json::Value::Array(items)) => items
                    .into_iter()
                    .filter_map(|item| match item {
                        serde_json::Value::String(item) => Some(item),
                        _ => None,
                    })
                    .collect(),
                _ => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    /// Heap and inline bytes, for cache weights.
    pub fn size_bytes(&self) -> usize {
        std::mem::size_of::<Self>() + self.as_str().map_or(0, str::len)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Value::Number(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Value::Text(value.into())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Value::Text(value.into())
    }
}
