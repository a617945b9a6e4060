//! Statements that a person wrote, on a connection that nobody else uses and that is closed afterwards: whatever they
//! begin, attach or set ends with it.

use std::path::Path;
use std::time::{Duration, Instant};

use base::limits::{SQL_BYTES_MAX, SQL_ROWS_MAX, SQL_RUN_MS};
use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::types::ValueRef;
use rusqlite::{Batch, Connection, Statement};

use super::connection::{Flush, failure, open_writer};
use super::transaction::STEP_OPCODES;
use crate::engine::{Console, ConsoleColumn, first_word};
use crate::error::{Error, Result};

/// What cannot be part of a transaction, or is about one.
const ALONE: [&str; 9] =
    ["vacuum", "begin", "commit", "end", "rollback", "savepoint", "release", "pragma", "detach"];

pub fn run(path: &Path, sql: &str) -> Result<Console> {
    let mut connection = open_writer(path, Flush::Commit)?;
    let deadline = Instant::now() + Duration::from_millis(SQL_RUN_MS);
    let internal = |error: rusqlite::Error| Error::Internal(error.to_string());
    connection.progress_handler(STEP_OPCODES, Some(move || Instant::now() > deadline)).map_err(internal)?;
    connection.authorizer(Some(no_other_files)).map_err(internal)?;
    let fail = |error: rusqlite::Error| explained(&connection, error);
    let whole = !ALONE.contains(&first_word(sql).as_str());
    if whole {
        connection.execute_batch("BEGIN").map_err(fail)?;
    }
    let mut out = Console::default();
    let mut batch = Batch::new(&connection, sql);
    let mut first = true;
    let mut reading = false;
    while let Some(mut statement) = batch.next().map_err(fail)? {
        unbound(&statement)?;
        let readonly = statement.readonly();
        out.wrote |= !readonly;
        if first {
            reading = readonly;
            first = false;
        }
        out.columns.clear();
        out.rows.clear();
        if reading {
            columns(&statement, &mut out);
        }
        let before = connection.total_changes();
        rows(&mut statement, reading, &mut out).map_err(fail)??;
        if !reading && !readonly {
            out.affected = connection.total_changes() - before;
        }
    }
    if whole && !connection.is_autocommit() {
        connection.execute_batch("COMMIT").map_err(fail)?;
    }
    Ok(out)
}

fn columns(statement: &Statement<'_>, out: &mut Console) {
    out.columns = statement
        .columns()
        .map(|column| ConsoleColumn {
            name: column.name().to_owned(),
            ty: column.decl_type().unwrap_or_default().to_owned(),
        })
        .collect();
}

/// Runs to the end, and keeps as much of the result as may be answered.
fn rows(statement: &mut Statement<'_>, keep: bool, out: &mut Console) -> rusqlite::Result<Result<()>> {
    let count = statement.column_count();
    let readonly = statement.readonly();
    let mut rows = statement.raw_query();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        if !keep {
            continue;
        }
        if out.rows.len() == SQL_ROWS_MAX {
            // What writes goes on to its end.
            if readonly {
                break;
            }
            continue;
        }
        let mut values = Vec::with_capacity(count);
        for index in 0..count {
            let value = text(row.get_ref(index)?);
            bytes += value.as_ref().map_or(0, String::len);
            values.push(value);
        }
        if bytes > SQL_BYTES_MAX {
            return Ok(Err(Error::Refused(format!("the result is larger than {SQL_BYTES_MAX} bytes"))));
        }
        out.rows.push(values);
    }
    Ok(Ok(()))
}

fn text(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(shortest(number)),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
    }
}

/// The fewest digits that tell the number, with an exponent from a million on and below a ten-thousandth.
fn shortest(number: f64) -> String {
    if !number.is_finite() {
        return if number > 0.0 { "+Inf".into() } else { "-Inf".into() };
    }
    let spelled = format!("{number:e}");
    let Some((digits, exponent)) = spelled.split_once('e') else { return spelled };
    match exponent.parse::<i32>() {
        Ok(exponent) if (-4..6).contains(&exponent) => format!("{number}"),
        Ok(exponent) => format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs()),
        Err(_) => spelled,
    }
}

/// Nobody gives values for parameters.
fn unbound(statement: &Statement<'_>) -> Result<()> {
    match statement.parameter_count() {
        0 => Ok(()),
        _ => Err(Error::Refused(match statement.parameter_name(1) {
            Some(name) => format!("missing named argument {:?}", name.get(1..).unwrap_or_default()),
            None => "missing argument with index 1".into(),
        })),
    }
}

/// The database is this file alone: another one on the same machine may be anybody's.
fn no_other_files(context: AuthContext<'_>) -> Authorization {
    match context.action {
        AuthAction::Attach { filename } if !filename.is_empty() => Authorization::Deny,
        _ => Authorization::Allow,
    }
}

fn explained(connection: &Connection, error: rusqlite::Error) -> Error {
    let code = error.sqlite_error().map_or(1, |code| code.extended_code);
    let text = match &error {
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        rusqlite::Error::SqliteFailure(_, Some(text)) => text.clone(),
        other => other.to_string(),
    };
    match failure(connection, error) {
        Error::Expired => Error::Refused(format!("the statement took longer than {SQL_RUN_MS} ms")),
        Error::Refused(_) if code == 1 => Error::Refused(format!("SQL logic error: {text} (1)")),
        Error::Refused(_) | Error::Taken { .. } => {
            Error::Refused(format!("constraint failed: {text} ({code})"))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_and_words() {
        for (number, text) in [
            (1.5, "1.5"),
            (1e19, "1e+19"),
            (100000.0, "100000"),
            (1000000.5, "1.0000005e+06"),
            (0.00001, "1e-05"),
            (0.0001, "0.0001"),
            (-0.0, "-0"),
            (f64::INFINITY, "+Inf"),
        ] {
            assert_eq!(super::shortest(number), text);
        }
        for (sql, word) in [("  SELECT 1", "select"), ("-- a\n/* b */ Begin;", "begin"), ("", ""), ("--", "")]
        {
            assert_eq!(super::first_word(sql), word, "{sql}");
        }
    }
}
