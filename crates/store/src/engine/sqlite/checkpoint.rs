//! Copies the write-ahead log into the database off the writer, whose slowest commits checkpoints otherwise are.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use rusqlite::Connection;

use super::Shared;

const EVERY: Duration = Duration::from_millis(500);
/// Pages in the log from which the writer pauses to start it anew. Under constant writes a checkpoint from outside
/// never catches up with the end, and without the pause the log would grow for ever.
const LOG_PAGES_LARGE: i64 = 8 << 10;

/// The limit keeps it to a sample of each index, so that writers wait for moments only.
const OPTIMIZE: &str = "PRAGMA analysis_limit = 400; PRAGMA optimize";

pub struct Checkpoints {
    connection: Connection,
    shared: Arc<Shared>,
}

impl Checkpoints {
    pub fn new(connection: Connection, shared: Arc<Shared>) -> Self {
        Checkpoints { connection, shared }
    }

    pub fn run(self, stopped: &Receiver<()>) {
        while stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
            if self.shared.dirty.swap(false, Ordering::Relaxed) {
                self.checkpoint();
            }
            if self.shared.optimize.swap(false, Ordering::Relaxed)
                && let Err(error) = self.connection.execute_batch(OPTIMIZE)
            {
                tracing::warn!("statistics: {error}");
            }
        }
    }

    fn checkpoint(&self) {
        let pages =
            self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get::<_, i64>(1));
        match pages {
            Ok(pages) if pages > LOG_PAGES_LARGE => self.shared.restart.store(true, Ordering::Relaxed),
            Ok(_) => {}
            Err(error) => tracing::warn!("checkpoint: {error}"),
        }
    }
}
