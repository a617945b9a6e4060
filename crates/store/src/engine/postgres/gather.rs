//! Reads of one record by its id, gathered: while a few such reads of a table are under way, further ones wait, and go
//! out together as one statement as soon as one of those has its answer. A statement costs the database and this
//! process far more than a row does, so a busy node asks a fraction of the statements, and a quiet one waits for
//! nothing. A read is never answered from a statement that was sent before it was asked for.

use std::sync::Arc;

use base::Name;
use base::limits::{POSTGRES_GATHER_WAITING_MAX, POSTGRES_GATHERED_MAX, POSTGRES_GATHERERS_MAX};
use parking_lot::Mutex;
use query::{Column, ColumnType, Row, Select, Source};
use rustc_hash::FxHashMap;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::Inner;
use crate::error::{Error, Result};

/// The lanes of tables that are being read. One that nobody reads is gone.
#[derive(Default)]
pub struct Gather(Mutex<FxHashMap<Name, Vec<Lane>>>);

/// Reads of the same columns of one table.
struct Lane {
    columns: Vec<Column>,
    waiting: Vec<Waiting>,
    /// Statements under way.
    running: usize,
}

struct Waiting {
    id: Name,
    answer: oneshot::Sender<Result<Option<Row>>>,
}

/// What becomes of a read.
enum Place {
    /// Nothing to wait for.
    First,
    Waits(oneshot::Receiver<Result<Option<Row>>>),
    /// Too many wait already.
    Full,
}

/// The table and the id, if this reads one record and nothing else.
pub fn point(select: &Select) -> Option<(&Name, &str)> {
    let (Source::Table(table), Some(id)) = (&select.from, select.point()) else { return None };
    let whole = select.offset == 0 && select.limit.is_none();
    // A text that cannot be sent must fail its own read only.
    (whole && !id.contains('\0') && place_of_id(&select.columns).is_some()).then_some((table, id))
}

/// Where a row holds its id.
fn place_of_id(columns: &[Column]) -> Option<usize> {
    columns.iter().position(|column| &*column.name == "id" && column.ty == ColumnType::Id)
}

impl Inner {
    /// Reads a [`point`], together with others if there are any.
    pub async fn gathered(self: &Arc<Self>, select: &Select, table: &Name, id: &str) -> Result<Vec<Row>> {
        match self.gather.place(table, id, &select.columns) {
            Place::First => {
                let turn = Turn { inner: self.clone(), table, columns: &select.columns, over: false };
                let rows = self.select(select).await;
                drop(turn);
                rows
            }
            Place::Full => self.select(select).await,
            Place::Waits(answer) => match answer.await {
                Ok(answer) => answer.map(|row| row.into_iter().collect()),
                Err(_) => Err(Error::Unavailable("a gathered read was given up".into())),
            },
        }
    }

    /// Reads for those who waited, and for those who wait by then, until nobody does.
    async fn gatherer(self: Arc<Self>, table: Name, columns: Vec<Column>, mut waiting: Vec<Waiting>) {
        let mut turn = Turn { inner: self.clone(), table: &table, columns: &columns, over: false };
        while !waiting.is_empty() {
            self.together(&table, &columns, waiting).await;
            waiting = self.gather.next(&table, &columns);
        }
        turn.over = true;
    }

    async fn together(&self, table: &Name, columns: &[Column], waiting: Vec<Waiting>) {
        let mut ids: Vec<Name> = Vec::with_capacity(waiting.len());
        for Waiting { id, .. } in &waiting {
            if !ids.contains(id) {
                ids.push(id.clone());
            }
        }
        let rows = self.select(&Select::by_ids(table.clone(), columns.to_vec(), ids)).await;
        let place = place_of_id(columns).unwrap_or_default();
        for Waiting { id, answer } in waiting {
            let row = match &rows {
                Ok(rows) => Ok(rows.iter().find(|row| row.get(place).as_str() == Some(&*id)).cloned()),
                Err(error) => Err(error.again()),
            };
            // Whoever went away needs no answer.
            let _ = answer.send(row);
        }
    }
}

impl Gather {
    fn place(&self, table: &Name, id: &str, columns: &[Column]) -> Place {
        let mut tables = self.0.lock();
        let lanes = match tables.get_mut(table) {
            Some(lanes) => lanes,
            None => tables.entry(table.clone()).or_default(),
        };
        let Some(lane) = lanes.iter_mut().find(|lane| lane.columns == columns) else {
            lanes.push(Lane { columns: columns.to_vec(), waiting: Vec::new(), running: 1 });
            return Place::First;
        };
        if lane.running < POSTGRES_GATHERERS_MAX && lane.waiting.is_empty() {
            lane.running += 1;
            return Place::First;
        }
        if lane.waiting.len() >= POSTGRES_GATHER_WAITING_MAX {
            return Place::Full;
        }
        let (answer, waits) = oneshot::channel();
        lane.waiting.push(Waiting { id: id.into(), answer });
        Place::Waits(waits)
    }

    /// Those whose turn it is. Nobody: the turn is over.
    fn next(&self, table: &Name, columns: &[Column]) -> Vec<Waiting> {
        let mut tables = self.0.lock();
        let Some(lanes) = tables.get_mut(table) else { return Vec::new() };
        let Some(at) = lanes.iter().position(|lane| lane.columns == columns) else { return Vec::new() };
        let lane = &mut lanes[at];
        if !lane.waiting.is_empty() {
            let rest = lane.waiting.split_off(lane.waiting.len().min(POSTGRES_GATHERED_MAX));
            return std::mem::replace(&mut lane.waiting, rest);
        }
        lane.running -= 1;
        if lane.running == 0 {
            lanes.swap_remove(at);
            if lanes.is_empty() {
                tables.remove(table);
            }
        }
        Vec::new()
    }
}

/// One of the statements that may be under way. Its end is the beginning of the next, also when its caller went away.
struct Turn<'t> {
    inner: Arc<Inner>,
    table: &'t Name,
    columns: &'t [Column],
    /// Whether it has passed on, as nobody waited any more.
    over: bool,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let waiting = self.inner.gather.next(self.table, self.columns);
        if waiting.is_empty() {
            return;
        }
        if let Ok(runtime) = Handle::try_current() {
            let (table, columns) = (self.table.clone(), self.columns.to_vec());
            runtime.spawn(self.inner.clone().gatherer(table, columns, waiting));
        }
    }
}
