//! The configuration: command line over environment over `pando.toml` over defaults.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use app::crons::OwnCron;
use app::settings::{Cipher, Fixed, S3};
use serde::{Deserialize, Serialize};

use crate::cli::{Cli, Command};

const FILE: &str = "pando.toml";
const ENV_PREFIX: &str = "PANDO_";
/// Keys that are true or false, besides those that begin with `allow_`.
const FLAGS: [&str; 4] = ["index_fallback", "metrics", "shared", "path_style"];
/// How alike a wrong key must be to a right one to be named.
const SIMILARITY_MIN: f64 = 0.6;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// The data directory.
    pub dir: PathBuf,
    /// The address to listen on.
    pub http: String,
    /// The directory of static files; empty for `pb_public` beside the data directory, if it is there.
    pub public_dir: PathBuf,
    /// Whether paths that lead nowhere are answered with the site's first page.
    pub index_fallback: bool,
    /// The environment variable that holds the key (32 bytes) that the settings are encrypted with; empty for none.
    pub encryption_env: String,
    pub data: Data,
    pub cache: Cache,
    pub log: Log,
    pub outbound: Outbound,
    pub passkeys: Passkeys,
    pub mail: Mail,
    pub files: Files,
    pub crons: Vec<Cron>,
    /// How long requests are still let in after the stop signal, while `/readyz` already says no, so that balancers
    /// send them elsewhere.
    pub drain_ms: u64,
    pub observe: Observe,
    pub node: Node,
}

/// Who this process is, in messages and metrics.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Node {
    /// Empty for the machine's name and the process's number.
    pub name: String,
    pub zone: String,
    pub region: String,
}

/// What is seen of the process from outside.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Observe {
    /// An address for `/livez`, `/readyz` and `/metrics` alone, open to whoever reaches it; empty for none.
    pub http: String,
    /// Whether figures are kept.
    pub metrics: bool,
}

