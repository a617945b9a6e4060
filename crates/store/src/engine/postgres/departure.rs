//! Leaving a PostgreSQL database while others write to it. Triggers note what is written; for the switch all tables
//! are locked against writes, and reads go on.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base::Name;

use super::Inner;
use super::connect::failure;
use super::stand::{Own, quoted};
use crate::engine::transfer::{CHANGES, Departure, FENCE, Hold, Look, META, MOVED, Stand, Touched};
use crate::error::Result;

const NOTES: &str = "_pando_note";
const FENCES: &str = "_pando_fence";
/// Shared by whoever makes the notes, and held until its connection is gone: "pandn" in ASCII.
const NOTES_LOCK: i64 = 0x70_61_6e_64_6e;
/// What a refused write fails with.
pub const FENCE_STATE: &str = "PD002";

pub struct PostgresDeparture {
    inner: Arc<Inner>,
    tables: Vec<Name>,
}

impl PostgresDeparture {
    pub fn new(inner: Arc<Inner>) -> Self {
        PostgresDeparture { inner, tables: Vec::new() }
    }
}

fn forget() -> String {
    // The triggers go with their function.
    format!("DROP FUNCTION IF EXISTS _pando.note_change() CASCADE; DROP TABLE IF EXISTS \"{CHANGES}\";")
}

/// The notes that are visible; they are taken away when the transaction ends.
async fn touched(own: &Own) -> Result<Vec<Touched>> {
    let sql = format!(
        "WITH taken AS (DELETE FROM \"{CHANGES}\" RETURNING *) SELECT name, record FROM taken ORDER BY place"
    );
    let rows = own.client().query(&sql, &[]).await.map_err(failure)?;
    rows.iter()
        .map(|row| {
            let table: String = row.try_get(0).map_err(failure)?;
            let id: String = row.try_get(1).map_err(failure)?;
            Ok(Touched { table: table.into(), id: id.into() })
        })
        .collect()
}

#[async_trait]
impl Departure for PostgresDeparture {
    async fn follow(&mut self, tables: &[Name]) -> Result<()> {
        self.tables = tables.to_vec();
        let mut sql = format!(
            "BEGIN; {} CREATE TABLE \"{CHANGES}\" (place bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, \
             name text NOT NULL, record text NOT NULL); \
             CREATE FUNCTION _pando.note_change() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN \
             IF TG_OP<>'INSERT' THEN INSERT INTO \"{CHANGES}\" (name, record) VALUES (TG_ARGV[0], OLD.id); END IF; \
             IF TG_OP='INSERT' OR (TG_OP='UPDATE' AND OLD.id<>NEW.id) THEN \
             INSERT INTO \"{CHANGES}\" (name, record) VALUES (TG_ARGV[0], NEW.id); END IF; \
             RETURN NULL; END $f$;",
            forget()
        );
        for table in tables {
            sql.push_str(&format!(
                "CREATE TRIGGER \"{NOTES}\" AFTER INSERT OR UPDATE OR DELETE ON {} FOR EACH ROW \
                 EXECUTE FUNCTION _pando.note_change('{}');",
                quoted(table),
                table.replace('\'', "''")
            ));
        }
        sql.push_str("COMMIT");
        let own = Own::open(&self.inner).await?;
        // Asked for by itself: whoever dies from here on makes those wait who would tidy up.
        own.run(&format!("SELECT pg_advisory_lock_shared({NOTES_LOCK})")).await?;
        own.run(&sql).await
    }

    /// The server still does what a mover that was killed had sent. Tidying up beside it would leave its notes behind, or
    /// triggers without the table that they write to, by which every write fails.
    async fn unfollow(&mut self) -> Result<()> {
        let own = Own::open(&self.inner).await?;
        own.run(&format!("SELECT pg_advisory_lock({NOTES_LOCK})")).await?;
        own.run(&forget()).await
    }

    async fn look(&mut self) -> Result<Look> {
        let notes = Own::open(&self.inner).await?;
        notes.run("BEGIN ISOLATION LEVEL REPEATABLE READ").await?;
        let touched = touched(&notes).await?;
        // The same moment, in a connection that can keep it while the notes are put away.
        let row = notes.client().query_one("SELECT pg_export_snapshot()", &[]).await.map_err(failure)?;
        let moment: String = row.try_get(0).map_err(failure)?;
        let reader = Own::open(&self.inner).await?;
        reader
            .run(&format!(
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '{}'",
                moment.replace('\'', "")
            ))
            .await?;
        notes.run("COMMIT").await?;
        Ok(Look { stand: Box::new(reader), touched })
    }

    async fn stand(&mut self) -> Result<Box<dyn Stand>> {
        let own = Own::open(&self.inner).await?;
        own.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        Ok(Box::new(own))
    }

    async fn hold(&mut self, wait: Duration) -> Result<Box<dyn Hold>> {
        let own = Own::open(&self.inner).await?;
        let tables: Vec<String> = self.tables.iter().map(|table| quoted(table)).collect();
        own.run(&format!(
            "BEGIN; SET LOCAL lock_timeout={}; LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE",
            wait.as_millis(),
            tables.join(",")
        ))
        .await?;
        Ok(Box::new(PostgresHold { own, tables }))
    }
}

struct PostgresHold {
    /// Closed with the hold, which undoes its transaction.
    own: Own,
    tables: Vec<String>,
}

#[async_trait]
impl Hold for PostgresHold {
    async fn touched(&mut self) -> Result<Vec<Touched>> {
        touched(&self.own).await
    }

    fn stand(&mut self) -> &mut dyn Stand {
        &mut self.own
    }

    async fn leave(self: Box<Self>, mark: &str) -> Result<()> {
        let upsert = format!(
            "INSERT INTO \"{META}\" (\"id\", \"value\") VALUES ($1, $2) ON CONFLICT (\"id\") DO UPDATE SET \"value\"=EXCLUDED.\"value\""
        );
        self.own.client().execute(&upsert, &[&MOVED, &mark]).await.map_err(failure)?;
        let mut sql = format!(
            "CREATE OR REPLACE FUNCTION _pando.moved() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN \
             RAISE EXCEPTION '{FENCE}' USING ERRCODE='{FENCE_STATE}'; END $f$;"
        );
        for table in &self.tables {
            // The notes stay: to drop them would wait for readers, and nothing is written any more.
            sql.push_str(&format!(
                "CREATE OR REPLACE TRIGGER \"{FENCES}\" BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table} \
                 FOR EACH STATEMENT EXECUTE FUNCTION _pando.moved();"
            ));
        }
        sql.push_str("COMMIT");
        self.own.run(&sql).await
    }
}
