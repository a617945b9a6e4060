//! What a job says of one record that was written: whose it is, who is to be told, and what the write itself knew.

use base::json::number_text;
use base::{Name, Value};
use model::Collection;
use query::{Assign, Op, Row};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::definition::Action;

/// The names are what is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Receivers tell by it what they have seen.
    pub id: String,
    /// Ids of the collection, and of the record.
    pub collection: String,
    pub record: String,
    pub action: Action,
    /// The webhooks that follow it.
    pub to: Vec<String>,
    /// Values that were written, by their columns; of a deleted record, those that it had.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<(String, Json)>,
    /// Whether the values are all that may be shown of the record.
    #[serde(default)]
    pub whole: bool,
}

/// What the write says of the record: id, action, values, and whether they are all.
pub(super) struct Written {
    pub record: Name,
    pub action: Action,
    pub values: Vec<(String, Json)>,
    pub whole: bool,
}

pub(super) fn action(op: &Op) -> Option<(&Name, Action)> {
    match op {
        Op::Insert { table, .. } => Some((table, Action::Create)),
        Op::Update { table, .. } => Some((table, Action::Update)),
        Op::Delete { table, .. } => Some((table, Action::Delete)),
        // Nobody knows which records went.
        Op::DeleteWhere { .. } => None,
    }
}

/// `None` for what names no record.
pub(super) fn written(collection: &Collection, op: &Op, bytes_max: usize) -> Option<Written> {
    let shown = |name: &str| collection.field(name).is_some_and(|field| !field.hidden && !field.is_secret());
    let mut values = Vec::new();
    let mut put = |name: &Name, value: &Value| {
        if shown(name) {
            values.push((name.to_string(), encode(value)));
        }
    };
    let (record, action, is_whole) = match op {
        Op::Insert { values, .. } => {
            let id = values.iter().find(|(name, _)| &**name == "id").and_then(|(_, id)| id.as_str())?;
            values.iter().for_each(|(name, value)| put(name, value));
            (Name::from(id), Action::Create, true)
        }
        Op::Update { id, set, .. } => {
            for (name, assign) in set {
                if let Assign::Set(value) = assign {
                    put(name, value);
                }
            }
            (id.clone(), Action::Update, false)
        }
        Op::Delete { id, row, .. } => {
            let row = row.as_deref().filter(|row: &&Row| row.0.len() == collection.table.columns.len());
            for (column, value) in
                collection.table.columns.iter().zip(row.iter().flat_map(|row| row.0.iter()))
            {
                put(&column.name, value);
            }
            (id.clone(), Action::Delete, row.is_some())
        }
        Op::DeleteWhere { .. } => return None,
    };
    let bytes: usize = values.iter().map(|(name, value)| name.len() + size(value)).sum();
    if bytes > bytes_max {
        return Some(Written { record, action, values: Vec::new(), whole: false });
    }
    let shown = collection.fields.iter().filter(|field| shown(&field.name)).count();
    let whole = is_whole && values.len() == shown;
    Some(Written { record, action, values, whole })
}

pub(super) fn size(value: &Json) -> usize {
    match value {
        Json::String(text) => text.len() + 8,
        Json::Object(object) => object.values().map(size).sum::<usize>() + 8,
        _ => 8,
    }
}

/// Numbers and JSON travel as their texts, so that they come back as they were.
fn encode(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Text(text) => Json::String(text.to_string()),
        Value::Number(number) => serde_json::json!({"number": number_text(*number)}),
        Value::Json(json) => serde_json::json!({"json": &**json}),
    }
}

pub(super) fn decode(value: &Json) -> Value {
    match value {
        Json::Bool(value) => Value::Bool(*value),
        Json::String(text) => Value::from(text.as_str()),
        Json::Object(object) => match (object.get("number"), object.get("json")) {
            (Some(Json::String(text)), _) => Value::Number(text.parse().unwrap_or_default()),
            (_, Some(Json::String(text))) => Value::Json(text.as_str().into()),
            _ => Value::Null,
        },
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_as_they_were() {
        for value in [
            Value::Null,
            Value::Bool(true),
            Value::from(""),
            Value::from("a\"b"),
            Value::Number(0.1 + 0.2),
            Value::Number(-5e-324),
            Value::Number(9_007_199_254_740_993.0),
            Value::Json("{\"b\":1.0,\"a\":[1e3]}".into()),
        ] {
            let stored = encode(&value).to_string();
            assert_eq!(decode(&serde_json::from_str(&stored).unwrap()), value);
        }
    }
}
