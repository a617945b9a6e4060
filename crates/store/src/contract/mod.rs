//! What every engine and every wrapper must do, written once. An engine passes by calling [`check`] on a fresh
//! store; the answers are the same for all of them.

// A failed expectation is the point of a test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod batches;
mod claims;
mod conditions;
mod fixture;
mod hours;
mod schema;
mod shared;
mod transactions;
mod values;

pub use fixture::table;

use crate::Store;

/// Runs the whole suite. Panics with the case's name where the store differs.
pub async fn check(store: &Store) {
    values::check(store).await;
    fixture::fill(store).await;
    conditions::check(store).await;
    conditions::sorts(store).await;
    batches::check(store).await;
    claims::check(store).await;
    hours::check(store).await;
    schema::check(store).await;
    transactions::check(store).await;
    shared::check(store).await;
    store.ping().await.expect("ping");
}
