//! What can be set, in the reference's own JSON. What is missing in the stored text has its default; what is stored
//! beyond it is kept.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value as Json;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Settings {
    /// Addresses and networks that superusers may come from; empty for any.
    #[serde(rename = "superuserIPs")]
    pub superuser_ips: Vec<String>,
    pub smtp: Smtp,
    pub backups: Backups,
    pub s3: S3,
    pub meta: Meta,
    pub rate_limits: RateLimits,
    pub trusted_proxy: TrustedProxy,
    pub batch: BatchLimits,
    pub logs: LogSettings,
}

impl Settings {
    /// Reads what is stored, group by group: one that does not fit has its defaults, rather than all or none.
    pub fn lenient(json: &Json) -> Self {
        Settings {
            superuser_ips: group(json, "superuserIPs"),
            smtp: group(json, "smtp"),
            backups: group(json, "backups"),
            s3: group(json, "s3"),
            meta: group(json, "meta"),
            rate_limits: group(json, "rateLimits"),
            trusted_proxy: group(json, "trustedProxy"),
            batch: group(json, "batch"),
            logs: group(json, "logs"),
        }
    }
}

fn group<T: DeserializeOwned + Default>(json: &Json, name: &str) -> T {
    match json.get(name) {
        None | Some(Json::Null) => T::default(),
        Some(value) => T::deserialize(value).unwrap_or_else(|error| {
            tracing::warn!(%error, "the stored settings under {name:?} do not fit and count as not set");
            T::default()
        }),
    }
}

/// The reference keeps any number.
fn nearest_port<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    let port = i64::deserialize(deserializer)?;
    Ok(port.clamp(0, i64::from(u16::MAX)) as u16)
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Smtp {
    pub enabled: bool,
    #[serde(deserialize_with = "nearest_port")]
    pub port: u16,
    pub host: String,
    pub username: String,
    pub password: String,
    /// `PLAIN` (also when empty) or `LOGIN`.
    pub auth_method: String,
    /// TLS from the first byte, rather than by STARTTLS where the server offers it.
    pub tls: bool,
    /// What the server is greeted with; empty for `localhost`.
    pub local_name: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Backups {
    /// Empty for none but those asked for.
    pub cron: String,
    /// How many of the cron's own backups are kept.
    pub cron_max_keep: i64,
    pub s3: S3,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct S3 {
    pub enabled: bool,
    pub bucket: String,
    pub region: String,
    pub endpoint: String,
    pub access_key: String,
    pub secret: String,
    pub force_path_style: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    pub accent_color: String,
    pub app_name: String,
    #[serde(rename = "appURL")]
    pub app_url: String,
    pub sender_name: String,
    pub sender_address: String,
    pub hide_controls: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RateLimits {
    pub rules: Vec<RateLimit>,
    #[serde(rename = "excludedIPs")]
    pub excluded_ips: Vec<String>,
    pub enabled: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RateLimit {
    /// A tag such as `users:create` or `*:auth`, or a path with an optional method before it.
    pub label: String,
    /// `@guest`, `@auth`, or empty for everybody.
    pub audience: String,
    /// Seconds.
    pub duration: i64,
    pub max_requests: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TrustedProxy {
    pub headers: Vec<String>,
    #[serde(rename = "useLeftmostIP")]
    pub use_leftmost_ip: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BatchLimits {
    pub enabled: bool,
    pub max_requests: i64,
    /// Seconds.
    pub timeout: i64,
    /// Bytes; 0 for the default.
    pub max_body_size: i64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LogSettings {
    /// Bytes of one entry's data; 0 for the default.
    pub max_data_size: i64,
    /// 0 keeps no request log.
    pub max_days: i64,
    pub min_level: i64,
    #[serde(rename = "logIP")]
    pub log_ip: bool,
    pub log_auth_id: bool,
}

impl Default for Smtp {
    fn default() -> Self {
        Smtp {
            enabled: false,
            port: 587,
            host: "smtp.example.com".into(),
            username: String::new(),
            password: String::new(),
            auth_method: String::new(),
            tls: false,
            local_name: String::new(),
        }
    }
}

impl Default for Backups {
    fn default() -> Self {
        Backups { cron: String::new(), cron_max_keep: 3, s3: S3::default() }
    }
}

impl Default for Meta {
    fn default() -> Self {
        Meta {
            accent_color: "#2f7d4f".into(),
            app_name: "Pando".into(),
            app_url: "http://localhost:8090".into(),
            sender_name: "Support".into(),
            sender_address: "support@example.com".into(),
            hide_controls: false,
        }
    }
}

impl Default for RateLimits {
    fn default() -> Self {
        let rule = |label: &str, duration, max_requests| RateLimit {
            label: label.into(),
            audience: String::new(),
            duration,
            max_requests,
        };
        RateLimits {
            rules: vec![
                rule("*:auth", 3, 2),
                rule("*:create", 5, 20),
                rule("/api/batch", 1, 3),
                rule("/api/", 10, 300),
            ],
            excluded_ips: Vec::new(),
            enabled: false,
        }
    }
}

impl Default for BatchLimits {
    fn default() -> Self {
        BatchLimits { enabled: false, max_requests: 50, timeout: 3, max_body_size: 0 }
    }
}

impl Default for LogSettings {
    fn default() -> Self {
        LogSettings { max_data_size: 0, max_days: 5, min_level: 0, log_ip: true, log_auth_id: false }
    }
}
