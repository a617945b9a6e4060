//! Several steps as one: what is done on an open transaction's store is done whole or not at all.

use std::time::Duration;

use base::limits::{
    TRANSACTION_ATTEMPTS_MAX, TRANSACTION_MS_MAX, TRANSACTION_PAUSE_MS, TRANSACTION_PAUSE_MS_MAX,
};
use store::Store;
pub use store::Transaction;

use crate::error::{Error, Result};

/// What came of a transaction.
pub enum Outcome<T, E> {
    /// Committed with this result, or undone because of this error.
    Done(std::result::Result<T, E>),
    /// It was open for too long, and was undone.
    Expired,
    /// Others were in the way and it was undone: the same work may go through the next time.
    Again,
}

/// Opens a transaction for no longer than `limit`, and than any may last.
pub async fn begin(store: &Store, limit: Duration) -> Result<Transaction> {
    Ok(store.begin(limit.min(Duration::from_millis(TRANSACTION_MS_MAX))).await?)
}

/// Ends a transaction by what came of its work: an error undoes it. `attempt` counts from 1.
pub async fn end<T, E: From<Error>>(
    open: Transaction,
    result: std::result::Result<T, E>,
    attempt: u32,
) -> Outcome<T, E> {
    let (ended, result) = match result {
        Ok(value) => (open.commit().await.map(drop), Ok(value)),
        Err(error) => (open.rollback().await, Err(error)),
    };
    match (ended, result) {
        (Err(store::Error::Expired), _) => Outcome::Expired,
        (Err(store::Error::Aborted(_)), _) if attempt < TRANSACTION_ATTEMPTS_MAX => {
            // Those that were in each other's way come back at different times.
            let longest = (TRANSACTION_PAUSE_MS << attempt).min(TRANSACTION_PAUSE_MS_MAX);
            let pause = rand::random_range(0..=longest);
            tokio::time::sleep(Duration::from_millis(pause)).await;
            Outcome::Again
        }
        (Err(error), Ok(_)) => Outcome::Done(Err(Error::from(error).into())),
        (_, result) => Outcome::Done(result),
    }
}
