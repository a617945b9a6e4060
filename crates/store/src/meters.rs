//! What is counted of a database, once for all engines. Handles are made once and kept.

use std::future::Future;
use std::sync::OnceLock;
use std::time::Instant;

use metrics::{Counter, Histogram};

use crate::error::{Error, Result};

/// What is asked of a database.
#[derive(Clone, Copy)]
pub enum Operation {
    Select,
    Count,
    Commit,
    Claim,
    Begin,
    /// The end of a transaction.
    Finish,
}

const OPERATIONS: [&str; 6] = ["select", "count", "commit", "claim", "begin", "finish"];

/// Kinds of failure, as few as can be acted on.
const KINDS: [&str; 14] = [
    "taken",
    "guard",
    "refused",
    "unavailable",
    "away",
    "uncertain",
    "slow",
    "expired",
    "aborted",
    "locked",
    "full",
    "internal",
    "outdated",
    "moved",
];

fn kind(error: &Error) -> usize {
    match error {
        Error::Taken { .. } => 0,
        Error::Guard(_) => 1,
        Error::Refused(_) | Error::Index { .. } => 2,
        Error::Unavailable(_) => 3,
        Error::Away(_) => 4,
        Error::Uncertain(_) => 5,
        Error::Slow(_) => 6,
        Error::Expired => 7,
        Error::Aborted(_) => 8,
        Error::Locked(_) => 9,
        Error::Full(_) => 10,
        Error::Internal(_) => 11,
        Error::Outdated(_) => 12,
        Error::Moved => 13,
    }
}

pub struct Meters {
    /// `data` or `auxiliary`.
    pub database: &'static str,
    durations: [Histogram; OPERATIONS.len()],
    errors: Vec<OnceLock<Counter>>,
}

impl Meters {
    pub fn new(database: &'static str) -> Self {
        let duration = |operation| {
            metrics::histogram!(
                "pando_store_operation_duration_seconds",
                "database" => database, "operation" => operation
            )
        };
        let errors = std::iter::repeat_with(OnceLock::new).take(OPERATIONS.len() * KINDS.len());
        Meters { database, durations: OPERATIONS.map(duration), errors: errors.collect() }
    }

    pub async fn measure<T>(&self, operation: Operation, work: impl Future<Output = Result<T>>) -> Result<T> {
        let begun = Instant::now();
        let result = work.await;
        self.durations[operation as usize].record(begun.elapsed().as_secs_f64());
        if let Err(error) = &result {
            let (operation, kind) = (operation as usize, kind(error));
            let counter = self.errors[operation * KINDS.len() + kind].get_or_init(|| {
                metrics::counter!(
                    "pando_store_errors_total",
                    "database" => self.database, "operation" => OPERATIONS[operation], "kind" => KINDS[kind]
                )
            });
            counter.increment(1);
        }
        result
    }

    /// Sets a gauge of the database.
    pub fn gauge(&self, name: &'static str, value: f64) {
        metrics::gauge!(name, "database" => self.database).set(value);
    }
}
