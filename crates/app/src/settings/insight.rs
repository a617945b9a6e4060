//! Settings that the reference does not have, about what is kept of what happens. They lie beside its own, in a row of their
//! own, and hold no secrets.

use base::limits::AUDIT_DAYS_DEFAULT;
use base::{Kind, Value};
use model::{Violation, Violations};
use query::{Batch, Column, ColumnType, Ddl, Guard, Select};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use store::Store;

use super::{TABLE, merge, put};
use crate::audit;
use crate::changing::{Changing, overtaken};
use crate::error::{Error, Result};
use crate::insights::active;
use crate::parts::Parts;

const KEY: &str = "pando_insight";
const LOG_BYTES_DEFAULT: i64 = 1 << 30;
const LEVEL_WARN: i64 = 4;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InsightSettings {
    pub logs: Logs,
    pub audit: Audit,
    pub insights: Insights,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Logs {
    /// What the log may take, by estimate; 0 for any.
    pub max_bytes: i64,
    /// From which level on messages are entries of the log.
    pub message_level: i64,
}

impl Default for Logs {
    fn default() -> Self {
        Logs { max_bytes: LOG_BYTES_DEFAULT, message_level: LEVEL_WARN }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Audit {
    /// 0 for ever.
    pub max_days: i64,
}

impl Default for Audit {
    fn default() -> Self {
        Audit { max_days: AUDIT_DAYS_DEFAULT }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Insights {
    pub enabled: bool,
}

impl Default for Insights {
    fn default() -> Self {
        Insights { enabled: true }
    }
}

/// The stored text; `None` when there is none.
async fn stored(store: &Store) -> Result<Option<String>> {
    let columns = vec![Column::new("id", ColumnType::Id), Column::new("value", ColumnType::Json)];
    let row = store.first(&Select::by_ids(TABLE, columns, vec![KEY.into()])).await?;
    Ok(row.as_ref().and_then(|row| row.get(1).as_str()).map(str::to_string))
}

/// Reads what is stored and goes by it. What does not fit has its default.
pub async fn reload(parts: &Parts) -> Result<()> {
    let text = stored(&parts.store).await?;
    let settings: InsightSettings =
        text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    parts.active.set_enabled(settings.insights.enabled);
    parts.insight.store(settings.into());
    Ok(())
}

pub async fn change(parts: &Parts, change: &Map<String, Json>) -> Result<()> {
    let mut changing = Changing::begin(parts).await;
    loop {
        let tried = try_change(parts, change).await;
        if !changing.again(&tried).await {
            return changing.end(tried).await;
        }
    }
}

async fn try_change(parts: &Parts, change: &Map<String, Json>) -> Result<()> {
    let version = parts.store.schema_version().await?;
    let text = stored(&parts.store).await?;
    let before: InsightSettings =
        text.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let mut json = json!(before);
    merge::json(&mut json, &json!(InsightSettings::default()), change).map_err(|_| {
        Error::new(Kind::Invalid, "An error occurred while loading the submitted data.")
            .details("a value is not of the setting's type")
    })?;
    let settings: InsightSettings = serde_json::from_value(json.clone()).map_err(Error::internal)?;
    let mut violations = Violations::default();
    for (group, key, number) in
        [("logs", "maxBytes", settings.logs.max_bytes), ("audit", "maxDays", settings.audit.max_days)]
    {
        if number < 0 {
            let below =
                Violation::new("validation_min_greater_equal_than_required", "Must be no less than 0.");
            violations.nest(group, Violations::one(key, below));
        }
    }
    if !violations.is_empty() {
        return Err(Error::invalid("An error occurred while saving the new settings.", violations));
    }
    audit::knew_row(TABLE, KEY, || {
        let side = |json: &Json| Value::Json(json.to_string().into());
        vec![("before".into(), side(&json!(before))), ("after".into(), side(&json))]
    });
    let value = Value::Json(json.to_string().into());
    let mut ops = vec![put(KEY, text.is_some(), value, parts.clock.now())];
    if !settings.insights.enabled {
        ops.push(active::forget_all());
    }
    let batch =
        Batch { guards: vec![Guard::Version(version)], ddl: vec![Ddl::Announce], ops, ..Batch::default() };
    parts.store.commit(batch).await.map_err(|error| match error {
        store::Error::Guard(_) => overtaken(),
        other => other.into(),
    })?;
    reload(parts).await
}
