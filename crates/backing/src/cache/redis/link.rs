//! The connection: commands with a deadline, and who is at the other end.
//!
//! Everything is done by scripts that are called by their hash, and their text carries the identity of the servers that they
//! were loaded into. A server that was started anew, or promoted in the place of another, does not know them: it refuses
//! whatever is asked of it until it has been looked who it is. So no answer of a server is ever taken for another's,
//! however connections come and go below. (Servers before version 7 hand scripts to their replicas, and are refused.)

use std::sync::Arc;
use std::time::{Duration, Instant};

use base::limits::{TIER_CONNECT_MS, TIER_QUEUE_MAX, TIER_RETRY_MS, TIER_SILENT_MS};
use bytes::Bytes;
use fred::clients::Client;
use fred::error::ErrorKind;
use fred::interfaces::{ClientLike, ClusterInterface, LuaInterface};
use fred::types::config::{Options, ReconnectPolicy, Server, UnresponsiveConfig};
use fred::types::{Builder, ClusterHash, CustomCommand, Key, Value};
use parking_lot::Mutex;

use super::super::tier::Server as Told;
use super::{Error, address, meters};

const READ: &str = include_str!("read.lua");
const WRITE: &str = include_str!("write.lua");
const VERSION_MIN: u32 = 7;
/// Longer than a command's time: nobody waits for it.
const LEARN: Duration = Duration::from_millis(TIER_SILENT_MS);

pub struct Link {
    client: Client,
    call: Duration,
    /// Part of every script, so that what this process loads is called by nobody else.
    own: Mutex<String>,
}

/// The servers behind a link, as they were found.
#[derive(Clone, Debug)]
pub struct Servers {
    /// The primaries' processes, and how often each became one.
    pub identity: Arc<str>,
    read: String,
    write: String,
}

#[derive(Clone, Copy)]
pub enum Script {
    Read,
    Write,
}

/// Why a command brought nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The server is not the one that it was, or has become a replica.
    Changed,
    /// It refuses for want of memory.
    Full,
    /// No answer in time, or no connection.
    Silent,
}

impl Link {
    /// Does not wait for a connection.
    pub fn open(url: &str, call: Duration) -> Result<Link, Error> {
        let mut builder = Builder::from_config(address::parse(url)?);
        builder.set_policy(ReconnectPolicy::new_constant(0, TIER_RETRY_MS as u32));
        builder.with_performance_config(|performance| performance.default_command_timeout = LEARN);
        builder.with_connection_config(|connection| {
            connection.connection_timeout = Duration::from_millis(TIER_CONNECT_MS);
            connection.internal_command_timeout = Duration::from_millis(TIER_CONNECT_MS);
            connection.max_command_attempts = 1;
            connection.max_command_buffer_len = TIER_QUEUE_MAX;
            connection.unresponsive = UnresponsiveConfig {
                max_timeout: Some(Duration::from_millis(TIER_SILENT_MS)),
                interval: Duration::from_millis(TIER_SILENT_MS / 4),
            };
            connection.tcp.nodelay = Some(true);
        });
        let client = builder.build().map_err(|error| Error::Url(error.details().into()))?;
        client.connect();
        Ok(Link { client, call, own: Mutex::new(base::id::record()) })
    }

    /// How long a command may take.
    pub fn call_max(&self) -> Duration {
        self.call
    }

    /// Runs a script on one key.
    pub async fn run(
        &self,
        servers: &Servers,
        script: Script,
        key: &str,
        arguments: Vec<Value>,
        limit: Duration,
    ) -> Result<Value, Failure> {
        let hash = match script {
            Script::Read => &servers.read,
            Script::Write => &servers.write,
        };
        let operation = operation(&arguments);
        let began = Instant::now();
        let options = Options { timeout: Some(limit), max_attempts: Some(1), ..Options::default() };
        let client = self.client.with_options(&options);
        let done = client.evalsha(hash.as_str(), vec![Key::from(key)], arguments).await;
        meters::called(operation, began);
        done.map_err(|error| {
            let failure = failure(&error);
            tracing::debug!("{operation} at Redis failed: {error}");
            failure
        })
    }

    /// Finds out who the servers are, and teaches them the scripts.
    pub async fn learn(&self) -> Result<Servers, Error> {
        let places = self.primaries().await?;
        let before = self.identities(&places).await?;
        let identity = before.join(" ");
        let own = self.own.lock().clone();
        let [mut read, mut write] = [String::new(), String::new()];
        for place in &places {
            for (hash, flags, text) in [(&mut read, "", READ), (&mut write, " flags=allow-oom", WRITE)] {
                // A replica refuses a script that says that it may write.
                let text = format!("#!lua{flags}\n-- {own} {identity}\n{text}");
                *hash = self.tell(place, "SCRIPT", &["LOAD", &text]).await?;
            }
        }
        if self.identities(&places).await? != before {
            // Who has these scripts now is not known: they are not to be called again.
            *self.own.lock() = base::id::record();
            return Err(Error::Unsettled);
        }
        Ok(Servers { identity: identity.into(), read, write })
    }

