//! The façade that the rest of the program holds.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use base::topology::Node;
use base::{Clock, Name, limits};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use query::{Batch, Change, ChangeItem, ChangeKind, Claim, Committed, Op, Row, Select, Visits};

use crate::compose::{Behind, Gathered, Replicated};
use crate::engine::postgres::{Address, Postgres};
use crate::engine::shared::Shared;
use crate::engine::sqlite::Sqlite;
use crate::engine::transfer::{Arrival, Departure};
use crate::engine::{self, Engine, Later, ViewColumn};
use crate::error::{Error, Result};
use crate::gate::{Gate, Passage};
use crate::meters::{Meters, Operation};
use crate::unhurried::ToTheEnd;

/// Who follows commits.
pub trait Witness: Send + Sync {
    /// Before a batch goes to the database, also as a step of a transaction. May add to it. The commit waits for what is
    /// returned, and may fail after it.
    fn before<'a>(&'a self, _batch: &'a mut Batch) -> Option<BoxFuture<'a, ()>> {
        None
    }

    /// After a commit is durable, at once. The writer gets its answer when what is returned has ended.
    fn after(&self, change: &Arc<Change>) -> Option<BoxFuture<'static, ()>>;

    /// After a commit of which nobody can tell whether it happened, or will. Its writer is told that it is unknown.
    fn unsure(&self) {}
}

/// Nobody follows.
impl Witness for () {
    fn after(&self, _change: &Arc<Change>) -> Option<BoxFuture<'static, ()>> {
        None
    }
}

/// How to open a store.
pub struct Options {
    /// A directory holds SQLite files; `postgres://…` is a server.
    pub target: Target,
    pub node: Node,
    pub clock: Arc<dyn Clock>,
    pub witness: Arc<dyn Witness>,
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
        Target::Postgres { url } => match &Address::all(url)?[..] {
            [only] => Arc::new(Gathered::over(Arc::new(Postgres::open(only).await?))),
            hosts => Arc::new(Gathered::over(Arc::new(Replicated::open(hosts).await?))),
        },
    };
    let database = match options.target {
        Target::Sqlite { file, .. } => file.split_once('.').map_or(file, |(stem, _)| stem),
        Target::Postgres { .. } => "data",
    };
    let Options { node, clock, witness, .. } = options;
    let announcer = Announcer { node, clock, witness, sequence: AtomicU64::new(0) };
    Ok(Store::metered(engine, announcer, database))
}

/// Keeps every server out of a SQLite directory until what is returned is dropped. Fails when one is there.
pub fn lock(dir: &Path) -> Result<impl Drop + use<>> {
    crate::engine::sqlite::DirectoryLock::take(dir)
}

/// Whether a file is a sound SQLite database. The error says what is wrong. Blocks.
pub fn check_file(path: &Path) -> Result<()> {
    crate::engine::sqlite::check_file(path)
}

#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    engine: ArcSwap<Arc<dyn Engine>>,
    outlet: Outlet,
    meters: Arc<Meters>,
    /// What is shared with other processes stays where it was when this one began.
    together: Option<Arc<dyn Engine>>,
    gate: Arc<Gate>,
    switched: AtomicBool,
    /// Of a transaction: when it was opened.
    ticket: Option<Passage>,
    /// Whether a step of this transaction was refused because the data has moved.
    moved: AtomicBool,
}

/// Where it is told what was written.
enum Outlet {
    /// To everybody, at once.
    Announce(Arc<Announcer>),
    /// To nobody before the transaction ends.
    Collect(Arc<Announcer>, Mutex<Written>),
}

struct Announcer {
    node: Node,
    clock: Arc<dyn Clock>,
    witness: Arc<dyn Witness>,
    sequence: AtomicU64,
}

/// What a commit tells of.
#[derive(Default)]
struct Written {
    items: Vec<ChangeItem>,
    schema: bool,
    jobs: bool,
}

impl Outlet {
    fn announcer(&self) -> &Arc<Announcer> {
        match self {
            Outlet::Announce(announcer) | Outlet::Collect(announcer, _) => announcer,
        }
    }
}

impl Announcer {
    async fn announce(&self, written: Written) -> Arc<Change> {
        let change = Arc::new(Change {
            sequence: self.sequence.fetch_add(1, Ordering::Relaxed),
            origin: self.node.clone(),
            at: self.clock.now(),
            items: written.items,
            schema: written.schema,
            jobs: written.jobs,
        });
        if let Some(followed) = self.witness.after(&change) {
            followed.await;
        }
        change
    }
}

