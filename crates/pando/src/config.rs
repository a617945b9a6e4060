//! The configuration: command line over environment over `pando.toml` over defaults.

mod announce;
mod cache;
mod caching;
mod described;
mod edge;
mod front;
mod given;
#[cfg(test)]
pub mod named;
mod otlp;
mod redis;
#[cfg(test)]
mod reference;
mod shown;
mod work;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use app::crons::OwnCron;
use app::settings::{Cipher, Fixed, S3};
use serde::{Deserialize, Serialize};

pub use self::announce::Announce;
pub use self::cache::Cache;
use self::described::described;
pub use self::edge::Edge;
pub use self::front::Front;
pub use self::otlp::Otlp;
pub use self::shown::shown;
pub use self::work::{Jobs, Queue, Queues};
use crate::cli::{Cli, Command};

described! {
    #[derive(Clone, Debug, Serialize, Deserialize)]
    #[serde(default)]
    pub struct Config {
        /// The data directory.
        pub dir: PathBuf,
        /// The address to listen on; `:80` is port 80 on every address.
        pub http: String,
        /// The directory of static files; empty for `pb_public` beside the data directory, if it is there.
        pub public_dir: PathBuf,
        /// Whether paths that lead nowhere are answered with the site's first page.
        pub index_fallback: bool,
        /// Whether the dashboard is served at `/_/`.
        pub dashboard: bool,
        /// The environment variable that holds the key (32 bytes) that the settings are encrypted with; empty for none.
        pub encryption_env: String,
        /// Where the records are.
        pub data: Data,
        /// How nodes on one database hear of each other's writes.
        pub bus: Bus,
        /// What is kept in memory, and shared in Redis.
        pub cache: Cache,
        /// What balancers and edges are told.
        pub front: Front,
        /// The front doors that this process tells of itself.
        pub announce: Announce,
        /// What an edge keeps.
        pub edge: Edge,
        /// What the process says on standard error.
        pub log: Log,
        /// Where the log goes besides.
        pub otlp: Otlp,
        /// Calls to the outside.
        pub outbound: Outbound,
        /// Logins with passkeys.
        pub passkeys: Passkeys,
        /// Mails.
        pub mail: Mail,
        /// The files of records.
        pub files: Files,
        /// Schedules of your own: each a table `[[crons]]` with `id`, `schedule` (five segments, or a macro such as `@daily`;
        /// in UTC) and `url`, which is called by POST.
        pub crons: Vec<Cron>,
        /// Networks of the proxies before this one, such as front doors, separated by commas: their `X-Forwarded-For` counts, unless
        /// the settings name a header. Empty for none.
        pub trusted_proxies: String,
        /// How long requests are still let in after the stop signal, while `/readyz` already says no, so that balancers
        /// send them elsewhere.
        pub drain_ms: u64,
        /// What is seen of the process from outside.
        pub observe: Observe,
        /// Who this process is, in messages and metrics.
        pub node: Node,
        /// What is done after answers and by the clock.
        pub jobs: Jobs,
        /// How jobs get to who does them.
        pub queue: Queue,
        /// How each queue of jobs is served.
        pub queues: Queues,
    }

    #[derive(Clone, Debug, Serialize, Deserialize)]
    #[serde(default)]
    pub struct Node {
        /// Empty for the machine's name and the process's number.
        pub name: String,
        /// The zone that it stands in. Balancers may prefer the nodes of their own.
        pub zone: String,
        /// The region that it stands in.
        pub region: String,
    }

    #[derive(Clone, Debug, Serialize, Deserialize)]
    #[serde(default)]
    pub struct Observe {
        /// An address for `/livez`, `/readyz` and `/metrics` alone, open to whoever reaches it; empty for none. A worker that is
        /// told of none takes `127.0.0.1:9090`.
        pub http: String,
        /// Whether figures are kept.
        pub metrics: bool,
    }

    #[derive(Clone, Debug, Default, Serialize, Deserialize)]
    #[serde(default)]
    pub struct Data {
        /// `postgres://USER:PASSWORD@HOST/DATABASE`, with all hosts separated by commas if there are several; empty for SQLite in
        /// the data directory. `PANDO_DATA` is short for `PANDO_DATA_URL`.
        pub url: String,
    }

    #[derive(Clone, Debug, Serialize, Deserialize)]
    #[serde(default)]
    pub struct Bus {
        /// `nats://USER:PASSWORD@HOST:PORT` or `tls://…`, several separated by commas; empty for none.
        pub url: String,
        /// What all subjects begin with: each database has its own.
        pub prefix: String,
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

    #[derive(Clone, Debug, Default, Serialize, Deserialize)]
    #[serde(default)]
    pub struct Outbound {
        /// Whether addresses that come from outside, such as those of avatars, may lead into the own network.
        pub allow_private: bool,
    }

    #[derive(Clone, Debug, Serialize, Deserialize)]
    #[serde(default)]
    pub struct Log {
        /// How much of it: `error`, `warn`, `info`, `debug`, or by part, as in `store=debug`.
        pub messages: String,
        /// How it is said: `text` for people, `json` for machines, one object on each line.
        pub format: LogFormat,
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
        /// A bucket for the files of records, in place of the one in the settings.
        pub s3: Bucket,
    }

    #[derive(Clone, Debug, Default, Serialize, Deserialize)]
    #[serde(default)]
    pub struct Bucket {
        /// The store's address, such as `https://s3.example.com`.
        pub endpoint: String,
        /// The bucket's name.
        pub bucket: String,
        /// The bucket's region.
        pub region: String,
        /// The name of the key.
        pub access_key: String,
        /// The key itself.
        pub secret: String,
        /// Whether addresses are `endpoint/bucket/key` rather than `bucket.endpoint/key`.
        pub path_style: bool,
    }
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

impl Default for Bus {
    fn default() -> Self {
        Bus { url: String::new(), prefix: "pando".into() }
    }
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

impl Default for Config {
    fn default() -> Self {
        Config {
            dir: "pb_data".into(),
            http: "127.0.0.1:8090".into(),
            public_dir: PathBuf::new(),
            index_fallback: true,
            dashboard: true,
            encryption_env: String::new(),
            data: Data::default(),
            bus: Bus::default(),
            cache: Cache::default(),
            front: Front::default(),
            announce: Announce::default(),
            edge: Edge::default(),
            log: Log::default(),
            otlp: Otlp::default(),
            outbound: Outbound::default(),
            passkeys: Passkeys::default(),
            mail: Mail::default(),
            files: Files::default(),
            crons: Vec::new(),
            trusted_proxies: String::new(),
            drain_ms: 0,
            observe: Observe::default(),
            node: Node::default(),
            jobs: Jobs::default(),
            queue: Queue::default(),
            queues: Queues::default(),
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

impl Default for Log {
    fn default() -> Self {
        Log { messages: "info".into(), format: LogFormat::default() }
    }
}

impl Config {
    pub fn load(cli: &Cli) -> Result<Self> {
        let table = given::table(cli.common.config.as_deref(), std::env::vars())?;
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
        if let Command::Balance(front) | Command::Edge(front) = &cli.command {
            config.front.overlay(front);
        }
        if let Command::Worker(worker) = &cli.command
            && let Some(http) = &worker.http
        {
            config.observe.http = http.clone();
        }
        if !config.data.url.is_empty()
            && !["postgres://", "postgresql://"].iter().any(|scheme| config.data.url.starts_with(scheme))
        {
            bail!("data.url must begin with postgres://, or be empty for SQLite in the data directory");
        }
        let is_word = |text: &str| {
            let is_plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
            !text.is_empty() && text.chars().all(is_plain)
        };
        if !config.bus.prefix.split('.').all(is_word) {
            bail!("bus.prefix is made of letters, digits, - and _, in words separated by dots");
        }
        Ok(config)
    }

    /// The proxies that are believed by their addresses.
    pub fn behind(&self) -> Result<web::Behind> {
        let unreadable =
            |part| anyhow::anyhow!("trusted_proxies: {part:?} is neither a network nor an address");
        web::Behind::read(&self.trusted_proxies).map_err(unreadable)
    }

    /// The process that starts with this.
    pub fn node(&self) -> base::topology::Node {
        base::topology::Node::named(&self.node_name(), &self.node.zone, &self.node.region)
    }

    /// How the other nodes are reached.
    pub fn bus(&self) -> backing::bus::Options {
        let Bus { url, prefix } = self.bus.clone();
        backing::bus::Options { url, prefix, name: self.node_name() }
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
