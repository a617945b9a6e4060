//! What a move leaves at both ends, by which every later start knows where the data is.

use query::{Batch, Column, ColumnType, Op, Select};
use serde::{Deserialize, Serialize};
use store::Store;
use store::transfer::{ARRIVING, META, MOVED};

use crate::error::{Error, Result};

/// One move: its id is at both ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    pub id: String,
    /// Where the data was and where it goes, for people: without passwords.
    pub from: String,
    pub to: String,
}

impl Mark {
    pub(super) fn text(&self) -> String {
        serde_json::json!(self).to_string()
    }
}

async fn read(store: &Store, key: &str) -> Result<Option<Mark>> {
    let columns = vec![Column::new("id", ColumnType::Id), Column::new("value", ColumnType::Text)];
    let row = store.first(&Select::by_ids(META, columns, vec![key.into()])).await?;
    row.map(|row| serde_json::from_str(row.get(1).text_or_empty()).map_err(Error::internal)).transpose()
}

/// Where the data has moved to, if this database was left.
pub async fn left(store: &Store) -> Result<Option<Mark>> {
    read(store, MOVED).await
}

/// Whose data arrives here, if nobody said yet that all of it has.
pub async fn arriving(store: &Store) -> Result<Option<Mark>> {
    read(store, ARRIVING).await
}

/// The data is here: the old database says that it was left.
pub async fn confirm(store: &Store) -> Result<()> {
    let ops = vec![Op::Delete { table: META.into(), id: ARRIVING.into(), row: None }];
    store.commit(Batch { ops, ..Batch::default() }).await?;
    Ok(())
}
