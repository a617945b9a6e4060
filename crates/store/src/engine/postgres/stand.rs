//! A connection of its own that reads what a move carries.

use async_trait::async_trait;
use base::Name;
use deadpool_postgres::Object;
use futures_util::{StreamExt, pin_mut};
use query::Table;
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

use super::Inner;
use super::codec::Raw;
use super::connect::failure;
use crate::engine::transfer::{META, Numbered, Stand};
use crate::error::Result;
use crate::sql::Dialect;

/// A connection that is closed with its owner, whatever it was in the middle of.
pub struct Own(pub deadpool_postgres::ClientWrapper);

impl Own {
    /// Long statements are in the nature of a move: only waiting for others is bounded.
    pub async fn open(inner: &Inner) -> Result<Own> {
        let client = Object::take(inner.client().await?);
        client.batch_execute("SET statement_timeout=0").await.map_err(failure)?;
        Ok(Own(client))
    }

    pub fn client(&self) -> &Client {
        &self.0
    }

    pub async fn run(&self, sql: &str) -> Result<()> {
        self.0.batch_execute(sql).await.map_err(failure)
    }
}

pub fn quoted(name: &str) -> String {
    let mut out = String::new();
    Dialect::Postgres.ident(&mut out, name);
    out
}

/// The columns with the place in front of them.
pub fn columns(table: &Table) -> String {
    let columns = table.columns.iter().map(|column| quoted(&column.name));
    let columns: Vec<String> = ["\"_pando_seq\"".to_owned()].into_iter().chain(columns).collect();
    columns.join(",")
}

async fn numbered(
    client: &Client,
    sql: &str,
    params: &[&(dyn ToSql + Sync)],
    table: &Table,
) -> Result<Vec<Numbered>> {
    let prepared = client.prepare(sql).await.map_err(failure)?;
    let stream = client.query_raw(&prepared, params.iter().copied()).await.map_err(failure)?;
    pin_mut!(stream);
    let mut out = Vec::new();
    while let Some(row) = stream.next().await {
        let row = row.map_err(failure)?;
        let mut values = Vec::with_capacity(table.columns.len());
        for (index, column) in table.columns.iter().enumerate() {
            values.push(row.try_get::<_, Raw<'_>>(index + 1).map_err(failure)?.value(column.ty));
        }
        out.push(Numbered { place: row.try_get(0).map_err(failure)?, row: values.into() });
    }
    Ok(out)
}

#[async_trait]
impl Stand for Own {
    async fn count(&mut self, table: &Name) -> Result<u64> {
        let sql = format!("SELECT COUNT(*) FROM {}", quoted(table));
        let row = self.0.query_one(&sql, &[]).await.map_err(failure)?;
        row.try_get::<_, i64>(0).map(i64::unsigned_abs).map_err(failure)
    }

    async fn rows(&mut self, table: &Table, after: i64, max: usize) -> Result<Vec<Numbered>> {
        let sql = format!(
            "SELECT {} FROM {} WHERE \"_pando_seq\">$1 ORDER BY \"_pando_seq\" LIMIT $2",
            columns(table),
            quoted(&table.name)
        );
        numbered(&self.0, &sql, &[&after, &(max as i64)], table).await
    }

    async fn by_id(&mut self, table: &Table, ids: &[Name]) -> Result<Vec<Numbered>> {
        let ids: Vec<&str> = ids.iter().map(|id| &**id).collect();
        let sql = format!("SELECT {} FROM {} WHERE \"id\"=ANY($1)", columns(table), quoted(&table.name));
        numbered(&self.0, &sql, &[&ids], table).await
    }

    async fn meta(&mut self) -> Result<Vec<(String, String)>> {
        let sql = format!("SELECT \"id\", \"value\" FROM \"{META}\"");
        let rows = self.0.query(&sql, &[]).await.map_err(failure)?;
        rows.iter()
            .map(|row| Ok((row.try_get(0).map_err(failure)?, row.try_get(1).map_err(failure)?)))
            .collect()
    }
}
