//! Filling a PostgreSQL database by COPY. Until the last step a crash of the server may cost what was filled, which is
//! then begun anew.

use async_trait::async_trait;
use base::{Name, Value};
use futures_util::pin_mut;
use query::{Ddl, Table};
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{ToSql, Type};

use super::codec::Param;
use super::connect::failure;
use super::stand::{Own, columns, quoted};
use super::{Inner, bootstrap, schema};
use crate::engine::transfer::{ARRIVING, Arrival, Delta, META, Numbered, OWN, Stand, TRAVELS};
use crate::error::{Error, Result};

pub struct PostgresArrival {
    own: Own,
}

impl PostgresArrival {
    pub async fn open(inner: &Inner) -> Result<Self> {
        let own = Own::open(inner).await?;
        own.run("SET synchronous_commit=off").await?;
        Ok(PostgresArrival { own })
    }

    /// What was begun is undone when the work fails.
    async fn end<T>(&self, done: Result<T>) -> Result<T> {
        match done {
            Ok(done) => self.own.run("COMMIT").await.map(|()| done),
            Err(error) => {
                let _ = self.own.run("ROLLBACK").await;
                Err(error)
            }
        }
    }

    async fn mark(&self, key: &str, value: &str) -> Result<()> {
        let sql = format!(
            "INSERT INTO \"{META}\" (\"id\", \"value\") VALUES ($1, $2) ON CONFLICT (\"id\") DO UPDATE SET \"value\"=EXCLUDED.\"value\""
        );
        self.own.client().execute(&sql, &[&key, &value]).await.map(drop).map_err(failure)
    }

    /// Fails when there is anything but an earlier arrival, which is removed.
    async fn clear(&self) -> Result<()> {
        let one = |sql: &'static str| async move {
            let row = self.own.client().query_one(sql, &[]).await.map_err(failure)?;
            row.try_get::<_, i64>(0).map_err(failure)
        };
        let earlier = one("SELECT COUNT(*) FROM \"_pando_meta\" WHERE \"id\"='arriving'").await? > 0;
        let sql = "SELECT relname::text, relkind='v' FROM pg_class WHERE relkind IN ('r', 'v', 'p', 'm', 'f') \
                   AND relnamespace=current_schema()::regnamespace ORDER BY relkind DESC, oid DESC";
        let rows = self.own.client().query(sql, &[]).await.map_err(failure)?;
        for row in &rows {
            let name: String = row.try_get(0).map_err(failure)?;
            let view: bool = row.try_get(1).map_err(failure)?;
            let (own, base) = (OWN.contains(&&*name), name.starts_with("_pando_"));
            if base && !own {
                continue;
            }
            if !earlier && !own {
                return Err(Error::Refused(format!("there is data already: the table {name}")));
            }
            let statement = match (own, view) {
                (true, _) => format!("TRUNCATE {}", quoted(&name)),
                (false, true) => format!("DROP VIEW IF EXISTS {} CASCADE", quoted(&name)),
                (false, false) => format!("DROP TABLE IF EXISTS {} CASCADE", quoted(&name)),
            };
            if base
                && !earlier
                && name == "_collections"
                && one("SELECT COUNT(*) FROM \"_collections\"").await? > 0
            {
                return Err(Error::Refused("there is data already".into()));
            }
            self.own.run(&statement).await?;
        }
        self.own.run(&format!("DELETE FROM \"{META}\" WHERE \"id\" LIKE '{TRAVELS}%'")).await
    }

    async fn copy(&self, table: &Table, rows: &[Numbered]) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let client = self.own.client();
        let (name, columns) = (quoted(&table.name), columns(table));
        let prepared = client.prepare(&format!("SELECT {columns} FROM {name}")).await.map_err(failure)?;
        let types: Vec<Type> = prepared.columns().iter().map(|column| column.type_().clone()).collect();
        let sql = format!("COPY {name} ({columns}) FROM STDIN (FORMAT binary)");
        let sink = client.copy_in(&sql).await.map_err(failure)?;
        let writer = BinaryCopyInWriter::new(sink, &types);
        pin_mut!(writer);
        for numbered in rows {
            let values: Vec<Param> = numbered.row.0.iter().cloned().map(Param).collect();
            let place: &(dyn ToSql + Sync) = &numbered.place;
            let values = values.iter().map(|value| value as &(dyn ToSql + Sync));
            let values: Vec<&(dyn ToSql + Sync)> = [place].into_iter().chain(values).collect();
            writer.as_mut().write(&values).await.map_err(failure)?;
        }
        writer.finish().await.map(drop).map_err(failure)
    }

    async fn apply_all(&self, deltas: &[Delta], meta: &[(String, String)]) -> Result<()> {
        for delta in deltas {
            let ids: Vec<&str> = delta.ids.iter().map(|id| &**id).collect();
            let sql = format!("DELETE FROM {} WHERE \"id\"=ANY($1)", quoted(&delta.table.name));
            self.own.client().execute(&sql, &[&ids]).await.map_err(failure)?;
        }
        for delta in deltas {
            self.copy(&delta.table, &delta.rows).await?;
        }
        for (key, value) in meta {
            self.mark(key, value).await?;
        }
        // The order of insertion goes on behind what arrived.
        let ends = deltas.iter().filter_map(|delta| {
            let last = delta.rows.iter().map(|numbered| numbered.place).max()?;
            Some((quoted(&delta.table.name), last))
        });
        for (name, last) in ends {
            let sql = "SELECT setval(pg_get_serial_sequence($1, '_pando_seq'), GREATEST($2, \
                       nextval(pg_get_serial_sequence($1, '_pando_seq'))))";
            self.own.client().execute(sql, &[&name, &last]).await.map_err(failure)?;
        }
        Ok(())
    }
}

