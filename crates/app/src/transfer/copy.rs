//! The bulk of it: every row of a table as of one moment. The next rows are read while the last are written.

use base::limits::{TRANSFER_CHUNK_BYTES, TRANSFER_CHUNK_ROWS};
use query::Table;
use store::transfer::{Arrival, Numbered, Stand};

use super::{Outcome, Step, Tell};

/// How many rows come next, by the size of those before.
pub fn next_rows(rows: &[Numbered]) -> usize {
    let bytes: usize = rows.iter().map(|numbered| numbered.row.size_bytes()).sum();
    let each = (bytes / rows.len().max(1)).max(1);
    (TRANSFER_CHUNK_BYTES / each).clamp(1, TRANSFER_CHUNK_ROWS)
}

/// What the first look at a table asks for, before the size of a row is known.
pub const FIRST_ROWS: usize = 64;

pub async fn all(
    stand: &mut dyn Stand,
    arrival: &mut dyn Arrival,
    table: &Table,
    tell: Tell<'_>,
) -> Outcome<()> {
    let of = stand.count(&table.name).await?;
    let mut done = 0;
    let mut rows = stand.rows(table, i64::MIN, FIRST_ROWS).await?;
    while let Some(last) = rows.last() {
        let (more, written) =
            tokio::join!(stand.rows(table, last.place, next_rows(&rows)), arrival.append(table, &rows));
        written?;
        done += rows.len() as u64;
        tell(Step::Rows { table: &table.name, done, of });
        rows = more?;
    }
    Ok(())
}
