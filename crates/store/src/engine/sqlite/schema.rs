//! Schema changes: what must be looked up and moved aside before the plain statements run.

use query::Ddl;
use rusqlite::Connection;

use crate::error::{Error, Result};
use crate::sql::{Dialect, Views, ddl};

use super::connection::failure;
use super::views;

/// Applies one change inside the open transaction.
pub fn apply(connection: &Connection, change: &Ddl) -> Result<()> {
    let statements = ddl::statements(Dialect::Sqlite, change)?;
    match change {
        Ddl::DropTable(_) => views::kept(connection, || run(connection, &statements)),
        // SQLite would refuse at the first broken view, whatever it is about.
        Ddl::DropColumn { table, column } => views::kept(connection, || {
            let views = take_views(connection)?;
            take_indexes(connection, table, column)?;
            run(connection, &statements)?;
            run(connection, &views)
        }),
        Ddl::RetypeColumn { table, column, .. } => views::kept(connection, || {
            let views = take_views(connection)?;
            let indexes = take_indexes(connection, table, &column.name)?;
            run(connection, &statements)?;
            run(connection, &indexes)?;
            run(connection, &views)
        }),
        // Renames rewrite the views that mention the old name, unless one is broken already.
        Ddl::RenameTable { .. } | Ddl::RenameColumn { .. } => {
            views::kept(connection, || match run(connection, &statements) {
                Err(Error::Refused(text)) if text.contains("error in view") => {
                    let views = take_views(connection)?;
                    run(connection, &statements)?;
                    run(connection, &views)
                }
                other => other,
            })
        }
        Ddl::CreateIndex(index) => run(connection, &statements).map_err(|error| error.of_index(&index.name)),
        Ddl::CreateView { name, .. } => {
            run(connection, &statements)?;
            // SQLite does not look into a view before it is used.
            views::columns(connection, name).map(drop)
        }
        _ => run(connection, &statements),
    }
}

pub(super) fn run(connection: &Connection, statements: &[String]) -> Result<()> {
    for statement in statements {
        connection.execute_batch(statement).map_err(|error| failure(connection, error))?;
    }
    Ok(())
}

/// Drops every view and returns the statements that make them again.
fn take_views(connection: &Connection) -> Result<Vec<String>> {
    let views = rows(connection, "SELECT name, sql FROM sqlite_master WHERE type='view' ORDER BY rowid", "")?;
    take(connection, "DROP VIEW ", views)
}

/// Drops the indexes that mention a column and returns the statements that make them again.
fn take_indexes(connection: &Connection, table: &str, column: &str) -> Result<Vec<String>> {
    let all = "SELECT name, sql FROM sqlite_master WHERE type='index' AND sql IS NOT NULL AND tbl_name=?1 ORDER BY rowid";
    let mut indexes = rows(connection, all, table)?;
    let needle = column.to_ascii_lowercase();
    // The names before the bracket are the index's and the table's own.
    indexes.retain(|(_, sql)| {
        let from = sql.find('(').unwrap_or(0);
        mentions(&sql[from..].to_ascii_lowercase(), &needle)
    });
    take(connection, "DROP INDEX ", indexes)
}

fn take(connection: &Connection, verb: &str, objects: Vec<(String, String)>) -> Result<Vec<String>> {
    let mut out = Vec::with_capacity(objects.len());
    for (name, sql) in objects {
        let mut drop = String::from(verb);
        Dialect::Sqlite.ident(&mut drop, &name);
        run(connection, &[drop])?;
        out.push(sql);
    }
    Ok(out)
}

pub(super) fn rows(connection: &Connection, sql: &str, param: &str) -> Result<Vec<(String, String)>> {
    let read = || -> rusqlite::Result<Vec<(String, String)>> {
        let mut statement = connection.prepare(sql)?;
        if statement.parameter_count() > 0 {
            statement.raw_bind_parameter(1, param)?;
        }
        let mut rows = statement.raw_query();
        let mut out = Vec::new();
        while let Some(row) = rows.next()? {
            out.push((row.get(0)?, row.get(1)?));
        }
        Ok(out)
    };
    read().map_err(|error| failure(connection, error))
}

/// Does the word occur as a whole?
fn mentions(text: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        !text[..at].chars().next_back().is_some_and(part)
            && !text[at + word.len()..].chars().next().is_some_and(part)
    })
}

/// The names of all views.
pub fn views(connection: &Connection) -> rusqlite::Result<Views> {
    let mut statement = connection.prepare_cached("SELECT name FROM sqlite_master WHERE type='view'")?;
    let names = statement.query_map([], |row| row.get::<_, String>(0))?;
    names.map(|name| name.map(Into::into)).collect()
}