#[async_trait]
impl Stand for PostgresArrival {
    async fn count(&mut self, table: &Name) -> Result<u64> {
        self.own.count(table).await
    }

    async fn rows(&mut self, table: &Table, after: i64, max: usize) -> Result<Vec<Numbered>> {
        self.own.rows(table, after, max).await
    }

    async fn by_id(&mut self, table: &Table, ids: &[Name]) -> Result<Vec<Numbered>> {
        self.own.by_id(table, ids).await
    }

    async fn meta(&mut self) -> Result<Vec<(String, String)>> {
        self.own.meta().await
    }
}

#[async_trait]
impl Arrival for PostgresArrival {
    fn objection(&self, value: &Value) -> Option<&'static str> {
        Param::objection(value)
    }

    async fn prepare(&mut self, value: &str) -> Result<()> {
        self.own.run("BEGIN").await?;
        let lock = format!("SELECT pg_advisory_xact_lock({})", bootstrap::SCHEMA_LOCK);
        let done = async {
            self.own.run(&lock).await?;
            self.clear().await?;
            self.mark(ARRIVING, value).await
        }
        .await;
        self.end(done).await
    }

    async fn change(&mut self, ddl: &[Ddl]) -> Result<()> {
        self.own.run("BEGIN").await?;
        let lock = format!("SELECT pg_advisory_xact_lock({})", bootstrap::SCHEMA_LOCK);
        let done = async {
            self.own.run(&lock).await?;
            schema::apply(self.own.client(), ddl).await?;
            self.own.run(schema::BUMP_VERSION).await
        }
        .await;
        self.end(done).await
    }

    async fn append(&mut self, table: &Table, rows: &[Numbered]) -> Result<()> {
        self.copy(table, rows).await
    }

    async fn apply(&mut self, deltas: &[Delta], meta: &[(String, String)]) -> Result<()> {
        self.own.run("SET synchronous_commit TO DEFAULT; BEGIN").await?;
        let done = self.apply_all(deltas, meta).await;
        self.end(done).await
    }

    async fn settle(&mut self) -> Result<()> {
        let sql = "SELECT relname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid=c.oid \
                   WHERE a.attname='_pando_seq' AND c.relkind='r' AND c.relnamespace=current_schema()::regnamespace";
        let rows = self.own.client().query(sql, &[]).await.map_err(failure)?;
        for row in &rows {
            let name: String = row.try_get(0).map_err(failure)?;
            let name = quoted(&name);
            let next = format!(
                "SELECT setval(pg_get_serial_sequence($1, '_pando_seq'), \
                 (SELECT COALESCE(MAX(\"_pando_seq\"), 0) + 1 FROM {name}), false)"
            );
            self.own.client().execute(&next, &[&name]).await.map_err(failure)?;
            self.own.run(&format!("ANALYZE {name}")).await?;
        }
        Ok(())
    }

    async fn confirm(&mut self) -> Result<()> {
        self.own.run("DELETE FROM \"_pando_meta\" WHERE \"id\"='arriving'").await
    }
}
