//! One connection: how it is opened, which functions it has, and what its failures mean.

use std::path::Path;
use std::time::Duration;

use base::{Timestamp, Value, json, limits};
use query::eval::{self, Seen};
use rusqlite::functions::FunctionFlags;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, ToSql};

use crate::engine::transfer::FENCE;
use crate::error::{Error, Result};
use crate::sql::Statement;

/// Pages that the writer and each reader keep, in KiB.
const WRITER_CACHE_KIB: u32 = 8 << 10;
const READER_CACHE_KIB: u32 = 4 << 10;
/// How much of the file each reader may map: SQLite's own upper bound.
const READER_MAP_BYTES: u64 = 0x7fff_0000;

/// When what was written is on disk, whatever happens to the machine.
#[derive(Clone, Copy)]
pub enum Flush {
    /// As soon as its commit returns.
    Commit,
    /// With the next checkpoint: what came after the last one may be lost, as a whole and from its end.
    Checkpoint,
}

/// Opens for writing: write-ahead log, checkpoints happen elsewhere.
pub fn open_writer(path: &Path, flush: Flush) -> Result<Connection> {
    let connection = open(path, WRITER_CACHE_KIB)?;
    let synchronous = match flush {
        Flush::Commit => "FULL",
        Flush::Checkpoint => "NORMAL",
    };
    connection
        .execute_batch(&format!(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous={synchronous}; PRAGMA wal_autocheckpoint=0"
        ))
        .map_err(|error| failure(&connection, error))?;
    Ok(connection)
}

pub fn open_reader(path: &Path) -> Result<Connection> {
    let connection = open(path, READER_CACHE_KIB)?;
    // Reading a mapped page costs neither a call nor a copy, which is most of a read once the data outgrows the
    // page cache. The mapping is the kernel's to fill and to take back.
    connection
        .execute_batch(&format!("PRAGMA query_only=ON; PRAGMA mmap_size={READER_MAP_BYTES}"))
        .map_err(|error| failure(&connection, error))?;
    Ok(connection)
}

fn open(path: &Path, cache_kib: u32) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let connection = Connection::open_with_flags(path, flags)
        .map_err(|error| Error::Unavailable(format!("{}: {error}", path.display())))?;
    let prepare = || -> rusqlite::Result<()> {
        connection.busy_timeout(Duration::from_millis(limits::STORE_WAIT_MS))?;
        connection.execute_batch(&format!("PRAGMA cache_size=-{cache_kib}; PRAGMA foreign_keys=OFF"))?;
        connection.set_prepared_statement_cache_capacity(limits::STATEMENTS_MAX);
        functions(&connection)
    };
    match prepare() {
        Ok(()) => Ok(connection),
        Err(error) => Err(failure(&connection, error)),
    }
}

/// What rendered statements call beyond SQLite's own functions.
fn functions(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function("pando_text", 1, flags, |context| Ok(text_of(context.get_raw(0))))?;
    connection
        .create_scalar_function("pando_number", 1, flags, |context| Ok(number_of(context.get_raw(0))))?;
    connection.create_scalar_function("pando_date", 1, flags, |context| {
        let text = text_of(context.get_raw(0)).unwrap_or_default();
        Ok(Timestamp::parse(&text).map(|stamp| stamp.to_string()).unwrap_or_default())
    })?;
    connection.create_scalar_function("pando_pulled", 1, flags, |context| {
        let raw = context.get_raw(0);
        let number = match raw {
            ValueRef::Text(text) => std::str::from_utf8(text).ok().and_then(eval::number_of),
            _ => None,
        };
        Ok(match number {
            Some(number) => rusqlite::types::Value::Real(number),
            None => raw.try_into()?,
        })
    })?;
    connection.create_scalar_function("pando_length", 1, flags, |context| {
        Ok(eval::length(&seen(context.get_raw(0))))
    })?;
    connection.create_scalar_function("pando_elements", 1, flags, |context| {
        Ok(elements(&seen(context.get_raw(0))))
    })?;
    connection.create_scalar_function("pando_geo_distance", 4, flags, |context| {
        Ok(eval::geo_distance(&std::array::from_fn(|index| seen(context.get_raw(index)))))
    })
}

/// The elements of a value as a JSON array of texts and nulls.
fn elements(of: &Seen<'_>) -> String {
    let mut out = String::from("[");
    for element in eval::elements(of) {
        if out.len() > 1 {
            out.push(',');
        }
        match element.to_text() {
            Some(text) => json::write_string(&mut out, &text),
            None => out.push_str("null"),
        }
    }
    out.push(']');
    out
}

