//! Whether a commit happened whose answer was lost. Each commit also changes a row of its process, its receipt, from one
//! known token to another. Whoever lost the answer looks at the row, on whichever host is the primary by then, and
//! takes the old token away: what has not happened so far cannot happen any more, however late it arrives.

use query::Batch;
use tokio_postgres::error::SqlState;

use super::Postgres;
use super::commit::{Bound, Rendered};
use super::connect::failure;
use crate::error::Result;

/// Rows of processes that are gone stay this long.
pub const TABLE: &str = r#"
CREATE TABLE IF NOT EXISTS "_pando_receipts" (
    "id" text COLLATE "C" PRIMARY KEY,
    "token" text COLLATE "C" NOT NULL,
    "at" timestamptz DEFAULT now() NOT NULL
) WITH (fillfactor=50);
"#;
pub const SWEEP: &str = "DELETE FROM \"_pando_receipts\" WHERE \"at\" < now() - interval '1 day'";

/// What no commit was ever promised.
const WITHDRAWN: &str = "-";

/// A row that one commit at a time uses.
#[derive(Clone, Debug)]
pub struct Receipt {
    id: String,
    /// The token that is there before the commit.
    before: u64,
    /// The token that this commit leaves, and no other ever does.
    after: u64,
}

impl Receipt {
    pub fn new(id: String) -> Receipt {
        Receipt { id, before: 0, after: 0 }
    }

    /// For the next commit, whose token nothing had before.
    pub fn promise(&mut self, token: u64) {
        self.after = token;
    }

    /// The commit happened.
    pub fn advance(&mut self) {
        self.before = self.after;
    }

    /// The statement with its parameters from `first` on. It fails when the token is not the one before.
    pub(super) fn bound(&self, first: usize) -> Bound {
        let (id, after, before) = (first, first + 1, first + 2);
        let sql = format!(
            "INSERT INTO \"_pando_receipts\" (\"id\",\"token\") VALUES (${id},${after}) ON CONFLICT (\"id\") \
             DO UPDATE SET \"token\"=CASE WHEN \"_pando_receipts\".\"token\"=${before} \
             THEN EXCLUDED.\"token\" END,\"at\"=now()"
        );
        let values = [self.id.clone(), self.after.to_string(), self.before.to_string()];
        Bound::of(sql, values.into_iter().map(base::Value::from))
    }

    /// The same as text for a transaction that is about to commit.
    pub(super) fn inline(&self) -> String {
        let (id, after, before) = (&self.id, self.after, self.before);
        format!(
            "INSERT INTO \"_pando_receipts\" (\"id\",\"token\") VALUES ('{id}','{after}') ON CONFLICT (\"id\") \
             DO UPDATE SET \"token\"=CASE WHEN \"_pando_receipts\".\"token\"='{before}' \
             THEN EXCLUDED.\"token\" END,\"at\"=now();"
        )
    }
}

/// The token was not the one before: the receipt was withdrawn, or belongs to a history that was lost.
pub fn is_withdrawn(error: &tokio_postgres::Error) -> bool {
    error
        .as_db_error()
        .is_some_and(|db| *db.code() == SqlState::NOT_NULL_VIOLATION && db.table() == Some("_pando_receipts"))
}

impl Postgres {
    /// Whether the commit with this receipt happened. If not, it never will.
    pub async fn settle(&self, receipt: &Receipt) -> Result<bool> {
        let mut client = self.0.client().await?;
        let transaction = client.transaction().await.map_err(failure)?;
        let insert =
            "INSERT INTO \"_pando_receipts\" (\"id\", \"token\") VALUES ($1, $2) ON CONFLICT DO NOTHING";
        transaction.execute(insert, &[&receipt.id, &WITHDRAWN]).await.map_err(failure)?;
        // Waits for a transaction that has changed the row and not ended yet.
        let look = "SELECT \"token\" FROM \"_pando_receipts\" WHERE \"id\"=$1 FOR UPDATE";
        let row = transaction.query_one(look, &[&receipt.id]).await.map_err(failure)?;
        let token: String = row.try_get(0).map_err(failure)?;
        let happened = token == receipt.after.to_string();
        // What happened stays told: this answer may be lost as well, and be asked for again. The row is written all the
        // same, so that it is confirmed by a standby together with what came before it.
        let left = if happened { token } else { WITHDRAWN.to_owned() };
        let settle = "UPDATE \"_pando_receipts\" SET \"token\"=$2, \"at\"=now() WHERE \"id\"=$1";
        transaction.execute(settle, &[&receipt.id, &left]).await.map_err(failure)?;
        transaction.commit().await.map_err(failure)?;
        Ok(happened)
    }

    /// What [`Postgres::commit_rendered`] takes.
    pub fn render(&self, batch: Batch) -> Rendered {
        Rendered::new(batch, &self.0.views())
    }
}