impl Store {
    pub fn new(
        engine: Arc<dyn Engine>,
        node: Node,
        clock: Arc<dyn Clock>,
        witness: Arc<dyn Witness>,
    ) -> Self {
        let announcer = Announcer { node, clock, witness, sequence: AtomicU64::new(0) };
        Store::metered(engine, announcer, "data")
    }

    /// `database` is what metrics call it.
    fn metered(engine: Arc<dyn Engine>, announcer: Announcer, database: &'static str) -> Self {
        let (outlet, meters) = (Outlet::Announce(Arc::new(announcer)), Arc::new(Meters::new(database)));
        Store(Arc::new(Inner::new(engine, outlet, Arc::default(), meters)))
    }

    /// From here on, updates of these tables may be acknowledged before they are written. Not for a database that others
    /// write to as well.
    pub fn write_behind(&self, tables: impl IntoIterator<Item = Name>) {
        let behind = Behind::over(self.0.engine(), tables.into_iter().collect());
        self.0.engine.store(Arc::new(Arc::new(behind)));
    }

    /// See [`Engine::directly`].
    pub async fn directly(&self, directly: bool) -> Result<()> {
        self.0.engine().directly(directly).await
    }

    /// Whether a switch is to be expected: then a write that finds the data moved waits for it.
    pub fn expect_switch(&self, expected: bool) {
        self.0.gate.expected(expected);
    }

    /// Writes to the other store's database what this one acknowledged and could not write any more.
    pub async fn hand_over(&self, other: &Store) -> Result<()> {
        // Where the data has moved already, nothing is written here any more.
        let _ = self.directly(true).await;
        let ops = self.0.engine().left();
        if !ops.is_empty() {
            other.0.engine().commit(Batch { ops, ..Batch::default() }).await?;
        }
        Ok(())
    }

    /// From here on everything is read from and written to the other store's database. Writes that wait go there.
    pub fn switch_to(&self, other: &Store) {
        self.0.engine.store(other.0.engine.load_full());
        self.0.switched.store(true, Ordering::Release);
        self.0.gate.switch();
    }

    /// Whether a write found that the data is elsewhere by now.
    pub fn found_moved(&self) -> bool {
        self.0.gate.found_moved()
    }

    /// Whether it was switched to another database since it was opened.
    pub fn has_switched(&self) -> bool {
        self.0.switched.load(Ordering::Relaxed)
    }

    /// The same database by a handle of its own: where one is switched to, the other does not go.
    pub fn apart(&self) -> Store {
        let (outlet, meters) = (Outlet::Announce(self.0.outlet.announcer().clone()), self.0.meters.clone());
        Store(Arc::new(Inner::new(self.0.engine(), outlet, Arc::default(), meters)))
    }

    /// The same store for writes that nobody reads at once: see [`Engine::unwaited`].
    pub fn unwaited(&self) -> Store {
        match (self.0.engine().unwaited(), &self.0.outlet) {
            (Some(engine), Outlet::Announce(announcer)) => {
                let (outlet, meters) = (Outlet::Announce(announcer.clone()), self.0.meters.clone());
                Store(Arc::new(Inner::new(engine, outlet, Arc::default(), meters)))
            }
            _ => self.clone(),
        }
    }

    /// Whether what is read and written is part of an open transaction.
    pub fn is_transaction(&self) -> bool {
        matches!(self.0.outlet, Outlet::Collect(..))
    }

    /// Opens a transaction, to be undone if it is still open after `limit`. While it is open on SQLite all other
    /// writes wait.
    pub async fn begin(&self, limit: Duration) -> Result<Transaction> {
        let (ticket, meters) = (self.0.gate.ticket(), self.0.meters.clone());
        let engine = meters.measure(Operation::Begin, self.0.engine().begin(limit)).await?;
        let outlet = Outlet::Collect(self.0.outlet.announcer().clone(), Mutex::default());
        let inner = Inner::new(engine.clone(), outlet, self.0.gate.clone(), meters);
        let inner = Inner { ticket: Some(ticket), ..inner };
        Ok(Transaction { outer: self.clone(), store: Store(Arc::new(inner)), engine })
    }