fn seen(value: ValueRef<'_>) -> Seen<'_> {
    match value {
        ValueRef::Null => Seen::Missing,
        ValueRef::Integer(number) => Seen::Number(number as f64),
        ValueRef::Real(number) => Seen::Number(number),
        ValueRef::Text(text) | ValueRef::Blob(text) => Seen::Text(String::from_utf8_lossy(text)),
    }
}

fn text_of(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(json::number_text(number)),
        ValueRef::Text(text) | ValueRef::Blob(text) => Some(String::from_utf8_lossy(text).into_owned()),
    }
}

fn number_of(value: ValueRef<'_>) -> Option<f64> {
    match value {
        ValueRef::Integer(number) => Some(number as f64),
        ValueRef::Real(number) => Some(number),
        ValueRef::Text(text) => std::str::from_utf8(text).ok().and_then(eval::number_of),
        _ => None,
    }
}

/// A value on its way into a statement.
pub(super) struct Bound<'a>(pub &'a Value);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Value::Null => ValueRef::Null,
            Value::Bool(value) => ValueRef::Integer(i64::from(*value)),
            Value::Number(number) => ValueRef::Real(*number),
            Value::Text(text) | Value::Json(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

/// Prepares (or finds prepared) and binds.
pub fn prepared<'c>(
    connection: &'c Connection,
    statement: &Statement,
) -> rusqlite::Result<rusqlite::CachedStatement<'c>> {
    let mut out = connection.prepare_cached(&statement.sql)?;
    for (index, value) in statement.params.iter().enumerate() {
        out.raw_bind_parameter(index + 1, Bound(value))?;
    }
    Ok(out)
}

/// Runs a statement that yields no rows. Returns how many rows it changed.
pub fn execute(connection: &Connection, statement: &Statement) -> rusqlite::Result<usize> {
    prepared(connection, statement)?.raw_execute()
}

/// The number or truth value in the first column of the first row.
pub fn scalar(connection: &Connection, statement: &Statement) -> rusqlite::Result<i64> {
    let mut prepared = prepared(connection, statement)?;
    let mut rows = prepared.raw_query();
    match rows.next()? {
        Some(row) => row.get(0),
        None => Ok(0),
    }
}

/// The driver's error in our terms.
pub fn failure(connection: &Connection, error: rusqlite::Error) -> Error {
    let rusqlite::Error::SqliteFailure(code, message) = &error else {
        return match error {
            rusqlite::Error::SqlInputError { msg, .. } => Error::Refused(msg),
            rusqlite::Error::NulError(_) => Error::Refused("a name holds a NUL byte".into()),
            rusqlite::Error::MultipleStatement => {
                Error::Refused("multiple statements are not supported".into())
            }
            other => Error::Internal(other.to_string()),
        };
    };
    let text = message.clone().unwrap_or_else(|| error.to_string());
    match (code.code, code.extended_code) {
        (
            ErrorCode::ConstraintViolation,
            rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE
            | rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY
            | rusqlite::ffi::SQLITE_CONSTRAINT_ROWID,
        ) => taken(connection, &text),
        (ErrorCode::ConstraintViolation, rusqlite::ffi::SQLITE_CONSTRAINT_TRIGGER)
            if text.starts_with(FENCE) =>
        {
            Error::Moved
        }
        (ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch, _) => {
            Error::Refused(text)
        }
        (ErrorCode::DiskFull, _) => Error::Full(text),
        (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _) => Error::Unavailable(text),
        (ErrorCode::CannotOpen | ErrorCode::SystemIoFailure | ErrorCode::ReadOnly, _) => {
            Error::Unavailable(text)
        }
        // Only a transaction's deadline stops what somebody waits for.
        (ErrorCode::OperationInterrupted, _) => Error::Expired,
        // SQLITE_ERROR: the statement itself is at fault.
        (ErrorCode::Unknown, _) => Error::Refused(text),
        _ => Error::Internal(text),
    }
}

/// `UNIQUE constraint failed: posts.title, posts.slug`, or `… failed: index 'name'` for an expression.
fn taken(connection: &Connection, message: &str) -> Error {
    let what = message.rsplit_once("failed: ").map_or(message, |(_, what)| what);
    if let Some(index) = what.strip_prefix("index '").and_then(|rest| rest.strip_suffix('\'')) {
        let table = connection
            .query_row("SELECT tbl_name FROM sqlite_master WHERE type='index' AND name=?", [index], |row| {
                row.get::<_, String>(0)
            })
            .unwrap_or_default();
        let columns = connection
            .prepare("SELECT name FROM pragma_index_info(?) WHERE name IS NOT NULL")
            .and_then(|mut names| names.query_map([index], |row| row.get(0))?.collect())
            .unwrap_or_default();
        return Error::Taken { table: table.into(), columns };
    }
    let mut table = "";
    let mut columns = Vec::new();
    for part in what.split(", ") {
        if let Some((name, column)) = part.split_once('.') {
            table = name;
            columns.push(column.to_owned());
        }
    }
    Error::Taken { table: table.into(), columns }
}
