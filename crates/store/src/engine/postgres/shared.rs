//! Counts and members, each in a table and by one statement.

use async_trait::async_trait;
use base::Value;
use base::limits::{COUNTER_SHARES, COUNTERS_MAX, NODE_SILENT_MS};
use query::{Column, ColumnType, Row};

use super::Postgres;
use crate::engine::shared::{Member, Part, Shared, Take, Taken};
use crate::error::Result;
use crate::sql::Statement;

fn number(number: u64) -> Value {
    Value::Number(number as f64)
}

fn columns(types: &[ColumnType]) -> Vec<Column> {
    types.iter().map(|ty| Column::new("c", *ty)).collect()
}

/// The statement's own time is used throughout: what waits for a row's lock is judged as of when it was asked.
fn take_sql(table: &str) -> String {
    let granted = |left: &str| format!("least({left}, greatest(1, {left} / $4::float8::bigint))");
    let first = granted("$2::float8::bigint");
    let more = granted("greatest($2::float8::bigint - c.\"used\", 0)");
    format!(
        "INSERT INTO \"{table}\" AS c (\"key\", \"used\", \"granted\", \"ends\") \
         VALUES ($1, {first}, {first}, now() + $3::float8 * interval '1 ms') \
         ON CONFLICT (\"key\") DO UPDATE SET \
         \"granted\" = CASE WHEN c.\"ends\" <= now() THEN EXCLUDED.\"granted\" ELSE {more} END, \
         \"used\" = CASE WHEN c.\"ends\" <= now() THEN EXCLUDED.\"granted\" ELSE c.\"used\" + {more} END, \
         \"ends\" = CASE WHEN c.\"ends\" <= now() THEN EXCLUDED.\"ends\" ELSE c.\"ends\" END \
         RETURNING \"granted\"::float8, extract(epoch FROM \"ends\" - now())::float8 * 1000"
    )
}

impl Postgres {
    async fn told(&self, sql: &str, params: Vec<Value>, types: &[ColumnType]) -> Result<Vec<Row>> {
        self.0.rows(Statement { sql: sql.into(), params }, &columns(types)).await
    }
}

#[async_trait]
impl Shared for Postgres {
    async fn take(&self, take: &Take<'_>) -> Result<Taken> {
        let table = if take.durable { "_pando_attempts" } else { "_pando_counters" };
        // One is what is left at most.
        let shares = if take.part == Part::Share { COUNTER_SHARES } else { u32::MAX.into() };
        let params = vec![Value::from(take.key), number(take.most), number(take.window_ms), number(shares)];
        let rows = self.told(&take_sql(table), params, &[ColumnType::Number, ColumnType::Number]).await?;
        let number = |index| rows.first().map_or(0, |row: &Row| row.get(index).as_number().max(0.0) as u64);
        Ok(Taken { granted: number(0), left_ms: number(1) })
    }

    async fn forget(&self, key: &str) -> Result<()> {
        self.told("DELETE FROM \"_pando_attempts\" WHERE \"key\"=$1", vec![Value::from(key)], &[]).await?;
        Ok(())
    }

    async fn sweep(&self) -> Result<()> {
        for table in ["_pando_counters", "_pando_attempts"] {
            let over = format!("DELETE FROM \"{table}\" WHERE \"ends\" < now()");
            self.told(&over, Vec::new(), &[]).await?;
            let excess = format!(
                "DELETE FROM \"{table}\" WHERE \"key\" IN (SELECT \"key\" FROM \"{table}\" ORDER BY \"ends\" \
                 LIMIT greatest(0, (SELECT count(*) FROM \"{table}\") - $1::float8::bigint))"
            );
            self.told(&excess, vec![number(COUNTERS_MAX)], &[]).await?;
        }
        Ok(())
    }

    async fn beat(&self, member: &Member) -> Result<u64> {
        let sql = "WITH gone AS (DELETE FROM \"_pando_nodes\" \
                   WHERE \"seen\" < now() - $5::float8 * interval '10 ms' AND \"id\"<>$1) \
                   INSERT INTO \"_pando_nodes\" (\"id\", \"address\", \"release\", \"schema\") \
                   VALUES ($1, $2, $3, $4::float8::bigint) \
                   ON CONFLICT (\"id\") DO UPDATE SET \"schema\"=EXCLUDED.\"schema\", \"seen\"=now() \
                   RETURNING 1 + (SELECT count(*) FROM \"_pando_nodes\" WHERE \"id\"<>$1 \
                   AND \"seen\" > now() - $5::float8 * interval '1 ms')::float8";
        let params = vec![
            Value::from(member.id.as_str()),
            Value::from(member.address.as_str()),
            Value::from(member.release.as_str()),
            number(member.schema),
            number(NODE_SILENT_MS),
        ];
        let rows = self.told(sql, params, &[ColumnType::Number]).await?;
        Ok(rows.first().map_or(1, |row| row.get(0).as_number() as u64))
    }

    async fn leave(&self, id: &str) -> Result<()> {
        self.told("DELETE FROM \"_pando_nodes\" WHERE \"id\"=$1", vec![Value::from(id)], &[]).await.map(drop)
    }

    async fn members(&self) -> Result<Vec<Member>> {
        let sql = "SELECT \"id\", \"address\", \"release\", \"schema\"::float8, \
                   extract(epoch FROM now() - \"started\")::float8 * 1000, \
                   extract(epoch FROM now() - \"seen\")::float8 * 1000 FROM \"_pando_nodes\" \
                   WHERE \"seen\" > now() - $1::float8 * interval '1 ms' ORDER BY \"started\", \"id\"";
        use ColumnType::{Number, Text};
        let types = [Text, Text, Text, Number, Number, Number];
        let rows = self.told(sql, vec![number(NODE_SILENT_MS)], &types).await?;
        let text = |row: &Row, index| row.get(index).text_or_empty().to_owned();
        let number = |row: &Row, index| row.get(index).as_number().max(0.0) as u64;
        let member = |row: &Row| Member {
            id: text(row, 0),
            address: text(row, 1),
            release: text(row, 2),
            schema: number(row, 3),
            up_ms: number(row, 4),
            silent_ms: number(row, 5),
        };
        Ok(rows.iter().map(member).collect())
    }
}
