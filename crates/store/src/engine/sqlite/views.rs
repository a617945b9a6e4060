//! Views over a changing table: SQLite looks into them only when they are used, so whether they still stand has
//! to be asked.

use rusqlite::Connection;

use super::connection::failure;
use super::schema::{rows, run};
use crate::error::{Error, Result};
use crate::sql::Dialect;

/// Makes a change after which every view that could be read can still be read, with the same columns; a change
/// that would break one is refused.
pub fn kept(connection: &Connection, change: impl FnOnce() -> Result<()>) -> Result<()> {
    let all = "SELECT name, '' FROM sqlite_master WHERE type='view' ORDER BY rowid";
    let mut sound = Vec::new();
    for (name, _) in rows(connection, all, "")? {
        if let Ok(columns) = columns(connection, &name) {
            sound.push((name, columns));
        }
    }
    change()?;
    for (name, before) in sound {
        match columns(connection, &name) {
            Ok(after) if after == before => {}
            Ok(after) if after.len() == before.len() => name_columns(connection, &name, &before)?,
            Ok(_) => return Err(Error::Refused(format!("error in view {name}: other columns"))),
            Err(Error::Refused(why)) => return Err(Error::Refused(format!("error in view {name}: {why}"))),
            Err(other) => return Err(other),
        }
    }
    Ok(())
}

/// The names of a view's columns.
pub fn columns(connection: &Connection, view: &str) -> Result<Vec<String>> {
    let mut probe = String::from("SELECT * FROM ");
    Dialect::Sqlite.ident(&mut probe, view);
    let statement = connection.prepare(&probe).map_err(|error| failure(connection, error))?;
    Ok(statement.column_names().map(str::to_owned).collect())
}

/// A column that SQLite renamed in a view's text shows up under its new name; the view's readers know the old one.
fn name_columns(connection: &Connection, view: &str, names: &[String]) -> Result<()> {
    let text = "SELECT name, sql FROM sqlite_master WHERE type='view' AND name=?1";
    let Some((_, sql)) = rows(connection, text, view)?.pop() else { return Ok(()) };
    // The view's own name comes first, and may hold anything but the word between spaces.
    let Some(at) = sql.to_ascii_uppercase().find(" AS ") else { return Ok(()) };
    let quoted = |name: &str| {
        let mut out = String::new();
        Dialect::Sqlite.ident(&mut out, name);
        out
    };
    let view = quoted(view);
    let names: Vec<String> = names.iter().map(|name| quoted(name)).collect();
    let create = format!("CREATE VIEW {view} ({}){}", names.join(", "), &sql[at..]);
    run(connection, &[format!("DROP VIEW {view}"), create])
}
