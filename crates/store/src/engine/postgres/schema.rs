//! Schema changes: what must be looked up and moved aside before the plain statements run.

use query::ddl::Index;
use query::{ColumnType, Ddl};
use tokio_postgres::Transaction;

use super::connect::failure;
use crate::error::{Error, Result};
use crate::sql::dialect::postgres_name;
use crate::sql::{Dialect, Views, ddl};

pub const BUMP_VERSION: &str =
    "UPDATE \"_pando_meta\" SET \"value\"=(\"value\"::bigint + 1)::text WHERE \"id\"='schema_version'";

/// Applies one change inside the transaction.
pub async fn apply(transaction: &Transaction<'_>, change: &Ddl) -> Result<()> {
    match change {
        // A column that a view shows can neither go nor change; what mentions it is judged when the view comes
        // back.
        Ddl::DropColumn { .. } | Ddl::RetypeColumn { .. } => {
            let indexes = match change {
                Ddl::RetypeColumn { table, column, .. } => {
                    take_indexes(transaction, table, &column.name).await?
                }
                _ => Vec::new(),
            };
            let views = take_views(transaction).await?;
            run(transaction, &ddl::statements(Dialect::Postgres, change)?).await?;
            run(transaction, &indexes).await?;
            run(transaction, &views).await.map_err(|error| match error {
                Error::Refused(text) => {
                    Error::Refused(format!("a view no longer fits the changed column: {text}"))
                }
                other => other,
            })
        }
        Ddl::DropTable(name) => {
            let views = take_views(transaction).await?;
            run(transaction, &ddl::statements(Dialect::Postgres, change)?).await?;
            let own = quoted(name);
            // A view of the dropped table cannot be made again.
            let kept: Vec<String> = views.into_iter().filter(|view| !view.contains(&own)).collect();
            run(transaction, &kept).await
        }
        Ddl::CreateIndex(index) => {
            let index = with_comparable(transaction, index).await?;
            run(transaction, &ddl::statements(Dialect::Postgres, &Ddl::CreateIndex(index))?).await
        }
        _ => run(transaction, &ddl::statements(Dialect::Postgres, change)?).await,
    }
}

async fn run(transaction: &Transaction<'_>, statements: &[String]) -> Result<()> {
    for statement in statements {
        transaction.batch_execute(statement).await.map_err(|error| match failure(error) {
            Error::Refused(text) => Error::Refused(format!("PostgreSQL: {text}")),
            other => other,
        })?;
    }
    Ok(())
}

/// Drops every view and returns the statements that make them again, those that others need first.
async fn take_views(transaction: &Transaction<'_>) -> Result<Vec<String>> {
    let sql = "SELECT c.relname, pg_get_viewdef(c.oid) FROM pg_class c \
               WHERE c.relkind='v' AND c.relnamespace=current_schema()::regnamespace ORDER BY c.oid";
    let rows = transaction.query(sql, &[]).await.map_err(failure)?;
    let mut out = Vec::with_capacity(rows.len());
    for row in &rows {
        let name: String = row.try_get(0).map_err(failure)?;
        let text: String = row.try_get(1).map_err(failure)?;
        out.push(format!("CREATE VIEW {} AS {text}", quoted(&name)));
    }
    for row in rows.iter().rev() {
        let name: String = row.try_get(0).map_err(failure)?;
        run(transaction, &[format!("DROP VIEW IF EXISTS {} CASCADE", quoted(&name))]).await?;
    }
    Ok(out)
}