    /// Who the servers are now, without a word to them that would change anything.
    pub async fn identity(&self) -> Result<String, Error> {
        let places = self.primaries().await?;
        Ok(self.identities(&places).await?.join(" "))
    }

    pub async fn get(&self, key: &str) -> Result<Option<Bytes>, Error> {
        let hash = ClusterHash::from(key);
        let options = Options { timeout: Some(LEARN), max_attempts: Some(1), ..Options::default() };
        let command = CustomCommand::new_static("GET", hash, false);
        let client = self.client.with_options(&options);
        client.custom(command, vec![key]).await.map_err(Error::from)
    }

    /// How each primary does, by what it tells of itself.
    pub async fn tell_all(&self) -> Result<Vec<Told>, Error> {
        let mut all = Vec::new();
        for place in self.primaries().await? {
            let info = self.tell(&place, "INFO", &[]).await?;
            let known = place.or_else(|| self.client.active_connections().into_iter().next());
            let address = known.map(|server| format!("{}:{}", server.host, server.port)).unwrap_or_default();
            all.push(told(address, &info));
        }
        Ok(all)
    }

    async fn primaries(&self) -> Result<Vec<Option<Server>>, Error> {
        if !self.client.is_clustered() {
            return Ok(vec![None]);
        }
        tokio::time::timeout(LEARN, self.client.sync_cluster()).await.map_err(|_| Error::Silent)??;
        let known = self.client.cached_cluster_state();
        let mut places = known.map(|state| state.unique_primary_nodes()).unwrap_or_default();
        places.sort();
        match places.is_empty() {
            true => Err(Error::Silent),
            false => Ok(places.into_iter().map(Some).collect()),
        }
    }

    async fn identities(&self, places: &[Option<Server>]) -> Result<Vec<String>, Error> {
        let mut found = Vec::new();
        for place in places {
            let server = self.tell(place, "INFO", &["server"]).await?;
            let replication = self.tell(place, "INFO", &["replication"]).await?;
            let version = line(&server, "redis_version").unwrap_or_default();
            let major = version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0);
            // Valkey calls itself Redis 7.2 here.
            if major < VERSION_MIN {
                return Err(Error::Old(version.into()));
            }
            if line(&replication, "role") != Some("master") {
                return Err(Error::Unsettled);
            }
            let (run, turn) = (line(&server, "run_id"), line(&replication, "master_replid"));
            let (Some(run), Some(turn)) = (run, turn) else { return Err(Error::Unsettled) };
            found.push(format!("{run}/{turn}"));
        }
        found.sort();
        Ok(found)
    }

    async fn tell(
        &self,
        place: &Option<Server>,
        command: &'static str,
        words: &[&str],
    ) -> Result<String, Error> {
        let options = Options {
            timeout: Some(LEARN),
            max_attempts: Some(1),
            max_redirections: Some(0),
            cluster_node: place.clone(),
            ..Options::default()
        };
        let command = CustomCommand::new_static(command, ClusterHash::Random, false);
        Ok(self.client.with_options(&options).custom(command, words.to_vec()).await?)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let client = self.client.clone();
            runtime.spawn(async move { client.quit().await });
        }
    }
}

/// The word that a script goes by, for figures.
fn operation(arguments: &[Value]) -> &'static str {
    match arguments.first().and_then(|word| word.as_bytes()) {
        Some(b"look") => "look",
        Some(b"fill") => "fill",
        Some(b"hide") => "hide",
        Some(b"lift") => "lift",
        _ => "turn",
    }
}

fn failure(error: &fred::error::Error) -> Failure {
    match error.details().split(' ').next() {
        Some("NOSCRIPT" | "READONLY" | "MASTERDOWN") => Failure::Changed,
        Some("OOM") => Failure::Full,
        _ if *error.kind() == ErrorKind::Cluster => Failure::Changed,
        _ => Failure::Silent,
    }
}

/// In the form of `INFO`.
fn told(address: String, info: &str) -> Told {
    let number = |name: &str| line(info, name).and_then(|value| value.parse::<f64>().ok());
    let mut figures = Vec::new();
    for (figure, name) in [
        ("cache.bytes", "used_memory"),
        ("cache.bytesMax", "maxmemory"),
        ("cache.connections", "connected_clients"),
        ("cache.operations", "instantaneous_ops_per_sec"),
        ("cache.evictions", "evicted_keys"),
    ] {
        figures.extend(number(name).map(|value| (figure, value)));
    }
    // 0 stands for no bound.
    figures.retain(|(figure, value)| *figure != "cache.bytesMax" || *value > 0.0);
    if let (Some(hits), Some(misses)) = (number("keyspace_hits"), number("keyspace_misses"))
        && hits + misses > 0.0
    {
        figures.push(("cache.hits", hits / (hits + misses)));
    }
    let valkey = line(info, "valkey_version");
    let version = valkey.or(line(info, "redis_version")).unwrap_or_default().to_owned();
    Told { name: if valkey.is_some() { "valkey" } else { "redis" }, address, version, figures }
}

fn line<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}
