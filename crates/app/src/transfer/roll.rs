//! Who else serves the database that is to be left. A move into one machine's directory can take one server with it,
//! and only that one's clients would not notice.

use base::Value;
use query::select::SortKey;
use query::{Batch, Column, ColumnType, Ddl, Expr, Op, Operand, Select, Sort};
use store::Store;
use store::transfer::META;

use crate::error::Result;

const CALL: &str = "moving";
const ANSWER: &str = "attends:";

fn columns() -> Vec<Column> {
    vec![Column::new("id", ColumnType::Id), Column::new("value", ColumnType::Text)]
}

/// All entries. The table keeps no order of insertion, so none may be asked for.
fn entries() -> Select {
    let mut select = Select::table(META, columns());
    select.sort = vec![Sort { by: SortKey::Random, descending: false }];
    select
}

fn put(key: &str, value: &str) -> Vec<Op> {
    vec![
        Op::Delete { table: META.into(), id: key.into(), row: None },
        Op::Insert {
            table: META.into(),
            values: vec![("id".into(), Value::from(key)), ("value".into(), Value::from(value))],
        },
    ]
}

/// Asks every server to answer. They notice as they notice a changed schema.
pub async fn call(store: &Store, id: &str) -> Result<()> {
    dismiss(store).await?;
    let batch = Batch { ddl: vec![Ddl::Announce], ops: put(CALL, id), ..Batch::default() };
    store.commit(batch).await?;
    Ok(())
}

/// A server's answer, if anybody asks. `node` is any name that no other server has.
pub async fn answer(store: &Store, node: &str) -> Result<()> {
    let Some(call) = store.first(&Select::by_ids(META, columns(), vec![CALL.into()])).await? else {
        return Ok(());
    };
    let ops = put(&format!("{ANSWER}{node}"), call.get(1).text_or_empty());
    store.commit(Batch { ops, ..Batch::default() }).await?;
    Ok(())
}

/// How many have answered.
pub async fn answers(store: &Store, id: &str) -> Result<usize> {
    let value = Operand::base("value", ColumnType::Text);
    let rows = store.select(&entries().filter(Expr::eq(value, Value::from(id)))).await?;
    Ok(rows.iter().filter(|row| row.get(0).text_or_empty().starts_with(ANSWER)).count())
}

/// Forgets the call and the answers.
pub async fn dismiss(store: &Store) -> Result<()> {
    let rows = store.select(&entries()).await?;
    let keys = rows.iter().map(|row| row.get(0).text_or_empty());
    let keys = keys.filter(|key| *key == CALL || key.starts_with(ANSWER));
    let ops: Vec<Op> = keys.map(|key| Op::Delete { table: META.into(), id: key.into(), row: None }).collect();
    if !ops.is_empty() {
        store.commit(Batch { ops, ..Batch::default() }).await?;
    }
    Ok(())
}
