//! The one place where parts are made and put together.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use app::Parts;
use app::auth::attempts::Attempts;
use app::auth::password::Hasher;
use app::backups::Backups;
use app::catalog::Catalog;
use app::files::{Files, Thumbs};
use app::logs::Logs;
use app::nodes::Nodes;
use app::realtime::Realtime;
use app::settings::Held;
use backing::replace::Replacement;
use backing::{Bus, CpuPool, Fetch, Mailer, QueryCache, RecordCache, Stamps};
use base::limits::{PASSWORD_QUEUE_MAX, THUMB_QUEUE_MAX};
use base::{Clock, SystemClock};
use observe::Sink;
use observe::health::{Check, Health};
use query::Change;
use store::{Options, Store, Target};
use tokio::sync::Notify;

use crate::config::Config;
use crate::place;

/// Why the data is opened.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Serving: the only such process on a data directory.
    Serve,
    /// Serving as one of several nodes, whose own disks nobody else sees.
    Web,
    /// A short command, which may run beside a server.
    Command,
}

pub struct Assembled {
    pub parts: Arc<Parts>,
    /// Where the data is, for people.
    pub place: String,
    /// Told of every batch of this process that brings jobs.
    pub jobs: Arc<Notify>,
    /// The request log's, which is the data's own on a database server.
    pub log_store: Store,
}

/// Opens the data. What was restored is put in its place first; if it cannot be opened, what was there before comes back.
pub async fn open(config: &Config, purpose: Purpose) -> Result<Assembled> {
    let on_sqlite = config.data.url.is_empty();
    let replacement = Replacement::of(&config.dir, app::backups::KEPT);
    let replaced = on_sqlite && replacement.is_pending()?;
    if replaced && purpose == Purpose::Command {
        bail!("a backup is being restored in {}: start the server to finish that", config.dir.display());
    }
    if replaced || (on_sqlite && purpose == Purpose::Serve && config.dir.exists()) {
        let _lock = store::lock(&config.dir)?;
        replacement.settle().context("cannot finish the restore of a backup")?;
    }
    match open_parts(config, purpose).await {
        Ok(assembled) => {
            if replaced {
                replacement.accept().context("cannot remove what was there before the restore")?;
                tracing::info!("the backup is restored");
            }
            Ok(assembled)
        }
        Err(error) if replaced => {
            tracing::error!(
                "the restored backup cannot be opened, what was there before comes back: {error:#}"
            );
            replacement.reject().context("cannot bring back what was there before the restore")?;
            open_parts(config, purpose).await
        }
        Err(error) => Err(error),
    }
}

