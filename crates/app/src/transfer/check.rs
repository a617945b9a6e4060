//! What cannot be moved, found before anything is.

use base::limits::TRANSFER_PROBLEMS_MAX;
use base::{Kind, Name};
use query::Batch;
use store::Store;
use store::transfer::{Arrival, Stand};

use super::copy::{FIRST_ROWS, next_rows};
use super::tables::Plan;
use super::{Outcome, Phase, Step, Tell, plain};
use crate::error::{Error, Result};

/// A value, an index or a view that the other database does not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub collection: Name,
    pub id: Option<String>,
    pub field: Option<Name>,
    pub why: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}", self.collection)?;
        for part in [self.id.as_deref(), self.field.as_deref()].into_iter().flatten() {
            write!(out, "/{part}")?;
        }
        write!(out, ": {}", self.why)
    }
}

/// What a move would carry, without moving anything.
pub struct Prospect {
    pub tables: Vec<(Name, u64)>,
    /// Of the values, about.
    pub bytes: u64,
    pub problems: Vec<Problem>,
}

/// Looks for everything that would keep a move from succeeding.
pub async fn check(from: &Store, to: &Store, tell: Tell<'_>) -> Result<Prospect> {
    tell(Step::Phase(Phase::Check));
    let plan = Plan::read(from).await?;
    let mut departure = from.depart().await.map_err(plain)?;
    let arrival = to.arrive().await.map_err(plain)?;
    let mut stand = departure.stand().await.map_err(plain)?;
    let mut prospect = Prospect { tables: Vec::new(), bytes: 0, problems: Vec::new() };
    for table in &plan.tables {
        prospect.tables.push((table.name.clone(), stand.count(&table.name).await.map_err(plain)?));
    }
    prospect.problems = match scan_sized(&mut *stand, &plan, &*arrival, tell, &mut prospect.bytes).await {
        Ok(problems) => problems,
        Err(broken) => return Err(broken.into()),
    };
    prospect.problems.extend(definitions(&plan, to).await?);
    Ok(prospect)
}

/// Makes everything empty in a transaction that is undone.
async fn definitions(plan: &Plan, to: &Store) -> Result<Vec<Problem>> {
    let limit = std::time::Duration::from_millis(base::limits::TRANSACTION_MS_MAX);
    let transaction = to.begin(limit).await.map_err(plain)?;
    let mut problems = Vec::new();
    for change in plan.create.iter().chain(&plan.indexes).chain(&plan.views) {
        let name = match change {
            query::Ddl::CreateTable(table) => table.name.clone(),
            query::Ddl::CreateIndex(index) => index.table.clone(),
            query::Ddl::CreateView { name, .. } => name.clone(),
            _ => continue,
        };
        let batch = Batch { ddl: vec![change.clone()], ..Batch::default() };
        if let Err(error) = transaction.store().commit(batch).await {
            problems.push(Problem { collection: name, id: None, field: None, why: error.to_string() });
        }
    }
    transaction.rollback().await.map_err(plain)?;
    Ok(problems)
}

/// The values that the other database does not take.
pub(super) async fn scan(
    stand: &mut dyn Stand,
    plan: &Plan,
    arrival: &dyn Arrival,
    tell: Tell<'_>,
) -> Outcome<Vec<Problem>> {
    scan_sized(stand, plan, arrival, tell, &mut 0).await
}

async fn scan_sized(
    stand: &mut dyn Stand,
    plan: &Plan,
    arrival: &dyn Arrival,
    tell: Tell<'_>,
    bytes: &mut u64,
) -> Outcome<Vec<Problem>> {
    let mut problems = Vec::new();
    for table in &plan.tables {
        let of = stand.count(&table.name).await?;
        let (mut done, mut rows) = (0, stand.rows(table, i64::MIN, FIRST_ROWS).await?);
        while let Some(last) = rows.last() {
            let place = last.place;
            for numbered in &rows {
                for (column, value) in table.columns.iter().zip(numbered.row.0.iter()) {
                    let Some(why) = arrival.objection(value) else { continue };
                    if problems.len() < TRANSFER_PROBLEMS_MAX {
                        let id =
                            table.position("id").map(|at| numbered.row.get(at).text_or_empty().to_owned());
                        let field = Some(column.name.clone());
                        problems.push(Problem { collection: table.name.clone(), id, field, why: why.into() });
                    }
                }
                *bytes += numbered.row.size_bytes() as u64;
            }
            done += rows.len() as u64;
            tell(Step::Rows { table: &table.name, done, of });
            rows = stand.rows(table, place, next_rows(&rows)).await?;
        }
    }
    Ok(problems)
}

pub(super) fn refusal(problems: &[Problem]) -> Error {
    let lines: Vec<String> = problems.iter().map(|problem| format!("  {problem}")).collect();
    Error::new(
        Kind::Invalid,
        format!("These values cannot be moved; change or delete them first:\n{}", lines.join("\n")),
    )
}
