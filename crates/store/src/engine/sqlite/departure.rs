//! Leaving a SQLite file while others write to it. Triggers note what is written, so that other processes' writes are
//! noted as well; the switch is one transaction of SQLite's own, which keeps every other writer waiting.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use base::Name;
use rusqlite::Connection;

use super::connection::{Flush, failure, open_writer};
use super::stand::{Blocking, quoted};
use crate::engine::transfer::{CHANGES, Departure, FENCE, Hold, Look, META, MOVED, Stand, Touched};
use crate::error::{Error, Result};

/// What the triggers of a move are named by.
const NOTES: &str = "_pando_note_";
const FENCES: &str = "_pando_fence_";

pub struct SqliteDeparture {
    path: PathBuf,
    /// The tables that are followed.
    tables: Vec<Name>,
    /// The number of the last note that was seen.
    seen: i64,
}

impl SqliteDeparture {
    pub fn new(path: PathBuf) -> Self {
        SqliteDeparture { path, tables: Vec::new(), seen: 0 }
    }

    async fn writer(&self) -> Result<Blocking> {
        let path = self.path.clone();
        let opened = tokio::task::spawn_blocking(move || open_writer(&path, Flush::Commit));
        Ok(Blocking::new(opened.await.map_err(|error| Error::Internal(error.to_string()))??))
    }
}

/// Inside of a transaction that is undone if the work fails.
fn within(connection: &Connection, work: impl FnOnce() -> rusqlite::Result<()>) -> Result<()> {
    let fail = |error| failure(connection, error);
    connection.execute_batch("BEGIN IMMEDIATE").map_err(fail)?;
    let done = work();
    connection.execute_batch(if done.is_ok() { "COMMIT" } else { "ROLLBACK" }).map_err(fail)?;
    done.map_err(fail)
}

fn follow(connection: &Connection, tables: &[Name]) -> rusqlite::Result<()> {
    forget(connection)?;
    let log = format!(
        "CREATE TABLE {CHANGES} (place INTEGER PRIMARY KEY, name TEXT NOT NULL, record TEXT NOT NULL)"
    );
    connection.execute_batch(&log)?;
    for table in tables {
        let text = table.replace('\'', "''");
        for (verb, of) in [("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")] {
            // An id may be changed by hand: then both are touched.
            let second = match verb {
                "UPDATE" => format!(
                    "INSERT INTO {CHANGES} (name, record) SELECT '{text}', OLD.id WHERE OLD.id<>NEW.id;"
                ),
                _ => String::new(),
            };
            connection.execute_batch(&format!(
                "CREATE TRIGGER {} AFTER {verb} ON {} BEGIN \
                 INSERT INTO {CHANGES} (name, record) VALUES ('{text}', {of}.id); {second} END",
                quoted(&format!("{NOTES}{verb}_{table}")),
                quoted(table)
            ))?;
        }
    }
    Ok(())
}

/// Drops the triggers and the notes, whoever made them.
fn forget(connection: &Connection) -> rusqlite::Result<()> {
    let mut names =
        connection.prepare("SELECT name FROM sqlite_master WHERE type='trigger' AND substr(name, 1, ?)=?")?;
    let names: Vec<String> =
        names.query_map((NOTES.len() as i64, NOTES), |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    for name in names {
        connection.execute_batch(&format!("DROP TRIGGER {}", quoted(&name)))?;
    }
    connection.execute_batch(&format!("DROP TABLE IF EXISTS {CHANGES}"))
}

fn touched(connection: &Connection, after: i64) -> rusqlite::Result<(i64, Vec<Touched>)> {
    let mut statement = connection
        .prepare(&format!("SELECT place, name, record FROM {CHANGES} WHERE place>? ORDER BY place"))?;
    let mut rows = statement.query([after])?;
    let (mut last, mut out) = (after, Vec::new());
    while let Some(row) = rows.next()? {
        last = row.get(0)?;
        out.push(Touched { table: row.get::<_, String>(1)?.into(), id: row.get::<_, String>(2)?.into() });
    }
    Ok((last, out))
}

#[async_trait]
impl Departure for SqliteDeparture {
    async fn follow(&mut self, tables: &[Name]) -> Result<()> {
        (self.tables, self.seen) = (tables.to_vec(), 0);
        let tables = tables.to_vec();
        let writer = self.writer().await?;
        writer.try_run(move |connection| within(connection, || follow(connection, &tables))).await
    }

    async fn unfollow(&mut self) -> Result<()> {
        self.writer().await?.try_run(|connection| within(connection, || forget(connection))).await
    }

    async fn look(&mut self) -> Result<Look> {
        let reader = Blocking::reader(&self.path).await?;
        let after = self.seen;
        let (last, touched) = reader.run(move |connection| touched(connection, after)).await?;
        self.seen = last;
        Ok(Look { stand: Box::new(reader), touched })
    }

    async fn stand(&mut self) -> Result<Box<dyn Stand>> {
        Ok(Box::new(Blocking::reader(&self.path).await?))
    }

    async fn hold(&mut self, wait: Duration) -> Result<Box<dyn Hold>> {
        let writer = self.writer().await?;
        writer
            .run(move |connection| {
                connection.busy_timeout(wait)?;
                connection.execute_batch("BEGIN IMMEDIATE")
            })
            .await?;
        Ok(Box::new(SqliteHold { writer, tables: self.tables.clone(), after: self.seen }))
    }
}

struct SqliteHold {
    /// Closed with the hold, which undoes its transaction.
    writer: Blocking,
    tables: Vec<Name>,
    after: i64,
}

#[async_trait]
impl Hold for SqliteHold {
    async fn touched(&mut self) -> Result<Vec<Touched>> {
        let after = self.after;
        Ok(self.writer.run(move |connection| touched(connection, after)).await?.1)
    }

    fn stand(&mut self) -> &mut dyn Stand {
        &mut self.writer
    }

    async fn leave(self: Box<Self>, mark: &str) -> Result<()> {
        let (tables, mark) = (self.tables, mark.to_owned());
        self.writer
            .run(move |connection| {
                forget(connection)?;
                for table in &tables {
                    for verb in ["INSERT", "UPDATE", "DELETE"] {
                        connection.execute_batch(&format!(
                            "CREATE TRIGGER {} BEFORE {verb} ON {} BEGIN SELECT RAISE(ABORT, '{FENCE}'); END",
                            quoted(&format!("{FENCES}{verb}_{table}")),
                            quoted(table)
                        ))?;
                    }
                }
                connection.execute(
                    &format!("INSERT INTO {META} (id, value) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET value=excluded.value"),
                    (MOVED, mark),
                )?;
                connection.execute_batch("COMMIT")
            })
            .await
    }
}