/// Drops the indexes that have a condition or an expression over a column and returns their statements: those
/// over the plain column follow its type by themselves.
async fn take_indexes(transaction: &Transaction<'_>, table: &str, column: &str) -> Result<Vec<String>> {
    let sql = "SELECT c.relname, pg_get_indexdef(c.oid) FROM pg_index i JOIN pg_class c ON c.oid=i.indexrelid \
               JOIN pg_class t ON t.oid=i.indrelid JOIN pg_attribute a ON a.attrelid=t.oid \
               JOIN pg_depend d ON d.classid='pg_class'::regclass AND d.objid=c.oid \
                 AND d.refobjid=t.oid AND d.refobjsubid=a.attnum \
               WHERE t.relname=$1 AND a.attname=$2 AND t.relnamespace=current_schema()::regnamespace \
                 AND (i.indpred IS NOT NULL OR i.indexprs IS NOT NULL) GROUP BY 1, 2";
    let (table, column) = (known_as(table), known_as(column));
    let rows = transaction.query(sql, &[&table, &column]).await.map_err(failure)?;
    let mut out = Vec::with_capacity(rows.len());
    for row in &rows {
        let name: String = row.try_get(0).map_err(failure)?;
        run(transaction, &[format!("DROP INDEX {}", quoted(&name))]).await?;
        out.push(row.try_get(1).map_err(failure)?);
    }
    Ok(out)
}

/// Columns of type `json` have no order: their text is indexed.
async fn with_comparable(transaction: &Transaction<'_>, index: &Index) -> Result<Index> {
    let sql = "SELECT a.attname FROM pg_attribute a JOIN pg_class t ON t.oid=a.attrelid \
               WHERE t.relname=$1 AND t.relnamespace=current_schema()::regnamespace AND a.atttypid='json'::regtype";
    let rows = transaction.query(sql, &[&known_as(&index.table)]).await.map_err(failure)?;
    let mut index = index.clone();
    for row in &rows {
        let name: String = row.try_get(0).map_err(failure)?;
        for column in &mut index.columns {
            if known_as(&column.expr) == name {
                column.expr = format!("({}::text)", quoted(&name)).into();
            }
        }
    }
    Ok(index)
}

fn quoted(name: &str) -> String {
    let mut out = String::new();
    Dialect::Postgres.ident(&mut out, name);
    out
}

fn known_as(name: &str) -> String {
    postgres_name(name).unwrap_or_else(|| name.to_owned())
}

/// The names of all views.
pub async fn views(client: &tokio_postgres::Client) -> Result<Views> {
    let sql = "SELECT relname::text FROM pg_class WHERE relkind IN ('v', 'm') \
               AND relnamespace=current_schema()::regnamespace";
    let rows = client.query(sql, &[]).await.map_err(failure)?;
    rows.iter().map(|row| row.try_get::<_, String>(0).map(Into::into).map_err(failure)).collect()
}

/// What PostgreSQL can tell of a query's columns without running it.
pub async fn describe(client: &tokio_postgres::Client, query: &str) -> Result<Vec<crate::ViewColumn>> {
    let text = query.trim().trim_end_matches(';');
    let translated = crate::sql::translate::to_postgres(text)?;
    let prepared = client.prepare(&format!("SELECT * FROM ({translated}\n) AS q")).await.map_err(
        |error| match failure(error) {
            Error::Refused(text) => Error::Refused(format!("PostgreSQL: {text}")),
            other => other,
        },
    )?;
    let types = crate::sql::outline::item_types(text);
    let same = types.len() == prepared.columns().len();
    let mut out = Vec::with_capacity(prepared.columns().len());
    for (index, column) in prepared.columns().iter().enumerate() {
        let origin = match (column.table_oid(), column.column_id()) {
            (Some(table), Some(id)) => {
                let sql = "SELECT t.relname::text, a.attname::text FROM pg_attribute a JOIN pg_class t ON t.oid=a.attrelid \
                           WHERE a.attrelid=$1 AND a.attnum=$2";
                let row = client.query_opt(sql, &[&table, &id]).await.map_err(failure)?;
                row.and_then(|row| Some((row.try_get(0).ok()?, row.try_get(1).ok()?)))
            }
            _ => None,
        };
        out.push(crate::ViewColumn {
            name: column.name().to_owned(),
            origin,
            ty: types.get(index).copied().filter(|_| same).unwrap_or(ColumnType::Dynamic),
        });
    }
    Ok(out)
}
