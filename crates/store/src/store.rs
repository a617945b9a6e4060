//! The façade that the rest of the program holds.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base::topology::Node;
use base::{Clock, Name};
use query::{Batch, Change, ChangeItem, ChangeKind, Committed, Op, Row, Select};

use crate::engine::postgres::Postgres;
use crate::engine::sqlite::Sqlite;
use crate::engine::{Engine, ViewColumn};
use crate::error::{Error, Result};

/// Told of every commit, after it is durable and before the writer gets its answer.
pub type Listener = Arc<dyn Fn(&Arc<Change>) + Send + Sync>;

/// How to open a store.
pub struct Options {
    /// A directory holds SQLite files; `postgres://…` is a server.
    pub target: Target,
    pub node: Node,
    pub clock: Arc<dyn Clock>,
    pub listener: Listener,
    /// Keeps every other server out of a SQLite directory. A server sets it for one file of the directory, a
    /// command that only writes a record beside a running server does not.
    pub exclusive: bool,
}

#[derive(Clone, Debug)]
pub enum Target {
    /// The file inside the directory, e.g. `data.db`.
    Sqlite {
        dir: PathBuf,
        file: &'static str,
    },
    Postgres {
        url: String,
    },
}

/// Opens the engine that the target names. The only place that matches on engine kinds.
pub async fn open(options: Options) -> Result<Store> {
    let engine: Arc<dyn Engine> = match &options.target {
        Target::Sqlite { dir, file } => {
            let (dir, file, now) = (dir.clone(), *file, options.clock.now());
            let opened =
                tokio::task::spawn_blocking(move || Sqlite::open(&dir, file, options.exclusive, now));
            Arc::new(opened.await.map_err(|error| Error::Internal(error.to_string()))??)
        }
        Target::Postgres { url } => Arc::new(Postgres::open(url).await?),
    };
    Ok(Store::new(engine, options.node, options.clock, options.listener))
}

#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    engine: Arc<dyn Engine>,
    node: Node,
    clock: Arc<dyn Clock>,
    listener: Listener,
    sequence: AtomicU64,
}

impl Store {
    pub fn new(engine: Arc<dyn Engine>, node: Node, clock: Arc<dyn Clock>, listener: Listener) -> Self {
        Store(Arc::new(Inner { engine, node, clock, listener, sequence: AtomicU64::new(0) }))
    }

    /// Whether what is read and written is part of an open transaction.
    pub fn is_transaction(&self) -> bool {
        false
    }

    pub fn engine_name(&self) -> &'static str {
        self.0.engine.name()
    }

    pub async fn select(&self, select: &Select) -> Result<Vec<Row>> {
        self.0.engine.select(select).await
    }

    /// The first row, if any.
    pub async fn first(&self, select: &Select) -> Result<Option<Row>> {
        Ok(self.0.engine.select(select).await?.into_iter().next())
    }

    pub async fn count(&self, select: &Select) -> Result<u64> {
        self.0.engine.count(select).await
    }

    /// Commits, and announces what was committed.
    pub async fn commit(&self, batch: Batch) -> Result<Committed> {
        let mut items: Vec<Option<ChangeItem>> = batch.ops.iter().map(|op| Some(announced(op))).collect();
        let (schema, jobs) = (!batch.ddl.is_empty(), !batch.jobs.is_empty());
        let missing = self.0.engine.commit(batch).await?;
        for index in &missing {
            if let Some(item) = items.get_mut(*index) {
                *item = None;
            }
        }
        let change = Arc::new(Change {
            sequence: self.0.sequence.fetch_add(1, Ordering::Relaxed),
            origin: self.0.node.clone(),
            at: self.0.clock.now(),
            items: items.into_iter().flatten().collect(),
            schema,
            jobs,
        });
        (self.0.listener)(&change);
        Ok(Committed { missing, change: Some(change) })
    }

    pub async fn schema_version(&self) -> Result<u64> {
        self.0.engine.schema_version().await
    }

    /// See [`Engine::external_version`].
    pub fn external_version(&self) -> u64 {
        self.0.engine.external_version()
    }

    pub async fn describe_view(&self, query: &str) -> Result<Vec<ViewColumn>> {
        self.0.engine.describe_view(query).await
    }

    pub async fn ping(&self) -> Result<()> {
        self.0.engine.ping().await
    }

    /// See [`Engine::optimize`].
    pub async fn optimize(&self) -> Result<()> {
        self.0.engine.optimize().await
    }

    pub async fn close(&self) {
        self.0.engine.close().await;
    }
}

fn announced(op: &Op) -> ChangeItem {
    let (table, kind, id, row): (&Name, _, Option<Name>, _) = match op {
        Op::Insert { table, values } => {
            let id = values.iter().find(|(name, _)| &**name == "id").and_then(|(_, value)| value.as_str());
            (table, ChangeKind::Insert, id.map(Into::into), None)
        }
        Op::Update { table, id, .. } => (table, ChangeKind::Update, Some(id.clone()), None),
        Op::Delete { table, id, row } => (table, ChangeKind::Delete, Some(id.clone()), row.clone()),
        Op::DeleteWhere { table, .. } => (table, ChangeKind::Delete, None, None),
    };
    ChangeItem { table: table.clone(), kind, id, row }
}
