//! A connection that reads what a move carries, at the moment that its open transaction keeps.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use base::Name;
use parking_lot::Mutex;
use query::Table;
use rusqlite::Connection;

use super::connection::{failure, open_reader};
use super::rows::value;
use crate::engine::transfer::{META, Numbered, Stand};
use crate::error::{Error, Result};
use crate::sql::Dialect;

/// Ids that one statement asks for.
const IDS_MAX: usize = 500;

/// A connection that blocks, for callers that must not.
#[derive(Clone)]
pub struct Blocking(Arc<Mutex<Connection>>);

impl Blocking {
    pub fn new(connection: Connection) -> Self {
        Blocking(Arc::new(Mutex::new(connection)))
    }

    /// A reader whose view of the database stays as it is now.
    pub async fn reader(path: &Path) -> Result<Blocking> {
        let path = path.to_owned();
        let opened = tokio::task::spawn_blocking(move || {
            let connection = open_reader(&path)?;
            let begin = "BEGIN; SELECT COUNT(*) FROM sqlite_master";
            connection.execute_batch(begin).map_err(|error| failure(&connection, error))?;
            Ok(Blocking::new(connection))
        });
        opened.await.map_err(|error| Error::Internal(error.to_string()))?
    }

    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        self.try_run(move |connection| work(connection).map_err(|error| failure(connection, error))).await
    }

    pub async fn try_run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let connection = self.0.clone();
        let done = tokio::task::spawn_blocking(move || work(&connection.lock()));
        done.await.map_err(|error| Error::Internal(error.to_string()))?
    }
}

pub fn quoted(name: &str) -> String {
    let mut out = String::new();
    Dialect::Sqlite.ident(&mut out, name);
    out
}

fn selected(table: &Table) -> String {
    let columns = table.columns.iter().map(|column| quoted(&column.name));
    let columns: Vec<String> = ["_rowid_".to_owned()].into_iter().chain(columns).collect();
    format!("SELECT {} FROM {}", columns.join(","), quoted(&table.name))
}

fn numbered(rows: &mut rusqlite::Rows<'_>, table: &Table) -> rusqlite::Result<Vec<Numbered>> {
    let mut out = Vec::new();
    while let Some(row) = rows.next()? {
        let mut values = Vec::with_capacity(table.columns.len());
        for (index, column) in table.columns.iter().enumerate() {
            values.push(value(row.get_ref(index + 1)?, column.ty));
        }
        out.push(Numbered { place: row.get(0)?, row: values.into() });
    }
    Ok(out)
}

#[async_trait]
impl Stand for Blocking {
    async fn count(&mut self, table: &Name) -> Result<u64> {
        let sql = format!("SELECT COUNT(*) FROM {}", quoted(table));
        self.run(move |connection| connection.query_row(&sql, [], |row| row.get::<_, i64>(0)))
            .await
            .map(i64::unsigned_abs)
    }

    async fn rows(&mut self, table: &Table, after: i64, max: usize) -> Result<Vec<Numbered>> {
        let table = table.clone();
        self.run(move |connection| {
            let sql = format!("{} WHERE _rowid_>? ORDER BY _rowid_ LIMIT ?", selected(&table));
            let mut statement = connection.prepare_cached(&sql)?;
            let mut rows = statement.query((after, max as i64))?;
            numbered(&mut rows, &table)
        })
        .await
    }

    async fn by_id(&mut self, table: &Table, ids: &[Name]) -> Result<Vec<Numbered>> {
        let (table, ids) = (table.clone(), ids.to_vec());
        self.run(move |connection| {
            let mut out = Vec::new();
            for ids in ids.chunks(IDS_MAX) {
                let places = vec!["?"; ids.len()].join(",");
                let sql = format!("{} WHERE `id` IN ({places})", selected(&table));
                let mut statement = connection.prepare(&sql)?;
                let mut rows = statement.query(rusqlite::params_from_iter(ids.iter().map(|id| &**id)))?;
                out.extend(numbered(&mut rows, &table)?);
            }
            Ok(out)
        })
        .await
    }

    async fn meta(&mut self) -> Result<Vec<(String, String)>> {
        self.run(|connection| {
            let mut statement = connection.prepare(&format!("SELECT id, value FROM {META}"))?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect()
        })
        .await
    }
}
