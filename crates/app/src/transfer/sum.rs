//! What proves that both sides hold the same: for each table the number of rows and the sum of their digests. A sum does
//! not depend on an order, and can be kept up to date with every row that changes.

use base::{Kind, Value};
use query::{ColumnType, Table};
use ring::digest::{SHA256, digest};
use store::transfer::{Arrival, Delta, Numbered, Stand};

use super::copy::{FIRST_ROWS, next_rows};
use super::tables::Plan;
use super::{Outcome, Step, Tell};
use crate::error::Error;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    pub rows: u64,
    pub digests: u128,
}

impl Sum {
    fn add(&mut self, table: &Table, rows: &[Numbered]) {
        for numbered in rows {
            self.rows += 1;
            self.digests = self.digests.wrapping_add(fingerprint(table, numbered));
        }
    }

    fn remove(&mut self, table: &Table, rows: &[Numbered]) {
        for numbered in rows {
            self.rows = self.rows.saturating_sub(1);
            self.digests = self.digests.wrapping_sub(fingerprint(table, numbered));
        }
    }
}

/// Of the place, too: the order of insertion is what lists without a sort come in.
fn fingerprint(table: &Table, numbered: &Numbered) -> u128 {
    let mut bytes = numbered.place.to_be_bytes().to_vec();
    for (column, value) in table.columns.iter().zip(numbered.row.0.iter()) {
        canonical(&mut bytes, column.ty, value);
    }
    let digest = digest(&SHA256, &bytes);
    digest.as_ref().iter().take(16).fold(0, |number, byte| (number << 8) | u128::from(*byte))
}

/// The value with its length in front, so that no two rows read the same.
fn canonical(out: &mut Vec<u8>, ty: ColumnType, value: &Value) {
    let mut text = |tag: u8, text: &str| {
        out.push(tag);
        out.extend((text.len() as u64).to_be_bytes());
        out.extend(text.as_bytes());
    };
    match value {
        Value::Null => out.push(0),
        Value::Bool(value) => out.extend([1, u8::from(*value)]),
        // Zero has no sign in either engine's answers.
        Value::Number(number) => {
            out.push(2);
            out.extend((if *number == 0.0 { 0.0 } else { *number }).to_bits().to_be_bytes());
        }
        Value::Text(value) => text(3, value),
        // One engine keeps the spelling of a list, the other its items.
        Value::Json(value) if ty == ColumnType::List => {
            match serde_json::from_str::<serde_json::Value>(value) {
                Ok(items) => text(4, &items.to_string()),
                Err(_) => text(4, value),
            }
        }
        Value::Json(value) => text(4, value),
    }
}

async fn of(stand: &mut dyn Stand, table: &Table, tell: Option<(Tell<'_>, u64)>) -> Outcome<Sum> {
    let mut sum = Sum::default();
    let mut rows = stand.rows(table, i64::MIN, FIRST_ROWS).await?;
    while let Some(last) = rows.last() {
        let (place, max) = (last.place, next_rows(&rows));
        sum.add(table, &rows);
        if let Some((tell, of)) = tell {
            tell(Step::Rows { table: &table.name, done: sum.rows, of });
        }
        rows = stand.rows(table, place, max).await?;
    }
    Ok(sum)
}

/// Reads both sides whole and compares them. The sums are in the order of the plan's tables.
pub async fn compare(
    stand: &mut dyn Stand,
    arrival: &mut dyn Arrival,
    plan: &Plan,
    tell: Tell<'_>,
) -> Outcome<Vec<Sum>> {
    let mut sums = Vec::with_capacity(plan.tables.len());
    for table in &plan.tables {
        let count = stand.count(&table.name).await?;
        let (here, there) = tokio::join!(of(stand, table, Some((tell, count))), of(arrival, table, None));
        let (here, there) = (here?, there?);
        if here != there {
            return Err(differs(table, &here, &there).into());
        }
        sums.push(here);
    }
    Ok(sums)
}

fn differs(table: &Table, here: &Sum, there: &Sum) -> Error {
    Error::new(
        Kind::Internal,
        format!(
            "The copy of {} is not equal: {} rows with the sum {:032x} here, {} rows with the sum {:032x} there.",
            table.name, here.rows, here.digests, there.rows, there.digests
        ),
    )
}

/// Carries records over, reads them back, compares them, and keeps the sums up to date.
pub async fn carry_over(
    arrival: &mut dyn Arrival,
    plan: &Plan,
    deltas: &[Delta],
    meta: &[(String, String)],
    sums: &mut [Sum],
) -> Outcome<()> {
    let mut before = Vec::with_capacity(deltas.len());
    for delta in deltas {
        before.push(arrival.by_id(&delta.table, &delta.ids).await?);
    }
    arrival.apply(deltas, meta).await?;
    for (delta, before) in deltas.iter().zip(before) {
        let after = arrival.by_id(&delta.table, &delta.ids).await?;
        let Some(at) = plan.tables.iter().position(|table| table.name == delta.table.name) else { continue };
        let Some(sum) = sums.get_mut(at) else { continue };
        sum.remove(&delta.table, &before);
        let (mut here, mut there) = (*sum, *sum);
        here.add(&delta.table, &delta.rows);
        there.add(&delta.table, &after);
        if here != there {
            return Err(differs(&delta.table, &here, &there).into());
        }
        *sum = here;
    }
    Ok(())
}
