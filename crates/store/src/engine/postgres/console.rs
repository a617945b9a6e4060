//! Statements that a person wrote, on a connection that is closed afterwards: whatever they begin or set ends with it.

use std::time::Duration;

use base::limits::{SQL_BYTES_MAX, SQL_ROWS_MAX, SQL_RUN_MS};
use deadpool_postgres::{Client, Object};
use futures_util::{StreamExt, pin_mut};
use tokio_postgres::SimpleQueryMessage;

use super::connect::failure;
use crate::engine::{Console, ConsoleColumn};
use crate::error::{Error, Result};

/// Beyond the server's own limit, for the answer to arrive.
const GRACE: Duration = Duration::from_millis(2_000);

pub async fn run(client: Client, sql: &str) -> Result<Console> {
    let mut client = Object::take(client);
    let limit = Duration::from_millis(SQL_RUN_MS);
    let result = tokio::time::timeout(limit + GRACE, answer(&mut client, sql)).await;
    result.unwrap_or_else(|_| Err(Error::Refused(format!("the statement took longer than {SQL_RUN_MS} ms"))))
}

async fn answer(client: &mut tokio_postgres::Client, sql: &str) -> Result<Console> {
    let limits = format!("SET statement_timeout={SQL_RUN_MS}");
    client.batch_execute(&limits).await.map_err(failure)?;
    let mut out = Console { wrote: may_write(sql), ..Console::default() };
    let mut bytes = 0;
    let stream = client.simple_query_raw(sql).await.map_err(explained)?;
    pin_mut!(stream);
    while let Some(message) = stream.next().await {
        match message.map_err(explained)? {
            SimpleQueryMessage::RowDescription(columns) => {
                (out.rows, bytes) = (Vec::new(), 0);
                let named = |name: &str| ConsoleColumn { name: name.to_owned(), ty: String::new() };
                out.columns = columns.iter().map(|column| named(column.name())).collect();
            }
            SimpleQueryMessage::Row(row) => {
                if out.rows.len() == SQL_ROWS_MAX {
                    continue;
                }
                let values: Vec<_> = (0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect();
                bytes += values.iter().flatten().map(String::len).sum::<usize>();
                if bytes > SQL_BYTES_MAX {
                    return Err(Error::Refused(format!("the result is larger than {SQL_BYTES_MAX} bytes")));
                }
                out.rows.push(values);
            }
            SimpleQueryMessage::CommandComplete(count) => out.affected = count,
            _ => {}
        }
    }
    if !out.columns.is_empty() {
        out.affected = 0;
    }
    Ok(out)
}

/// Anything but a single statement that is known to read. A function that it calls may write all the same: nothing
/// is cached of this engine's records, so only changed definitions would be noticed late.
fn may_write(sql: &str) -> bool {
    let single = !sql.trim().trim_end_matches(';').contains(';');
    let word = crate::engine::first_word(sql);
    !(single && ["select", "values", "table", "show", "explain"].contains(&word.as_str()))
}

fn explained(error: tokio_postgres::Error) -> Error {
    match failure(error) {
        Error::Taken { table, columns } => {
            Error::Refused(format!("a value of {table} is taken: {}", columns.join(", ")))
        }
        // The statement timeout is the statement's own fault.
        Error::Slow(text) => Error::Refused(text),
        other => other,
    }
}
