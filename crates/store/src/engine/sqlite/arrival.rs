//! Filling a SQLite file. Until the last step a power cut may cost what was filled, which is then begun anew.

use std::path::Path;

use async_trait::async_trait;
use base::{Name, Value};
use query::{Ddl, Table};
use rusqlite::Connection;

use super::connection::{Bound, Flush, failure, open_writer};
use super::schema;
use super::stand::{Blocking, quoted};
use crate::engine::transfer::{ARRIVING, Arrival, Delta, META, Numbered, Stand};
use crate::error::{Error, Result};

pub struct SqliteArrival(Blocking);

impl SqliteArrival {
    pub async fn open(path: &Path) -> Result<Self> {
        let path = path.to_owned();
        let opened = tokio::task::spawn_blocking(move || {
            let connection = open_writer(&path, Flush::Commit)?;
            connection
                .execute_batch("PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=4000")
                .map_err(|error| failure(&connection, error))?;
            Ok(SqliteArrival(Blocking::new(connection)))
        });
        opened.await.map_err(|error| Error::Internal(error.to_string()))?
    }
}

fn within<T>(connection: &Connection, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let fail = |error| failure(connection, error);
    connection.execute_batch("BEGIN IMMEDIATE").map_err(fail)?;
    let done = work();
    connection.execute_batch(if done.is_ok() { "COMMIT" } else { "ROLLBACK" }).map_err(fail)?;
    done
}

fn insert(connection: &Connection, table: &Table, rows: &[Numbered]) -> rusqlite::Result<()> {
    let columns = table.columns.iter().map(|column| quoted(&column.name));
    let columns: Vec<String> = ["_rowid_".to_owned()].into_iter().chain(columns).collect();
    let places = vec!["?"; columns.len()].join(",");
    let sql = format!("INSERT INTO {} ({}) VALUES ({places})", quoted(&table.name), columns.join(","));
    let mut statement = connection.prepare_cached(&sql)?;
    for numbered in rows {
        statement.raw_bind_parameter(1, numbered.place)?;
        for (index, value) in numbered.row.0.iter().enumerate() {
            statement.raw_bind_parameter(index + 2, Bound(value))?;
        }
        statement.raw_execute()?;
    }
    Ok(())
}

fn mark(connection: &Connection, key: &str, value: &str) -> rusqlite::Result<()> {
    let sql = format!(
        "INSERT INTO {META} (id, value) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET value=excluded.value"
    );
    connection.execute(&sql, (key, value)).map(drop)
}

/// Removes what an earlier arrival left.
fn clear(connection: &Connection) -> Result<()> {
    let fail = |error| failure(connection, error);
    let all = "SELECT name, type FROM sqlite_master WHERE type IN ('view', 'table') AND name NOT LIKE 'sqlite_%' \
               AND name<>'_migrations' ORDER BY type DESC";
    for (name, kind) in schema::rows(connection, all, "")? {
        let base = name.starts_with("_pando_") || ["_params", "_collections"].contains(&&*name);
        let verb = match (base, kind.as_str()) {
            (true, _) => "DELETE FROM",
            (false, "view") => "DROP VIEW",
            (false, _) => "DROP TABLE",
        };
        connection.execute_batch(&format!("{verb} {}", quoted(&name))).map_err(fail)?;
    }
    Ok(())
}

#[async_trait]
impl Stand for SqliteArrival {
    async fn count(&mut self, table: &Name) -> Result<u64> {
        self.0.count(table).await
    }

    async fn rows(&mut self, table: &Table, after: i64, max: usize) -> Result<Vec<Numbered>> {
        self.0.rows(table, after, max).await
    }

    async fn by_id(&mut self, table: &Table, ids: &[Name]) -> Result<Vec<Numbered>> {
        self.0.by_id(table, ids).await
    }

    async fn meta(&mut self) -> Result<Vec<(String, String)>> {
        self.0.meta().await
    }
}

#[async_trait]
impl Arrival for SqliteArrival {
    fn objection(&self, _: &Value) -> Option<&'static str> {
        None
    }

    async fn prepare(&mut self, value: &str) -> Result<()> {
        let value = value.to_owned();
        self.0
            .try_run(move |connection| {
                let fail = |error| failure(connection, error);
                let one = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(fail);
                let earlier = one(&format!("SELECT COUNT(*) FROM {META} WHERE id='{ARRIVING}'"))? > 0;
                if !earlier && one("SELECT COUNT(*) FROM _collections")? > 0 {
                    return Err(Error::Refused("there is data already".into()));
                }
                within(connection, || {
                    clear(connection)?;
                    mark(connection, ARRIVING, &value).map_err(fail)
                })
            })
            .await
    }

    async fn change(&mut self, ddl: &[Ddl]) -> Result<()> {
        let ddl = ddl.to_vec();
        self.0
            .try_run(move |connection| {
                within(connection, || ddl.iter().try_for_each(|change| schema::apply(connection, change)))
            })
            .await
    }

    async fn append(&mut self, table: &Table, rows: &[Numbered]) -> Result<()> {
        let (table, rows) = (table.clone(), rows.to_vec());
        self.0
            .try_run(move |connection| {
                within(connection, || {
                    insert(connection, &table, &rows).map_err(|error| failure(connection, error))
                })
            })
            .await
    }

    async fn apply(&mut self, deltas: &[Delta], meta: &[(String, String)]) -> Result<()> {
        let (deltas, meta) = (deltas.to_vec(), meta.to_vec());
        self.0
            .try_run(move |connection| {
                let work = || -> rusqlite::Result<()> {
                    for delta in &deltas {
                        let sql = format!("DELETE FROM {} WHERE id=?", quoted(&delta.table.name));
                        let mut statement = connection.prepare_cached(&sql)?;
                        for id in &delta.ids {
                            statement.execute([&**id])?;
                        }
                    }
                    for delta in &deltas {
                        insert(connection, &delta.table, &delta.rows)?;
                    }
                    meta.iter().try_for_each(|(key, value)| mark(connection, key, value))
                };
                connection
                    .execute_batch("PRAGMA synchronous=FULL")
                    .map_err(|error| failure(connection, error))?;
                within(connection, || work().map_err(|error| failure(connection, error)))
            })
            .await
    }

    async fn settle(&mut self) -> Result<()> {
        self.0.run(|connection| connection.execute_batch("PRAGMA optimize=0x10002")).await
    }

    async fn confirm(&mut self) -> Result<()> {
        let sql = format!("DELETE FROM {META} WHERE id='{ARRIVING}'");
        self.0.run(move |connection| connection.execute_batch(&sql)).await
    }
}
