//! What a comparison sees of a value, and the comparison itself.

use std::borrow::Cow;
use std::cmp::Ordering;

use base::Value;
use base::json::number_text;

use super::{json, like::like};
use crate::column::ColumnType;
use crate::expr::{Operand, Operator};

/// A value as comparisons see it. Booleans are numbers, lists, objects and points text.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen<'a> {
    Missing,
    Number(f64),
    Text(Cow<'a, str>),
}

impl<'a> Seen<'a> {
    pub fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Seen::Text(text.into())
    }

    /// A literal: `Json` is typed by what it holds.
    pub fn literal(value: &'a Value) -> Self {
        match value {
            Value::Null => Seen::Missing,
            Value::Bool(value) => Seen::Number(f64::from(u8::from(*value))),
            Value::Number(number) => Seen::Number(*number),
            Value::Text(text) => Seen::text(&**text),
            Value::Json(text) => json::seen(text),
        }
    }

    /// A stored value of a column of this type.
    pub fn stored(value: &'a Value, ty: ColumnType) -> Self {
        match (ty, value) {
            (ColumnType::Json | ColumnType::Dynamic, _) => Seen::literal(value),
            // A list or point is its JSON text as it stands.
            (_, Value::Json(text)) => Seen::text(&**text),
            _ => Seen::literal(value),
        }
    }

    /// The text that `LIKE` and `LOWER` work on.
    pub fn to_text(&self) -> Option<Cow<'_, str>> {
        match self {
            Seen::Missing => None,
            Seen::Number(number) => Some(Cow::Owned(number_text(*number))),
            Seen::Text(text) => Some(Cow::Borrowed(text)),
        }
    }

    fn is_empty(&self) -> bool {
        matches!(self, Seen::Missing) || matches!(self, Seen::Text(text) if text.is_empty())
    }
}

/// How an operand pulls the other side of a comparison towards its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pull {
    None,
    /// A column of text.
    Text,
    /// A column of numbers.
    Number,
}

impl Pull {
    pub fn of(operand: &Operand) -> Pull {
        match operand {
            Operand::Column { column, .. } => Pull::of_column(column.ty),
            _ => Pull::None,
        }
    }

    pub fn of_column(ty: ColumnType) -> Pull {
        match ty {
            ColumnType::Number | ColumnType::Bool => Pull::Number,
            ColumnType::Json | ColumnType::Dynamic => Pull::None,
            _ => Pull::Text,
        }
    }
}

/// Is a missing value of this operand different from the empty text?
pub fn strict(operand: &Operand) -> bool {
    match operand {
        Operand::Column { column, .. } => matches!(column.ty, ColumnType::Json | ColumnType::Dynamic),
        Operand::Path { .. } | Operand::GeoDistance(_) => true,
        Operand::Lower(inner) => strict(inner),
        Operand::Literal(Value::Json(_)) => true,
        _ => false,
    }
}

/// The number that a text is in full, blanks around it aside.
pub fn number_of(text: &str) -> Option<f64> {
    let text = text.trim_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return None;
    }
    text.parse().ok()
}

/// One comparison; the meaning is written down in [`crate::expr`].
pub fn compare(
    left: Seen<'_>,
    left_pull: Pull,
    op: Operator,
    right: Seen<'_>,
    right_pull: Pull,
    strict: bool,
) -> bool {
    if matches!(op, Operator::Like | Operator::NotLike) {
        return match (left.to_text(), right.to_text()) {
            (Some(text), Some(pattern)) => like(&text, &pattern) == (op == Operator::Like),
            _ => false,
        };
    }
    let (left, right) = match (left_pull, right_pull) {
        (Pull::Number, Pull::Number) | (Pull::Text, Pull::Text) | (Pull::None, Pull::None) => (left, right),
        (Pull::Number, _) => (left, to_number(right)),
        (_, Pull::Number) => (to_number(left), right),
        (Pull::Text, _) => (left, into_text(right)),
        (_, Pull::Text) => (into_text(left), right),
    };
    let equal = || {
        if strict { left == right } else { left == right || (left.is_empty() && right.is_empty()) }
    };
    match op {
        Operator::Eq => equal(),
        Operator::Ne => !equal(),
        _ => match (order(&left, &right), op) {
            (Some(order), Operator::Gt) => order == Ordering::Greater,
            (Some(order), Operator::Ge) => order != Ordering::Less,
            (Some(order), Operator::Lt) => order == Ordering::Less,
            (Some(order), _) => order != Ordering::Greater,
            (None, _) => false,
        },
    }
}

fn to_number(seen: Seen<'_>) -> Seen<'_> {
    match &seen {
        Seen::Text(text) => number_of(text).map_or(seen, Seen::Number),
        _ => seen,
    }
}

fn into_text(seen: Seen<'_>) -> Seen<'_> {
    match seen {
        Seen::Number(number) => Seen::text(number_text(number)),
        other => other,
    }
}

/// Every number is below every text.
fn order(left: &Seen<'_>, right: &Seen<'_>) -> Option<Ordering> {
    match (left, right) {
        (Seen::Number(left), Seen::Number(right)) => left.partial_cmp(right),
        (Seen::Text(left), Seen::Text(right)) => Some(left.as_bytes().cmp(right.as_bytes())),
        (Seen::Number(_), Seen::Text(_)) => Some(Ordering::Less),
        (Seen::Text(_), Seen::Number(_)) => Some(Ordering::Greater),
        _ => None,
    }
}
