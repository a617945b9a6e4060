//! The settings that are stored with the data, under `settings` in `_params`, where the reference keeps its own.

use std::sync::Arc;

use base::Kind;
use model::{Violation, Violations, json_text};
use query::{Assign, Batch, Column, ColumnType, Ddl, Op, Select};
use serde_json::{Map, Value as Json, json};
use store::Store;

use crate::error::{Error, Result};
use crate::parts::Parts;

mod kinds;

pub use kinds::*;

pub const TABLE: &str = "_params";
const KEY: &str = "settings";

/// The stored text; `None` when there is none.
async fn stored(store: &Store) -> Result<Option<String>> {
    let columns = vec![Column::new("id", ColumnType::Id), Column::new("value", ColumnType::Json)];
    let row = store.first(&Select::by_ids(TABLE, columns, vec![KEY.into()])).await?;
    Ok(row.as_ref().and_then(|row| row.get(1).as_str()).map(str::to_string))
}

/// Reads the stored settings; `None` when there are none, or when they are encrypted by the reference.
pub async fn load(store: &Store) -> Result<Option<Settings>> {
    let json = stored(store).await?.and_then(|text| serde_json::from_str::<Json>(&text).ok());
    // A part of the stored text that does not fit has its default, rather than stopping the server.
    Ok(json.map(|json| serde_json::from_value(json).unwrap_or_default()))
}

/// What a new installation starts with.
fn initial() -> Json {
    json!(Settings::default())
}

/// Changes the part of the settings that is in force so far: the request log's.
pub async fn change_logs(parts: &Parts, change: &Map<String, Json>) -> Result<Json> {
    let _changing = parts.catalog.changing.lock().await;
    let text = stored(&parts.store).await?;
    let mut settings = match text.as_deref().map(serde_json::from_str::<Json>) {
        None => initial(),
        Some(Ok(settings)) if settings.is_object() => settings,
        Some(_) => {
            return Err(Error::new(
                Kind::Unsupported,
                "The stored settings are encrypted and cannot be changed.",
            ));
        }
    };
    let mut violations = Violations::default();
    for (key, value) in change {
        let fits = match key.as_str() {
            "maxDays" | "minLevel" | "maxDataSize" => value.is_i64(),
            "logIP" | "logAuthId" => value.is_boolean(),
            _ => continue,
        };
        if !fits {
            return Err(Error::new(Kind::Invalid, "An error occurred while loading the submitted data."));
        }
        if key == "maxDays" && value.as_i64() < Some(0) {
            violations.add(key.as_str(), Violation::at_least(0));
            continue;
        }
        settings["logs"][key.as_str()] = value.clone();
    }
    if !violations.is_empty() {
        let mut all = Violations::default();
        all.nest("logs", violations);
        return Err(Error::form_with(all));
    }
    let set = vec![
        ("value".into(), Assign::Set(base::Value::Json(json_text::stored(&settings).into()))),
        ("updated".into(), Assign::Set(base::Value::from(parts.clock.now().to_string()))),
    ];
    let op = match text {
        Some(_) => Op::Update { table: TABLE.into(), id: KEY.into(), set },
        None => insert(&settings, parts.clock.now()),
    };
    // Other processes read the settings again when the schema version grows.
    let batch = Batch { ddl: vec![Ddl::Announce], ops: vec![op], ..Batch::default() };
    parts.store.commit(batch).await?;
    let logs = settings["logs"].clone();
    parts.settings.store(Arc::new(serde_json::from_value(settings).unwrap_or_default()));
    Ok(logs)
}

/// The operation that stores the first settings.
pub fn insert_initial(now: base::Timestamp) -> Op {
    insert(&initial(), now)
}

fn insert(settings: &Json, now: base::Timestamp) -> Op {
    let now = base::Value::from(now.to_string());
    Op::Insert {
        table: TABLE.into(),
        values: vec![
            ("id".into(), KEY.into()),
            ("value".into(), base::Value::Json(json_text::stored(settings).into())),
            ("created".into(), now.clone()),
            ("updated".into(), now),
        ],
    }
}
