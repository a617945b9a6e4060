//! The settings that are stored with the data, under `settings` in `_params`, where the reference keeps its own.

use std::sync::Arc;

use base::{Kind, Timestamp};
use model::json_text;
use query::{Assign, Batch, Column, ColumnType, Ddl, Guard, Op, Select};
use serde_json::{Map, Value as Json, json};
use store::Store;

use crate::audit;
use crate::changing::{Changing, overtaken};
use crate::error::{Error, Result};
use crate::parts::Parts;

pub mod apple;
pub mod check;
pub mod cipher;
pub mod insight;
pub mod validate;

mod fixed;
mod held;
mod kinds;
mod merge;

pub use cipher::Cipher;
pub use fixed::Fixed;
pub use held::Held;
pub use kinds::*;

pub const TABLE: &str = "_params";
const KEY: &str = "settings";

/// How a change came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Json,
    Form,
}

/// The stored text; `None` when there is none.
async fn stored(store: &Store) -> Result<Option<String>> {
    let columns = vec![Column::new("id", ColumnType::Id), Column::new("value", ColumnType::Json)];
    let row = store.first(&Select::by_ids(TABLE, columns, vec![KEY.into()])).await?;
    Ok(row.as_ref().and_then(|row| row.get(1).as_str()).map(str::to_string))
}

fn decode(text: &str, cipher: &Cipher) -> Result<Json> {
    let unreadable = |error: &dyn std::fmt::Display| {
        Error::new(Kind::Unsupported, "The stored settings cannot be read.").details(error)
    };
    let text = cipher.open(text).map_err(|error| unreadable(&error))?;
    serde_json::from_str(&text).map_err(|error| unreadable(&error))
}

/// Reads the stored settings; `None` when there are none.
pub async fn load(store: &Store, cipher: &Cipher) -> Result<Option<Settings>> {
    let Some(text) = stored(store).await? else { return Ok(None) };
    Ok(Some(Settings::lenient(&decode(&text, cipher)?)))
}

/// What a new installation starts with.
fn initial() -> Json {
    json!(Settings::default())
}

/// Lays the change over the stored settings, keeps and applies them. What the change does not name stays as it is.
pub async fn change(parts: &Parts, change: &Map<String, Json>, format: Format) -> Result<Arc<Settings>> {
    let mut changing = Changing::begin(parts).await;
    loop {
        let tried = try_change(parts, change, format).await;
        if !changing.again(&tried).await {
            return changing.end(tried).await;
        }
    }
}

/// Fails when another node changes collections or settings at the same time.
async fn try_change(parts: &Parts, change: &Map<String, Json>, format: Format) -> Result<Arc<Settings>> {
    let fixed = parts.settings.fixed();
    let version = parts.store.schema_version().await?;
    let text = stored(&parts.store).await?;
    let mut json = match &text {
        None => initial(),
        Some(text) => decode(text, &parts.cipher)?,
    };
    let before = json.clone();
    let displaced = fixed.lay(&mut json);
    let merged = match format {
        Format::Json => merge::json(&mut json, &initial(), change),
        Format::Form => merge::form(&mut json, &initial(), change),
    };
    merged.map_err(|_| {
        Error::new(Kind::Invalid, "An error occurred while loading the submitted data.")
            .details("a value is not of the setting's type")
    })?;

    fixed.lift(&mut json, displaced)?;
    let settings = Settings::lenient(&json);
    let port = json["smtp"]["port"].as_i64().unwrap_or_default();
    let violations = validate::validate(&settings, port);
    if !violations.is_empty() {
        return Err(Error::invalid("An error occurred while saving the new settings.", violations));
    }
    let sealed = parts.cipher.seal(&json_text::stored(&json)).map_err(Error::internal)?;
    audit::knew_row(TABLE, KEY, || {
        let side = |json: &Json| base::Value::Json(json.to_string().into());
        let is_sealed = base::Value::Bool(sealed.is_some());
        vec![("before".into(), side(&before)), ("after".into(), side(&json)), ("sealed".into(), is_sealed)]
    });
    let value = match sealed {
        Some(sealed) => base::Value::Text(sealed.into()),
        None => base::Value::Json(json_text::stored(&json).into()),
    };
    let now = parts.clock.now();
    let op = put(KEY, text.is_some(), value, now);
    // Other processes read the settings again when the schema version grows.
    let guards = vec![Guard::Version(version)];
    let batch = Batch { guards, ddl: vec![Ddl::Announce], ops: vec![op], ..Batch::default() };
    parts.store.commit(batch).await.map_err(|error| match error {
        store::Error::Guard(_) => overtaken(),
        other => other.into(),
    })?;
    parts.settings.reload(&parts.store, &parts.cipher).await?;
    Ok(Arc::new(fixed.over(settings)))
}

/// The operation that stores the first settings.
pub fn insert_initial(cipher: &Cipher, now: Timestamp) -> Result<Op> {
    let text = json_text::stored(&initial());
    let value = match cipher.seal(&text).map_err(Error::internal)? {
        Some(sealed) => base::Value::Text(sealed.into()),
        None => base::Value::Json(text.into()),
    };
    Ok(put(KEY, false, value, now))
}

/// Stores settings under their key, where there may be some already.
fn put(key: &str, is_there: bool, value: base::Value, now: Timestamp) -> Op {
    let now = base::Value::from(now.to_string());
    if is_there {
        let set = vec![("value".into(), Assign::Set(value)), ("updated".into(), Assign::Set(now))];
        return Op::Update { table: TABLE.into(), id: key.into(), set };
    }
    Op::Insert {
        table: TABLE.into(),
        values: vec![
            ("id".into(), key.into()),
            ("value".into(), value),
            ("created".into(), now.clone()),
            ("updated".into(), now),
        ],
    }
}
