//! The settings that are stored with the data, under `settings` in `_params`, where the reference keeps its own.

use model::json_text;
use query::{Column, ColumnType, Op, Select};
use serde_json::{Value as Json, json};
use store::Store;

use crate::error::Result;

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

/// Reads the stored settings; `None` when there are none, or when they are encrypted by the reference.
pub async fn load(store: &Store) -> Result<Option<Settings>> {
    let columns = vec![Column::new("id", ColumnType::Id), Column::new("value", ColumnType::Json)];
    let row = store.first(&Select::by_ids(TABLE, columns, vec![KEY.into()])).await?;
    let Some(stored) = row.as_ref().and_then(|row| row.get(1).as_str()) else { return Ok(None) };
    let Ok(json) = serde_json::from_str::<Json>(stored) else { return Ok(None) };
    let Some(logs) = json.get("logs") else { return Ok(Some(Settings::default())) };
    let defaults = LogSettings { max_days: 5, min_level: 0, log_ip: true, log_auth_id: false };
    Ok(Some(Settings {
        logs: LogSettings {
            max_days: logs.get("maxDays").and_then(Json::as_i64).unwrap_or(defaults.max_days),
            min_level: logs.get("minLevel").and_then(Json::as_i64).unwrap_or(defaults.min_level),
            log_ip: logs.get("logIP").and_then(Json::as_bool).unwrap_or(defaults.log_ip),
            log_auth_id: logs.get("logAuthId").and_then(Json::as_bool).unwrap_or(defaults.log_auth_id),
        },
    }))
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
