//! The settings that are stored with the data, under `settings` in `_params`, where the reference keeps its own.

use std::sync::Arc;

use base::Kind;
use model::{Violation, Violations, json_text};
use query::{Assign, Batch, Column, ColumnType, Ddl, Op, Select};
use serde_json::{Map, Value as Json, json};
use store::Store;

use crate::error::{Error, Result};
use crate::parts::Parts;

pub const TABLE: &str = "_params";
const KEY: &str = "settings";

/// What is in force. The rest of the stored settings is kept as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub logs: LogSettings,
}

#[derive(Clone, Debug, PartialEq)]
pub struct LogSettings {
    /// 0 keeps no request log.
    pub max_days: i64,
    pub min_level: i64,
    pub log_ip: bool,
    pub log_auth_id: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { logs: LogSettings { max_days: 5, min_level: 0, log_ip: true, log_auth_id: false } }
    }
}

/// What a new installation starts with.
fn initial() -> Json {
    json!({
        "superuserIPs": [],
        "smtp": {"enabled": false, "port": 587, "host": "smtp.example.com", "username": "", "password": "",
            "authMethod": "", "tls": false, "localName": ""},
        "backups": {"cron": "", "cronMaxKeep": 3, "s3": s3()},
        "s3": s3(),
        "meta": {"accentColor": "#2f7d4f", "appName": "Pando", "appURL": "http://localhost:8090",
            "senderName": "Support", "senderAddress": "support@example.com", "hideControls": false},
        "rateLimits": {"rules": [
            {"label": "*:auth", "audience": "", "duration": 3, "maxRequests": 2},
            {"label": "*:create", "audience": "", "duration": 5, "maxRequests": 20},
            {"label": "/api/batch", "audience": "", "duration": 1, "maxRequests": 3},
            {"label": "/api/", "audience": "", "duration": 10, "maxRequests": 300},
        ], "excludedIPs": [], "enabled": false},
        "trustedProxy": {"headers": [], "useLeftmostIP": false},
        "batch": {"enabled": false, "maxRequests": 50, "timeout": 3, "maxBodySize": 0},
        "logs": {"maxDataSize": 0, "maxDays": 5, "minLevel": 0, "logIP": true, "logAuthId": false},
    })
}

fn s3() -> Json {
    json!({"enabled": false, "bucket": "", "region": "", "endpoint": "", "accessKey": "", "secret": "",
        "forcePathStyle": false})
}

/// The stored text; `None` when there is none.
async fn stored(store: &Store) -> Result<Option<String>> {
    let columns = vec![Column::new("id", ColumnType::Id), Column::new("value", ColumnType::Json)];
    let row = store.first(&Select::by_ids(TABLE, columns, vec![KEY.into()])).await?;
    Ok(row.as_ref().and_then(|row| row.get(1).as_str()).map(str::to_string))
}

/// Reads the stored settings; `None` when there are none, or when they are encrypted by the reference.
pub async fn load(store: &Store) -> Result<Option<Settings>> {
    let json = stored(store).await?.and_then(|text| serde_json::from_str::<Json>(&text).ok());
    Ok(json.map(|json| Settings { logs: LogSettings::read(&json["logs"]) }))
}

impl LogSettings {
    fn read(json: &Json) -> Self {
        let defaults = Settings::default().logs;
        let number = |key: &str, default| json[key].as_i64().unwrap_or(default);
        let flag = |key: &str, default| json[key].as_bool().unwrap_or(default);
        LogSettings {
            max_days: number("maxDays", defaults.max_days),
            min_level: number("minLevel", defaults.min_level),
            log_ip: flag("logIP", defaults.log_ip),
            log_auth_id: flag("logAuthId", defaults.log_auth_id),
        }
    }
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
        None => insert_initial(parts.clock.now()),
    };
    // Other processes read the settings again when the schema version grows.
    let batch = Batch { ddl: vec![Ddl::Announce], ops: vec![op], ..Batch::default() };
    parts.store.commit(batch).await?;
    parts.settings.store(Arc::new(Settings { logs: LogSettings::read(&settings["logs"]) }));
    Ok(settings["logs"].clone())
}

/// The operation that stores the first settings.
pub fn insert_initial(now: base::Timestamp) -> Op {
    let now = base::Value::from(now.to_string());
    Op::Insert {
        table: TABLE.into(),
        values: vec![
            ("id".into(), KEY.into()),
            ("value".into(), base::Value::Json(json_text::stored(&initial()).into())),
            ("created".into(), now.clone()),
            ("updated".into(), now),
        ],
    }
}
