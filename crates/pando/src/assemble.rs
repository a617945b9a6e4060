//! The one place where parts are made and put together.

use std::future::Future;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use app::Parts;
use app::audit::Audit;
use app::auth::attempts::Attempts;
use app::auth::password::Hasher;
use app::backups::{self, Backups};
use app::caching::Keeping;
use app::catalog::Catalog;
use app::files::{Files, Thumbs};
use app::logs::{Logs, Retention};
use app::nodes::Nodes;
use app::outside::Outside;
use app::queues::{Queues, Waits};
use app::realtime::Realtime;
use app::settings::Held;
use app::webhooks::Webhooks;
use backing::bus::Hears;
use backing::otlp::Otlp;
use backing::replace::Replacement;
use backing::{Bus, CpuPool, Fetch, Mailer, QueryCache, RecordCache, Stamps};
use base::limits::{PASSWORD_QUEUE_MAX, THUMB_QUEUE_MAX};
use base::{Clock, SystemClock};
use observe::Sink;
use observe::health::{Check, Health};
use store::{Options, Store, Target};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::announcer::Announcer;
use crate::config::Config;
use crate::place;
use crate::sharing::Sharing;
use crate::surroundings;
use crate::witness::{Followers, Told};

/// Why the data is opened.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Serving: the only such process on a data directory.
    Serve,
    /// Serving as one of several nodes, whose own disks nobody else sees.
    Web,
    /// Doing the jobs of such nodes.
    Worker,
    /// A short command, which may run beside a server.
    Command,
}

impl Purpose {
    /// Whether other processes work on the same data, each with a disk of its own.
    fn is_one_of_many(self) -> bool {
        matches!(self, Purpose::Web | Purpose::Worker)
    }
}

pub struct Assembled {
    pub parts: Arc<Parts>,
    /// Where the data is, for people.
    pub place: String,
    /// Told of every batch of this process that brings jobs.
    pub jobs: Arc<Notify>,
    /// Hears what other nodes write.
    pub hears: Arc<dyn Hears>,
    /// Tells front doors, where some are configured.
    pub announcer: Option<Announcer>,
    /// Sends the log to a collector, where one is configured.
    pub otlp: Option<Otlp>,
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
    let (jobs, looks) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
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
    let catalog = Catalog::empty();
    let webhooks = Webhooks::new(&catalog, clock.clone(), web::WEBHOOKS);
    let audit = Audit::new(&catalog, clock.clone(), config.node_name());
    let bus = match on_postgres && purpose != Purpose::Command {
        true => Bus::open(&config.bus()).await.map_err(anyhow::Error::msg)?,
        false => Bus::default(),
    };
    let waits = Arc::new(Waits::default());
    let shared = match purpose {
        Purpose::Command => None,
        // Several nodes share records only while they agree on it, and that takes a bus.
        _ if on_postgres && !bus.crosses() => None,
        _ => config.cache.redis.open(Arc::new(bus.clone()))?,
    };
    // By which the others on the database know it, as do the front doors.
    let life = bus.life().cloned().unwrap_or_else(|| base::id::record().into());
    // A command ends before front doors would hear of it.
    let announcer = match purpose {
        Purpose::Command => None,
        _ => Announcer::open(config, &life)?,
    };
    let outside = Outside::new(&catalog, announcer.as_ref().map(Announcer::tells));
    let followers = Arc::new(Followers {
        told: Told { stamps: stamps.clone(), bus: bus.clone(), jobs: jobs.clone(), waits: waits.clone() },
        outside: outside.clone(),
        webhooks: webhooks.clone(),
        audit: audit.clone(),
        shared: shared.clone().map(|shared| Sharing::over(shared.tier)),
        looks: looks.clone(),
        announces: on_postgres && purpose == Purpose::Command,
    });
    let store = store::open(Options {
        target: target("data.db"),
        node: node.clone(),
        clock: clock.clone(),
        witness: followers.clone(),
        exclusive,
    })
    .await
    .with_context(|| format!("cannot open {place}"))?;
    if let Some(elsewhere) = place::elsewhere(config, &store).await? {
        store.close().await;
        if purpose.is_one_of_many() && elsewhere.data.url.is_empty() {
            bail!(
                "the data has moved to SQLite in {}, which is for one process alone: stop web nodes and workers, and \
                 serve it with pando serve, without data.url",
                elsewhere.dir.display()
            );
        }
        return Box::pin(open_parts(&elsewhere, purpose)).await;
    }
    let keeping = config.cache.keeping(on_postgres.then_some(&config.data.url))?;
    // A command ends soon, and others may write beside it.
    if purpose == Purpose::Serve && !keeping.behind.is_empty() {
        store.write_behind(keeping.behind.keys().cloned());
    }
    let log_store = match on_postgres {
        // Nobody waits for the log. When the data moves away, the log has a file of its own.
        true => store.unwaited().apart(),
        false => store::open(Options {
            target: target("auxiliary.db"),
            node,
            clock: clock.clone(),
            witness: Arc::new(()),
            exclusive: false,
        })
        .await
        .with_context(|| format!("cannot open the logs of {place}"))?,
    };

