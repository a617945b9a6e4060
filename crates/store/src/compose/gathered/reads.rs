//! Reads of one record by its id.

use std::sync::Arc;

use base::Name;
use base::limits::{GATHERED_READ_TURNS_MAX, GATHERED_READS_MAX, GATHERED_READS_WAITING_MAX};
use query::{Column, ColumnType, Row, Select, Source};
use tokio::sync::oneshot;

use super::lanes::{Gathering, Lanes, Place, Turn};
use crate::engine::Engine;
use crate::error::{Error, Result};

pub struct Reads {
    engine: Arc<dyn Engine>,
    lanes: Lanes<Vec<Column>, Waiting>,
}

pub struct Waiting {
    id: Name,
    answer: oneshot::Sender<Result<Vec<Row>>>,
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

impl Reads {
    pub fn new(engine: Arc<dyn Engine>) -> Reads {
        let lanes = Lanes::new(GATHERED_READ_TURNS_MAX, GATHERED_READS_MAX, GATHERED_READS_WAITING_MAX);
        Reads { engine, lanes }
    }

    /// Reads a [`point`].
    pub async fn select(self: &Arc<Self>, select: &Select, table: &Name, id: &str) -> Result<Vec<Row>> {
        let columns = &select.columns;
        let wait = |id: &str| {
            let (answer, waits) = oneshot::channel();
            (Waiting { id: id.into(), answer }, waits)
        };
        match self.lanes.place((table, columns), id, wait) {
            Place::First(_) => {
                let turn = Turn::new(self, table, columns);
                let rows = self.engine.select(select).await;
                drop(turn);
                rows
            }
            Place::Full(_) => self.engine.select(select).await,
            Place::Waits(answer) => match answer.await {
                Ok(answer) => answer,
                Err(_) => Err(Error::Internal("a read that was to be shared was given up".into())),
            },
        }
    }
}

impl Gathering for Reads {
    type Shape = Vec<Column>;
    type Waiting = Waiting;

    fn lanes(&self) -> &Lanes<Vec<Column>, Waiting> {
        &self.lanes
    }

    async fn together(&self, table: &Name, columns: &Vec<Column>, waiting: Vec<Waiting>) {
        let mut ids: Vec<Name> = Vec::with_capacity(waiting.len());
        for Waiting { id, .. } in &waiting {
            if !ids.contains(id) {
                ids.push(id.clone());
            }
        }
        let rows = self.engine.select(&Select::by_ids(table.clone(), columns.to_vec(), ids)).await;
        let place = place_of_id(columns).unwrap_or_default();
        for Waiting { id, answer } in waiting {
            let own = match &rows {
                // More than one only of a view.
                Ok(rows) => {
                    Ok(rows.iter().filter(|row| row.get(place).as_str() == Some(&*id)).cloned().collect())
                }
                Err(error) => Err(error.again()),
            };
            // Whoever went away needs no answer.
            let _ = answer.send(own);
        }
    }
}