    pub fn engine_name(&self) -> &'static str {
        self.0.engine().name()
    }

    pub async fn select(&self, select: &Select) -> Result<Vec<Row>> {
        self.0.meters.measure(Operation::Select, self.0.engine().select(select)).await
    }

    /// The first row, if any.
    pub async fn first(&self, select: &Select) -> Result<Option<Row>> {
        Ok(self.select(select).await?.into_iter().next())
    }

    pub async fn count(&self, select: &Select) -> Result<u64> {
        self.0.meters.measure(Operation::Count, self.0.engine().count(select)).await
    }

    /// See [`Engine::count_by_hour`].
    pub async fn count_by_hour(&self, select: &Select, column: &Name) -> Result<Vec<(String, u64)>> {
        self.0.engine().count_by_hour(select, column).await
    }

    /// See [`Engine::visits`].
    pub async fn visits(&self, visits: &Visits) -> Result<Vec<[i64; 3]>> {
        self.0.engine().visits(visits).await
    }

    /// Commits, and announces what was committed. A caller that goes away does not keep a write that happened from
    /// being announced.
    pub async fn commit(&self, batch: Batch) -> Result<Committed> {
        let inner = self.0.clone();
        ToTheEnd::of(async move { inner.commit(batch, None).await }).await
    }

    /// As [`Store::commit`], but it may be acknowledged before it is durable, where [`Store::write_behind`] allows it. It
    /// is announced at once.
    pub async fn commit_later(&self, batch: Batch, later: Later) -> Result<Committed> {
        let inner = self.0.clone();
        ToTheEnd::of(async move { inner.commit(batch, Some(later)).await }).await
    }

    /// Takes rows of a table of bookkeeping, which is announced to nobody: see [`Engine::claim`].
    pub async fn claim(&self, claim: &Claim) -> Result<Vec<Row>> {
        if !claim.table.starts_with("_pando_") {
            return Err(Error::Internal(format!("{} has followers, who would not be told", claim.table)));
        }
        self.0.meters.measure(Operation::Claim, self.0.claim(claim)).await
    }

    pub async fn schema_version(&self) -> Result<u64> {
        self.0.engine().schema_version().await
    }

    /// See [`Engine::external_version`].
    pub fn external_version(&self) -> u64 {
        self.0.engine().external_version()
    }

    /// See [`Engine::shared`].
    pub fn shared(&self) -> Option<&dyn Shared> {
        self.0.together.as_ref()?.shared()
    }

    pub async fn describe_view(&self, query: &str) -> Result<Vec<ViewColumn>> {
        self.0.engine().describe_view(query).await
    }

    /// See [`Engine::snapshot`].
    pub async fn snapshot(&self, to: &Path) -> Result<()> {
        self.0.engine().snapshot(to).await
    }

    /// See [`Engine::console`]. What it wrote is not announced.
    pub async fn console(&self, sql: &str) -> Result<engine::Console> {
        let (inner, sql) = (self.0.clone(), sql.to_owned());
        ToTheEnd::of(async move { inner.engine().console(&sql).await }).await
    }

    /// See [`Engine::depart`].
    pub async fn depart(&self) -> Result<Box<dyn Departure>> {
        self.0.engine().depart().await
    }

    /// See [`Engine::arrive`].
    pub async fn arrive(&self) -> Result<Box<dyn Arrival>> {
        self.0.engine().arrive().await
    }

    pub async fn ping(&self) -> Result<()> {
        self.0.engine().ping().await
    }

    /// See [`Engine::optimize`].
    pub async fn optimize(&self) -> Result<()> {
        self.0.engine().optimize().await
    }

    /// Sets the gauges of the database's inside. Asks nothing of the database itself.
    pub fn sample(&self) {
        for (name, value) in self.0.engine().gauges() {
            self.0.meters.gauge(name, value);
        }
    }

    pub async fn close(&self) {
        self.0.engine().close().await;
    }
}

impl Inner {
    fn new(engine: Arc<dyn Engine>, outlet: Outlet, gate: Arc<Gate>, meters: Arc<Meters>) -> Self {
        Inner {
            together: engine.shared().is_some().then(|| engine.clone()),
            engine: ArcSwap::from_pointee(engine),
            outlet,
            meters,
            gate,
            switched: AtomicBool::default(),
            ticket: None,
            moved: AtomicBool::default(),
        }
    }

    fn engine(&self) -> Arc<dyn Engine> {
        Arc::clone(&self.engine.load())
    }

    async fn put(&self, batch: Batch, later: Option<&Later>) -> Result<Vec<usize>> {
        match later {
            Some(later) => self.engine().commit_later(batch, later).await,
            None => self.engine().commit(batch).await,
        }
    }