/// A schedule of the user's own.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cron {
    pub id: String,
    /// Five segments, or a macro such as `@daily`; in UTC.
    pub schedule: String,
    /// What is called, by POST.
    pub url: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Data {
    /// `postgres://…`; empty for SQLite in the data directory.
    pub url: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Cache {
    /// Bytes for records; 0 keeps none.
    pub record_bytes: u64,
    /// Bytes for answers to lists; 0 keeps none.
    pub query_bytes: u64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Passkeys {
    /// The domain that passkeys are bound to; empty for that of the application's URL.
    pub rp_id: String,
    /// The pages that may use them, such as `https://example.com`, separated by commas; empty for the
    /// application's URL.
    pub origins: String,
}

impl Passkeys {
    pub fn options(&self) -> app::auth::passkeys::Options {
        let origins = self.origins.split(',').map(str::trim).filter(|origin| !origin.is_empty());
        app::auth::passkeys::Options {
            rp_id: self.rp_id.clone(),
            origins: origins.map(str::to_owned).collect(),
        }
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Outbound {
    /// Whether addresses that come from outside, such as those of avatars, may lead into the own network.
    pub allow_private: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Log {
    /// What the process says on standard error: `error`, `warn`, `info`, `debug`, or by part, as in `store=debug`.
    pub messages: String,
    /// How it says it: `text` for people, `json` for machines, one object on each line.
    pub format: LogFormat,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

impl From<LogFormat> for observe::messages::Format {
    fn from(format: LogFormat) -> Self {
        match format {
            LogFormat::Text => observe::messages::Format::Text,
            LogFormat::Json => observe::messages::Format::Json,
        }
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Mail {
    /// Where mails are written to while no SMTP server is set; empty for `outbox` in the data directory.
    pub outbox: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Files {
    /// Whether `storage` in the data directory is one that every node mounts.
    pub shared: bool,
    pub s3: Bucket,
}

/// A bucket for the files of records, in place of the one in the settings.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Bucket {
    pub endpoint: String,
    pub bucket: String,
    pub region: String,
    pub access_key: String,
    pub secret: String,
    /// `endpoint/bucket/key` rather than `bucket.endpoint/key`.
    pub path_style: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            dir: "pb_data".into(),
            http: "127.0.0.1:8090".into(),
            public_dir: PathBuf::new(),
            index_fallback: true,
            encryption_env: String::new(),
            data: Data::default(),
            cache: Cache::default(),
            log: Log::default(),
            outbound: Outbound::default(),
            passkeys: Passkeys::default(),
            mail: Mail::default(),
            files: Files::default(),
            crons: Vec::new(),
            drain_ms: 0,
            observe: Observe::default(),
            node: Node::default(),
        }
    }
}

impl Default for Node {
    fn default() -> Self {
        Node { name: String::new(), zone: "local".into(), region: "local".into() }
    }
}

impl Default for Observe {
    fn default() -> Self {
        Observe { http: String::new(), metrics: true }
    }
}

impl Default for Cache {
    fn default() -> Self {
        Cache {
            record_bytes: base::limits::RECORD_CACHE_BYTES_MAX,
            query_bytes: base::limits::QUERY_CACHE_BYTES_MAX,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Log { messages: "info".into(), format: LogFormat::default() }
    }
}

impl Config {
    pub fn load(cli: &Cli) -> Result<Self> {
        let mut table = match read_file(cli.common.config.as_deref())? {
            Some((path, text)) => {
                let table: toml::Table =
                    toml::from_str(&text).with_context(|| format!("{} is not valid TOML", path.display()))?;
                check_keys(&table, "").with_context(|| format!("in {}", path.display()))?;
                table
            }
            None => toml::Table::new(),
        };
        overlay_env(&mut table, std::env::vars())?;
        let mut config: Config = table.try_into().context("the configuration does not fit")?;
        if let Some(dir) = &cli.common.dir {
            config.dir = dir.clone();
        }
        if let Some(url) = &cli.common.data {
            config.data.url = url.clone();
        }
        if let Some(name) = &cli.common.encryption_env {
            config.encryption_env = name.clone();
        }
        if let Command::Serve(serve) | Command::Web(serve) = &cli.command {
            if let Some(http) = &serve.http {
                config.http = http.clone();
            }
            if let Some(dir) = &serve.public_dir {
                config.public_dir = dir.clone();
            }
            if let Some(fallback) = serve.index_fallback {
                config.index_fallback = fallback;
            }
        }
        if !config.data.url.is_empty()
            && !["postgres://", "postgresql://"].iter().any(|scheme| config.data.url.starts_with(scheme))
        {
            bail!("data.url must begin with postgres://, or be empty for SQLite in the data directory");
        }
        Ok(config)
    }

    /// The process that starts with this.
    pub fn node(&self) -> base::topology::Node {
        base::topology::Node::named(&self.node_name(), &self.node.zone, &self.node.region)
    }

    /// What people call the process.
    pub fn node_name(&self) -> String {
        if !self.node.name.is_empty() {
            return self.node.name.clone();
        }
        let system = rustix::system::uname();
        format!("{}-{}", system.nodename().to_string_lossy(), std::process::id())
    }

    pub fn crons(&self) -> Result<Vec<OwnCron>> {
        let own = self.crons.iter().cloned();
        let crons: Vec<OwnCron> =
            own.map(|cron| OwnCron { id: cron.id, expression: cron.schedule, url: cron.url }).collect();
        app::crons::check_own(&crons).map_err(anyhow::Error::msg)?;
        Ok(crons)
    }

    /// What takes the place of stored settings.
    pub fn fixed(&self) -> Result<Fixed> {
        let Bucket { endpoint, bucket, region, access_key, secret, path_style } = self.files.s3.clone();
        if endpoint.is_empty() && bucket.is_empty() {
            return Ok(Fixed::default());
        }
        if endpoint.is_empty() || bucket.is_empty() {
            bail!("files.s3 needs both an endpoint and a bucket");
        }
        let force_path_style = path_style;
        let enabled = true;
        Ok(Fixed { s3: Some(S3 { enabled, bucket, region, endpoint, access_key, secret, force_path_style }) })
    }

    /// The directory for mails while no SMTP server is set.
    pub fn outbox(&self) -> PathBuf {
        match self.mail.outbox.as_str() {
            "" => self.dir.join("outbox"),
            path => path.into(),
        }
    }

    /// The directory of static files, which need not be there.
    pub fn public(&self) -> PathBuf {
        if !self.public_dir.as_os_str().is_empty() {
            return self.public_dir.clone();
        }
        self.dir.parent().unwrap_or(Path::new("")).join("pb_public")
    }

    /// What reads and writes the stored settings.
    pub fn cipher(&self) -> Result<Cipher> {
        let name = &self.encryption_env;
        if name.is_empty() {
            return Ok(Cipher::default());
        }
        let key = std::env::var(name).with_context(|| {
            format!("the encryption key for settings cannot be read from the variable {name}")
        })?;
        Cipher::new(key.as_bytes()).with_context(|| format!("in the environment variable {name}"))
    }

    /// The address in a form that can be bound: `:80` and `0.0.0.0:80` are the same.
    pub fn listen_address(&self) -> String {
        bindable(&self.http, 8090)
    }

    /// The address for health and metrics, if there is one.
    pub fn watch_address(&self) -> Option<String> {
        (!self.observe.http.is_empty()).then(|| bindable(&self.observe.http, 9090))
    }
}

fn bindable(address: &str, port: u16) -> String {
    match address.strip_prefix(':') {
        Some(port) => format!("0.0.0.0:{port}"),
        None if address.contains(':') => address.to_owned(),
        None => format!("{address}:{port}"),
    }
}

fn read_file(path: Option<&Path>) -> Result<Option<(PathBuf, String)>> {
    let given = path.is_some();
    let path = path.unwrap_or(Path::new(FILE)).to_path_buf();
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some((path, text))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !given => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Every key there is, dotted; tables end without a value of their own.
fn known_keys() -> Vec<String> {
    fn walk(table: &toml::Table, prefix: &str, keys: &mut Vec<String>) {
        for (key, value) in table {
            let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
            match value {
                toml::Value::Table(inner) => walk(inner, &path, keys),
                _ => keys.push(path),
            }
        }
    }
    let mut keys = Vec::new();
    if let Ok(table) = toml::Table::try_from(Config::default()) {
        walk(&table, "", &mut keys);
    }
    keys
}

fn check_keys(table: &toml::Table, prefix: &str) -> Result<()> {
    let known = known_keys();
    for (key, value) in table {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        let is_section = known.iter().any(|known| known.starts_with(&format!("{path}.")));
        match value {
            toml::Value::Table(inner) if is_section => check_keys(inner, &path)?,
            _ if known.contains(&path) => {}
            _ => bail!("unknown key {path:?}{}", suggestion(&path, &known)),
        }
    }
    Ok(())
}

fn suggestion(path: &str, known: &[String]) -> String {
    let nearest = known
        .iter()
        .map(|candidate| (strsim::jaro_winkler(path, candidate), candidate))
        .max_by(|left, right| left.0.total_cmp(&right.0));
    match nearest {
        Some((similarity, name)) if similarity >= SIMILARITY_MIN => format!("; did you mean {name:?}?"),
        _ => format!("; the keys are {}", known.join(", ")),
    }
}

/// `PANDO_DATA_URL` is `data.url`; `PANDO_DATA` is short for it.
fn overlay_env(table: &mut toml::Table, vars: impl Iterator<Item = (String, String)>) -> Result<()> {
    let known = known_keys();
    for (name, value) in vars {
        let Some(rest) = name.strip_prefix(ENV_PREFIX) else { continue };
        let spelled = rest.to_ascii_lowercase();
        let spelled = if spelled == "data" { "data_url" } else { spelled.as_str() };
        let Some(path) = known.iter().find(|path| path.replace('.', "_") == spelled) else {
            let names: Vec<String> = known
                .iter()
                .map(|path| format!("{ENV_PREFIX}{}", path.replace('.', "_").to_ascii_uppercase()))
                .collect();
            bail!("unknown environment variable {name}{}", suggestion(&name, &names));
        };
        let mut at = &mut *table;
        let mut names: Vec<&str> = path.split('.').collect();
        let Some(last) = names.pop() else { continue };
        for name in names {
            let entry = at.entry(name).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            let toml::Value::Table(inner) = entry else { bail!("{name} must be a table") };
            at = inner;
        }
        let value = match value.parse::<i64>() {
            Ok(number) if last.ends_with("_bytes") || last.ends_with("_ms") => toml::Value::Integer(number),
            _ if last.starts_with("allow_") || FLAGS.contains(&last) => match value.as_str() {
                "true" | "1" => toml::Value::Boolean(true),
                "false" | "0" | "" => toml::Value::Boolean(false),
                _ => bail!("{name} is true or false, not {value:?}"),
            },
            _ => toml::Value::String(value),
        };
        at.insert(last.to_string(), value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_names_the_nearest() {
        let table: toml::Table = toml::from_str("[data]\nurk = 'x'").unwrap();
        let message = check_keys(&table, "").unwrap_err().to_string();
        assert!(message.contains("data.urk") && message.contains("data.url"), "{message}");
        check_keys(&toml::from_str("dir = 'x'\n[cache]\nrecord_bytes = 1").unwrap(), "").unwrap();
    }

    #[test]
    fn own_crons_are_checked() {
        let load = |text: &str| -> Result<Vec<OwnCron>> {
            let table: toml::Table = toml::from_str(text)?;
            check_keys(&table, "")?;
            let config: Config = table.try_into()?;
            config.crons()
        };
        let cron = |id: &str, schedule: &str, url: &str| {
            format!("[[crons]]\nid = '{id}'\nschedule = '{schedule}'\nurl = '{url}'\n")
        };
        let good = cron("a", "*/5 * * * *", "https://example.com/x");
        assert_eq!(load(&good).unwrap().len(), 1);
        for bad in [
            cron("", "* * * * *", "https://x"),
            cron("__pbOTPCleanup__", "* * * * *", "https://x"),
            cron("a", "every day", "https://x"),
            cron("a", "@daily", "ftp://x"),
            format!("{good}{good}"),
            format!("{good}body = 'x'"),
        ] {
            assert!(load(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_environment_reaches_nested_keys() {
        let mut table = toml::Table::new();
        let vars = [("PANDO_DATA", "postgres://x"), ("PANDO_CACHE_QUERY_BYTES", "5"), ("OTHER", "1")];
        overlay_env(&mut table, vars.iter().map(|(name, value)| (name.to_string(), value.to_string())))
            .unwrap();
        let config: Config = table.try_into().unwrap();
        assert_eq!(config.data.url, "postgres://x");
        assert_eq!(config.cache.query_bytes, 5);
        let typo = [("PANDO_DATA_ULR".to_string(), String::new())];
        let message = overlay_env(&mut toml::Table::new(), typo.into_iter()).unwrap_err().to_string();
        assert!(message.contains("PANDO_DATA_URL"), "{message}");
    }
}
