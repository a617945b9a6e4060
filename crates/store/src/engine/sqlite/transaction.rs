//! An open transaction: the writer thread does its steps, and nothing else meanwhile.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use crossbeam_channel::{Receiver, Sender};
use parking_lot::{Mutex, RwLock};
use query::{Batch, Claim, Row, Select};
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::connection::{failure, scalar};
use super::writer::Rendered;
use super::{describe, rows};
use crate::engine::{self, Engine, ViewColumn};
use crate::error::{Error, Result};
use crate::sql::{Dialect, Renderer, Statement, Views, write};

/// SQLite's instructions between two looks at the clock.
pub const STEP_OPCODES: i32 = 1000;

/// A transaction as the writer sees it.
pub struct Session {
    pub limit: Duration,
    /// Answered once the transaction is open.
    pub ready: oneshot::Sender<Result<()>>,
    pub steps: Receiver<Step>,
}

type Read = Box<dyn FnOnce(&Connection) + Send>;
/// Which records were gone, and the views if they are others now.
type Written = (Vec<usize>, Option<Views>);

pub enum Step {
    Read(Read),
    Write(Rendered, oneshot::Sender<Result<Written>>),
    Finish(bool, oneshot::Sender<Result<()>>),
}

/// How a transaction wants to end.
pub struct End {
    pub commit: bool,
    pub schema: bool,
    pub reply: oneshot::Sender<Result<()>>,
}

pub struct SqliteTransaction {
    /// `None` once it has ended. The writer undoes a transaction whose sender is gone.
    steps: Mutex<Option<Sender<Step>>>,
    views: RwLock<Arc<Views>>,
    /// Transactions come one after the other, so that ordinary writes get their turn between them.
    _turn: OwnedSemaphorePermit,
}

impl SqliteTransaction {
    pub fn new(steps: Sender<Step>, views: Arc<Views>, turn: OwnedSemaphorePermit) -> Self {
        SqliteTransaction { steps: Mutex::new(Some(steps)), views: RwLock::new(views), _turn: turn }
    }

    fn send(&self, step: Step) -> Result<()> {
        let steps = self.steps.lock();
        let steps = steps.as_ref().ok_or_else(|| Error::Internal("the transaction has ended".into()))?;
        // The writer went on to other things: the time was up.
        steps.send(step).map_err(|_| Error::Expired)
    }

    async fn read<T, F>(&self, read: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.send(Step::Read(Box::new(move |connection| {
            let _ = reply.send(read(connection).map_err(|error| failure(connection, error)));
        })))?;
        answer.await.map_err(|_| Error::Expired)?
    }

    async fn number(&self, statement: Statement) -> Result<u64> {
        let number = self.read(move |connection| scalar(connection, &statement)).await?;
        Ok(u64::try_from(number).unwrap_or(0))
    }

    fn views(&self) -> Arc<Views> {
        self.views.read().clone()
    }
}

#[async_trait]
impl Engine for SqliteTransaction {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    async fn select(&self, select: &Select) -> Result<Vec<Row>> {
        let statement = Renderer::new(Dialect::Sqlite, &self.views()).select(select);
        let columns = select.columns.clone();
        self.read(move |connection| rows::select(connection, &statement, &columns)).await
    }

    async fn count(&self, select: &Select) -> Result<u64> {
        let statement = Renderer::new(Dialect::Sqlite, &self.views()).count(select);
        self.number(statement).await
    }

    async fn commit(&self, batch: Batch) -> Result<Vec<usize>> {
        let (reply, answer) = oneshot::channel();
        self.send(Step::Write(Rendered::new(batch, &self.views()), reply))?;
        let (missing, views) = answer.await.map_err(|_| Error::Expired)??;
        if let Some(views) = views {
            *self.views.write() = Arc::new(views);
        }
        Ok(missing)
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<Row>> {
        let statement = write::claim(Dialect::Sqlite, &self.views(), claim);
        let columns = claim.columns.clone();
        self.read(move |connection| rows::select(connection, &statement, &columns)).await
    }

    async fn begin(&self, _limit: Duration) -> Result<Arc<dyn engine::Transaction>> {
        Err(engine::nested())
    }

    async fn schema_version(&self) -> Result<u64> {
        self.number(Statement { sql: "PRAGMA schema_version".into(), params: Vec::new() }).await
    }

    fn shared(&self) -> Option<&dyn engine::shared::Shared> {
        None
    }

    async fn describe_view(&self, query: &str) -> Result<Vec<ViewColumn>> {
        let query = query.to_owned();
        self.read(move |connection| describe::describe(connection, &query)).await
    }

    async fn ping(&self) -> Result<()> {
        self.number(Statement { sql: "SELECT 1".into(), params: Vec::new() }).await.map(drop)
    }

    async fn close(&self) {
        let _ = engine::Transaction::finish(self, false).await;
    }
}

#[async_trait]
impl engine::Transaction for SqliteTransaction {
    async fn finish(&self, commit: bool) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        let sent = self.send(Step::Finish(commit, reply));
        drop(self.steps.lock().take());
        sent?;
        answer.await.map_err(|_| Error::Expired)?
    }
}