async fn open_parts(config: &Config, purpose: Purpose) -> Result<Assembled> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let cipher = config.cipher()?;
    let node = config.node();
    let stamps = Arc::new(Stamps::default());
    let bus = Bus::default();
    let jobs = Arc::new(Notify::new());
    let exclusive = purpose == Purpose::Serve;

    let on_postgres = !config.data.url.is_empty();
    let target = |file| match on_postgres {
        true => Target::Postgres { url: config.data.url.clone() },
        false => Target::Sqlite { dir: config.dir.clone(), file },
    };
    let place = match on_postgres {
        true => "PostgreSQL".to_string(),
        false => format!("SQLite in {}", config.dir.display()),
    };
    let listener: store::Listener = {
        let (stamps, bus, jobs) = (stamps.clone(), bus.clone(), jobs.clone());
        Arc::new(move |change: &Arc<Change>| {
            stamps.apply(change);
            bus.publish(change);
            if change.jobs {
                jobs.notify_one();
            }
        })
    };
    let store = store::open(Options {
        target: target("data.db"),
        node: node.clone(),
        clock: clock.clone(),
        listener,
        exclusive,
    })
    .await
    .with_context(|| format!("cannot open {place}"))?;
    if let Some(elsewhere) = place::elsewhere(config, &store).await? {
        store.close().await;
        return Box::pin(open_parts(&elsewhere, purpose)).await;
    }
    let log_store = match on_postgres {
        // Nobody waits for the log.
        true => store.unwaited(),
        false => store::open(Options {
            target: target("auxiliary.db"),
            node,
            clock: clock.clone(),
            listener: Arc::new(|_| {}),
            exclusive: false,
        })
        .await
        .with_context(|| format!("cannot open the logs of {place}"))?,
    };

    let hashing = CpuPool::new("password", half_the_processors(), PASSWORD_QUEUE_MAX)
        .context("cannot start the threads that check passwords")?;
    let scaling = CpuPool::new("thumbnail", half_the_processors(), THUMB_QUEUE_MAX)
        .context("cannot start the threads that make thumbnails")?;
    let parts = Arc::new(Parts {
        catalog: Catalog::empty(),
        records: RecordCache::new(stamps.clone(), config.cache.record_bytes),
        answers: QueryCache::new(stamps.clone(), config.cache.query_bytes),
        filters: Default::default(),
        tokens: Default::default(),
        hasher: Hasher::new(hashing),
        attempts: Attempts::new(&store),
        mailer: Mailer::new(
            (purpose != Purpose::Web || !config.mail.outbox.is_empty()).then(|| config.outbox()),
        ),
        backups: Backups::new((!on_postgres).then(|| config.dir.clone()), log_store.clone()),
        files: Files::new(
            (purpose != Purpose::Web || config.files.shared).then(|| config.dir.join("storage")),
            Thumbs::new(scaling, half_the_processors()),
        ),
        settings: Held::new(config.fixed()?),
        nodes: Nodes::new(&store, format!("{} {}", config.node_name(), config.listen_address())),
        cipher,
        logs: Logs::new(log_store.clone(), clock.clone()),
        // Nothing tells this process yet of what others write to the same server.
        caching: !on_postgres && purpose == Purpose::Serve,
        store,
        stamps,
        bus,
        realtime: Realtime::new(clock.clone(), web::WIRE),
        fetch: Fetch::new(config.outbound.allow_private),
        passkeys: config.passkeys.options(),
        crons: config.crons()?,
        clock,
    });
    app::setup::prepare(&parts).await.map_err(in_full).with_context(|| format!("cannot prepare {place}"))?;
    Ok(Assembled { parts, place, jobs, log_store })
}

/// The message is for clients of the API; here is a person.
fn in_full(error: app::Error) -> anyhow::Error {
    match &error.details {
        Some(details) => anyhow::anyhow!("{error} {details}"),
        None => error.into(),
    }
}

/// What logins may take at most; the rest is everyone else's.
fn half_the_processors() -> usize {
    std::thread::available_parallelism().map_or(1, |count| count.get() / 2)
}

impl Assembled {
    /// What must be well for requests to be served.
    pub fn health(&self) -> Health {
        let (store, parts) = (self.parts.store.clone(), self.parts.clone());
        Health::new(vec![
            Check::new("database", move || {
                let store = store.clone();
                async move { store.ping().await.map_err(|error| error.to_string()) }
            }),
            Check::new("schema", move || {
                let loaded = parts.catalog.schema().superusers().is_some();
                async move { if loaded { Ok(()) } else { Err("no collection is known".into()) } }
            }),
        ])
    }

    /// What is looked at when metrics are read.
    pub fn sampler(&self) -> observe::metrics::Sampler {
        let parts = Arc::downgrade(&self.parts);
        Box::new(move || {
            let parts = parts.upgrade();
            Box::pin(async move {
                if let Some(parts) = parts {
                    app::figures::sample(&parts).await;
                }
            })
        })
    }

    /// Where request log entries go.
    pub fn log_sink(&self) -> Sink {
        let parts = self.parts.clone();
        Box::new(move |entries| {
            let parts = parts.clone();
            Box::pin(async move {
                let days_max = parts.settings.load().logs.max_days;
                if let Err(error) = parts.logs.write(entries, days_max).await {
                    tracing::warn!(details = error.details, "request log entries were lost: {error}");
                }
            })
        })
    }

    /// For the end of a server, which alone indexes its log.
    pub async fn drain_logs(&self) {
        if let Err(error) = self.parts.logs.drain(self.parts.settings.load().logs.max_days).await {
            tracing::warn!(details = error.details, "spooled log entries wait for the next start: {error}");
        }
    }

    pub async fn close(&self) {
        self.parts.store.close().await;
        self.log_store.close().await;
    }
}
