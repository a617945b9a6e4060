//! Alerts: rules over the picture of the system, judged by the process that looks after it, and told by mail and webhook.
//! A rule's state is stored with the jobs that tell of it, in one commit: whatever fires is told, and by one process.

mod change;
mod evaluate;
mod notify;
mod progress;
mod receivers;
mod rule;

use base::{Name, Value};
use query::{Column, ColumnType, Expr, Op, Operand, Select};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use change::{create, delete, update};
pub(crate) use evaluate::Evaluator;
pub use notify::test;
pub(crate) use notify::{Notice, Target, deliver};
pub use progress::{Progress, Status};
pub use receivers::{Hook, Receivers, change as change_receivers, load as receivers};
pub use rule::{Rule, RuleKind, Severity};

use crate::error::{Error, Result};
use crate::parts::Parts;

const TABLE: &str = crate::system::ALERTS;
/// Rows that are no rules.
const RECEIVERS: &str = "receivers";
const LEAD: &str = "lead";

/// Every rule and how it stands: those that are shipped first.
pub async fn all(parts: &Parts) -> Result<Vec<(Rule, Progress)>> {
    let columns = [
        ("id", ColumnType::Id),
        ("value", ColumnType::Text),
        ("state", ColumnType::Text),
        ("created", ColumnType::Text),
    ];
    let columns = columns.into_iter().map(|(name, ty)| Column::new(name, ty)).collect();
    let rows = parts.store.select(&Select::table(TABLE, columns)).await?;
    let mut all: Vec<(Rule, Progress)> =
        Rule::shipped().into_iter().map(|rule| (rule, Progress::default())).collect();
    let mut own = Vec::new();
    for row in &rows {
        let id = row.get(0).text_or_empty();
        if id == RECEIVERS || id == LEAD {
            continue;
        }
        // What a later version wrote is left to it.
        let stored = serde_json::from_str::<Rule>(row.get(1).text_or_empty()).ok();
        let mut progress: Progress = serde_json::from_str(row.get(2).text_or_empty()).unwrap_or_default();
        progress.stored = row.get(2).text_or_empty().to_owned();
        progress.has_row = true;
        match all.iter_mut().find(|(rule, _)| rule.id == id) {
            Some((rule, kept)) => {
                if let Some(stored) = stored {
                    *rule = Rule { id: id.into(), builtin: true, ..stored };
                }
                *kept = progress;
            }
            None => own.extend(stored.map(|rule| {
                let rule = Rule { id: id.into(), builtin: false, ..rule };
                (row.get(3).text_or_empty().to_owned(), (rule, progress))
            })),
        }
    }
    own.sort_by(|left, right| left.0.cmp(&right.0));
    all.extend(own.into_iter().map(|(_, rule)| rule));
    Ok(all)
}

pub async fn view(parts: &Parts, id: &str) -> Result<(Rule, Progress)> {
    all(parts).await?.into_iter().find(|(rule, _)| rule.id == id).ok_or_else(Error::not_found)
}

fn insertion(id: &str, now: &str, values: Vec<(Name, Value)>) -> Op {
    let mut all: Vec<(Name, Value)> = vec![
        ("id".into(), Value::from(id)),
        ("created".into(), Value::from(now)),
        ("updated".into(), Value::from(now)),
    ];
    all.extend(values);
    Op::Insert { table: TABLE.into(), values: all }
}

fn row(id: &str) -> Select {
    Select::by_ids(TABLE, vec![Column::new("value", ColumnType::Text)], vec![id.into()])
}

fn is(column: &str, value: &str) -> Expr {
    Expr::eq(Operand::base(column, ColumnType::Text), Value::from(value))
}

fn text<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(Error::internal)
}

fn read<T: DeserializeOwned>(text: &str, what: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| {
        Error::new(base::Kind::Unsupported, format!("{what} cannot be read.")).details(error)
    })
}