    let hashing = CpuPool::new("password", half_the_processors(), PASSWORD_QUEUE_MAX)
        .context("cannot start the threads that check passwords")?;
    let scaling = CpuPool::new("thumbnail", half_the_processors(), THUMB_QUEUE_MAX)
        .context("cannot start the threads that make thumbnails")?;
    let policy = config.cache.policy()?;
    let parts = Arc::new(Parts {
        catalog,
        records: RecordCache::new(stamps.clone(), policy, config.cache.record_bytes),
        answers: QueryCache::new(
            stamps.clone(),
            policy,
            config.cache.query_bytes,
            config.cache.ttl(on_postgres),
        ),
        filters: Default::default(),
        tokens: Default::default(),
        hasher: Hasher::new(hashing),
        attempts: Attempts::new(&store),
        mailer: Mailer::new(
            (!purpose.is_one_of_many() || !config.mail.outbox.is_empty()).then(|| config.outbox()),
        ),
        backups: Backups::new(
            backups::Place {
                dir: config.dir.clone(),
                has_data: !on_postgres,
                keeps: !purpose.is_one_of_many() || config.files.shared,
            },
            log_store.clone(),
        ),
        files: Files::new(
            (!purpose.is_one_of_many() || config.files.shared).then(|| config.dir.join("storage")),
            Thumbs::new(scaling, half_the_processors()),
        ),
        settings: Held::new(config.fixed()?),
        nodes: Nodes::new(
            life,
            &store,
            format!("{} {}", config.node_name(), own_address(config, purpose)),
            bus.clone(),
            looks,
        ),
        system: surroundings::system(config, purpose, log_store.clone(), clock.now()),
        queues: Queues::new(waits).map_err(in_full)?,
        cipher,
        doors: announcer.as_ref().and_then(Announcer::asks),
        audit,
        active: Default::default(),
        reports: Default::default(),
        insight: Default::default(),
        logs: Logs::new(log_store.clone(), clock.clone()),
        // Without a bus nothing tells this process of what others write to the same server.
        caching: purpose != Purpose::Command && (!on_postgres || bus.crosses()),
        outside,
        keeping: Keeping { shared, ..keeping },
        store,
        stamps,
        bus,
        realtime: Realtime::new(clock.clone(), web::WIRE),
        webhooks,
        fetch: Fetch::new(config.outbound.allow_private),
        passkeys: config.passkeys.options(),
        crons: config.crons()?,
        clock,
    });
    app::setup::prepare(&parts).await.map_err(in_full).with_context(|| format!("cannot prepare {place}"))?;
    let role = match purpose {
        Purpose::Worker => "worker",
        Purpose::Web => "web",
        Purpose::Serve | Purpose::Command => "serve",
    };
    let otlp = config.otlp(role)?.map(Otlp::new);
    Ok(Assembled { parts, place, jobs, hears: followers, announcer, otlp, log_store })
}

/// Where the process answers.
pub(crate) fn own_address(config: &Config, purpose: Purpose) -> String {
    match (purpose, config.watch_address()) {
        (Purpose::Worker, Some(address)) => address,
        _ => config.listen_address(),
    }
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
        let (parts, otlp) = (self.parts.clone(), self.otlp.clone());
        Box::new(move |lines| {
            let parts = parts.clone();
            if let Some(otlp) = &otlp {
                otlp.offer(lines.entries());
            }
            Box::pin(async move {
                let kept = Retention {
                    days_max: parts.settings.load().logs.max_days,
                    bytes_max: parts.insight.load().logs.max_bytes,
                };
                if let Err(error) = parts.logs.write(lines, kept).await {
                    tracing::warn!(details = error.details, "request log entries were lost: {error}");
                }
            })
        })
    }

    /// Sends what the log's sink offers, until `stop` completes.
    pub fn send_logs(&self, stop: impl Future<Output = ()> + Send + 'static) -> Option<JoinHandle<()>> {
        let otlp = self.otlp.clone()?;
        Some(tokio::spawn(otlp.run(self.parts.fetch.clone(), stop)))
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
