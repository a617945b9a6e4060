//! Schema changes: what must be looked up and moved aside before the plain statements run.

use query::ddl::Index;
use query::{ColumnType, Ddl};
use tokio_postgres::Client;

use super::connect::failure;
use crate::error::{Error, Result};
use crate::sql::dialect::postgres_name;
use crate::sql::{Dialect, Views, ddl};

pub const BUMP_VERSION: &str =
    "UPDATE \"_pando_meta\" SET \"value\"=(\"value\"::bigint + 1)::text WHERE \"id\"='schema_version'";

/// Applies the changes in order, inside the transaction. Views that are in the way stand aside meanwhile.
pub async fn apply(transaction: &Client, changes: &[Ddl]) -> Result<()> {
    let mut aside = Vec::new();
    for change in changes {
        let statements = |change: &Ddl| ddl::statements(Dialect::Postgres, change);
        match change {
            // A column that a view shows can neither go nor change.
            Ddl::DropColumn { .. } => {
                aside.extend(take_views(transaction).await?);
                run(transaction, &statements(change)?).await?;
            }
            Ddl::RetypeColumn { table, column, .. } => {
                aside.extend(take_views(transaction).await?);
                let indexes = take_indexes(transaction, table, &column.name).await?;
                run(transaction, &statements(change)?).await?;
                run(transaction, &indexes).await?;
            }
            // Other views may stand on this one, which a later change makes anew.
            Ddl::DropView(name) => {
                aside.extend(take_views(transaction).await?);
                aside.retain(|view: &View| view.name != known_as(name));
            }
            Ddl::CreateIndex(index) => {
                let index = with_comparable(transaction, index).await?;
                let name = index.name.clone();
                let made = match statements(&Ddl::CreateIndex(index)) {
                    Ok(statements) => run(transaction, &statements).await,
                    Err(error) => Err(error),
                };
                made.map_err(|error| error.of_index(&name))?;
            }
            // The texts of views know old names only, and a new view may stand on those that are aside.
            _ => {
                restore(transaction, &mut aside).await?;
                run(transaction, &statements(change)?).await?;
            }
        }
    }
    restore(transaction, &mut aside).await?.map_or(Ok(()), Err)
}

/// A view that was dropped for the time of a change.
struct View {
    name: String,
    sql: String,
}

/// Makes those views again that can be made, and returns what keeps the first of the others from it.
async fn restore(transaction: &Client, aside: &mut Vec<View>) -> Result<Option<Error>> {
    loop {
        let before = aside.len();
        let mut problem = None;
        for view in std::mem::take(aside) {
            run(transaction, &["SAVEPOINT view".to_owned()]).await?;
            match run(transaction, std::slice::from_ref(&view.sql)).await {
                Ok(()) => run(transaction, &["RELEASE view".to_owned()]).await?,
                Err(Error::Refused(text)) => {
                    run(transaction, &["ROLLBACK TO view".to_owned()]).await?;
                    problem = problem.or_else(|| {
                        Some(Error::Refused(format!("the view {} no longer fits: {text}", view.name)))
                    });
                    aside.push(view);
                }
                Err(other) => return Err(other),
            }
        }
        if aside.is_empty() || aside.len() == before {
            return Ok(problem);
        }
    }
}

async fn run(transaction: &Client, statements: &[String]) -> Result<()> {
    for statement in statements {
        transaction.batch_execute(statement).await.map_err(|error| match failure(error) {
            Error::Refused(text) => Error::Refused(format!("PostgreSQL: {text}")),
            other => other,
        })?;
    }
    Ok(())
}

/// Drops every view and returns what makes them again.
async fn take_views(transaction: &Client) -> Result<Vec<View>> {
    let sql = "SELECT c.relname::text, pg_get_viewdef(c.oid) FROM pg_class c \
               WHERE c.relkind='v' AND c.relnamespace=current_schema()::regnamespace ORDER BY c.oid";
    let rows = transaction.query(sql, &[]).await.map_err(failure)?;
    let mut out = Vec::with_capacity(rows.len());
    for row in &rows {
        let name: String = row.try_get(0).map_err(failure)?;
        let text: String = row.try_get(1).map_err(failure)?;
        out.push(View { sql: format!("CREATE VIEW {} AS {text}", quoted(&name)), name });
    }
    for view in &out {
        run(transaction, &[format!("DROP VIEW IF EXISTS {} CASCADE", quoted(&view.name))]).await?;
    }
    Ok(out)
}

/// Drops the indexes that have a condition or an expression over a column and returns their statements: those
/// over the plain column follow its type by themselves.
async fn take_indexes(transaction: &Client, table: &str, column: &str) -> Result<Vec<String>> {
    let sql = "SELECT c.relname::text, pg_get_indexdef(c.oid) FROM pg_index i JOIN pg_class c ON c.oid=i.indexrelid \
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
async fn with_comparable(transaction: &Client, index: &Index) -> Result<Index> {
    let sql = "SELECT a.attname::text FROM pg_attribute a JOIN pg_class t ON t.oid=a.attrelid \
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
pub async fn views(client: &Client) -> Result<Views> {
    let sql = "SELECT relname::text FROM pg_class WHERE relkind IN ('v', 'm') \
               AND relnamespace=current_schema()::regnamespace";
    let rows = client.query(sql, &[]).await.map_err(failure)?;
    rows.iter().map(|row| row.try_get::<_, String>(0).map(Into::into).map_err(failure)).collect()
}

/// What PostgreSQL can tell of a query's columns without running it.
pub async fn describe(client: &Client, query: &str) -> Result<Vec<crate::ViewColumn>> {
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