    /// A batch that finds the data moved is none the less done, where the data is now.
    async fn write(&self, batch: Batch, later: Option<&Later>) -> Result<Vec<usize>> {
        if let Some(ticket) = &self.ticket {
            let done = self.put(batch, later).await;
            if matches!(done, Err(Error::Moved)) {
                // The whole of it is done again, in a transaction of the other database.
                self.gate.wait(ticket.clone()).await?;
                self.moved.store(true, Ordering::Relaxed);
            }
            return done;
        }
        let Some(passage) = self.gate.passage() else {
            let done = self.put(batch, later).await;
            if matches!(done, Err(Error::Moved)) {
                self.gate.find();
            }
            return done;
        };
        match self.put(batch.clone(), later).await {
            Err(Error::Moved) => {}
            other => return other,
        }
        self.gate.wait(passage).await?;
        self.put(batch, later).await
    }

    /// As [`Inner::write`].
    async fn claim(&self, claim: &Claim) -> Result<Vec<Row>> {
        let passage = self.ticket.clone().or_else(|| self.gate.passage());
        let rows = match (self.engine().claim(claim).await, passage) {
            (Err(Error::Moved), Some(passage)) => {
                self.gate.wait(passage).await?;
                if self.ticket.is_some() {
                    self.moved.store(true, Ordering::Relaxed);
                    return Err(Error::Moved);
                }
                self.engine().claim(claim).await
            }
            (rows, _) => rows,
        };
        if matches!(rows, Err(Error::Moved)) {
            self.gate.find();
        }
        rows
    }

    async fn commit(&self, mut batch: Batch, later: Option<Later>) -> Result<Committed> {
        let announcer = self.outlet.announcer();
        if let Some(prepared) = announcer.witness.before(&mut batch) {
            prepared.await;
        }
        for job in &mut batch.jobs {
            let head_start = limits::JOB_HEAD_START_MS * (1.0 + job.priority.number()) as i64;
            job.due.get_or_insert_with(|| announcer.clock.now().0 - head_start);
        }
        let mut items: Vec<Option<ChangeItem>> = batch.ops.iter().map(|op| Some(announced(op))).collect();
        let (schema, jobs) = (!batch.ddl.is_empty(), !batch.jobs.is_empty());
        let written = self.meters.measure(Operation::Commit, self.write(batch, later.as_ref())).await;
        if let (Err(Error::Uncertain(_)), Outlet::Announce(announcer)) = (&written, &self.outlet) {
            announcer.witness.unsure();
        }
        let missing = written?;
        for index in &missing {
            if let Some(item) = items.get_mut(*index) {
                *item = None;
            }
        }
        let items = items.into_iter().flatten();
        let change = match &self.outlet {
            Outlet::Announce(announcer) => {
                Some(announcer.announce(Written { items: items.collect(), schema, jobs }).await)
            }
            Outlet::Collect(_, written) => {
                let mut written = written.lock();
                written.items.extend(items);
                written.schema |= schema;
                written.jobs |= jobs;
                None
            }
        };
        Ok(Committed { missing, change })
    }
}

/// A transaction that is open until it is committed, rolled back or dropped.
pub struct Transaction {
    outer: Store,
    store: Store,
    engine: Arc<dyn engine::Transaction>,
}

impl Transaction {
    /// What is read and written through this store is part of the transaction.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Makes everything durable, and announces it as one change.
    pub async fn commit(self) -> Result<Option<Arc<Change>>> {
        ToTheEnd::of(async move {
            if self.store.0.moved.load(Ordering::Relaxed) {
                return Err(again());
            }
            let finished = self.store.0.meters.measure(Operation::Finish, self.engine.finish(true)).await;
            if matches!(finished, Err(Error::Uncertain(_))) {
                self.outer.0.outlet.announcer().witness.unsure();
            }
            finished?;
            match (&self.outer.0.outlet, &self.store.0.outlet) {
                (Outlet::Announce(announcer), Outlet::Collect(_, written)) => {
                    let written = std::mem::take(&mut *written.lock());
                    let any = written.schema || written.jobs || !written.items.is_empty();
                    Ok(match any {
                        true => Some(announcer.announce(written).await),
                        false => None,
                    })
                }
                _ => Ok(None),
            }
        })
        .await
    }

    /// Undoes everything. Fails when it was undone before, by its deadline or because of others.
    pub async fn rollback(self) -> Result<()> {
        self.store.0.meters.measure(Operation::Finish, self.engine.finish(false)).await?;
        match self.store.0.moved.load(Ordering::Relaxed) {
            true => Err(again()),
            false => Ok(()),
        }
    }
}

fn again() -> Error {
    Error::Aborted("the data has moved to another database".into())
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
