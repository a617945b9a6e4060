//! What lets writes wait while the data moves to another database under a running server.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base::limits::STORE_WAIT_MS;
use tokio::sync::watch;

use crate::error::{Error, Result};

#[derive(Default)]
pub struct Gate {
    /// Off, no write pays for what it would need to be done a second time.
    expected: AtomicBool,
    /// Whether a write found the data moved since the last switch.
    found: AtomicBool,
    switches: watch::Sender<u64>,
}

/// When a write began: what it waits for is the first switch after that.
#[derive(Clone)]
pub struct Passage(watch::Receiver<u64>);

impl Gate {
    pub fn expected(&self, expected: bool) {
        self.expected.store(expected, Ordering::Release);
    }

    pub fn switch(&self) {
        self.found.store(false, Ordering::Release);
        self.switches.send_modify(|switches| *switches += 1);
    }

    pub fn found_moved(&self) -> bool {
        self.found.load(Ordering::Acquire)
    }

    /// A write was refused by a database that was left.
    pub fn find(&self) {
        self.found.store(true, Ordering::Release);
    }

    /// For a write that might find the data moved; `None` while no switch is to be expected.
    pub fn passage(&self) -> Option<Passage> {
        self.expected.load(Ordering::Acquire).then(|| self.ticket())
    }

    /// For a transaction: it keeps to the database that it was opened on, whatever comes.
    pub fn ticket(&self) -> Passage {
        Passage(self.switches.subscribe())
    }

    /// Until the data is where it has moved to since the passage was taken.
    pub async fn wait(&self, mut passage: Passage) -> Result<()> {
        let switched = passage.0.has_changed().unwrap_or(false);
        if !switched && !self.expected.load(Ordering::Acquire) {
            return Err(Error::Moved);
        }
        let wait = Duration::from_millis(STORE_WAIT_MS);
        match tokio::time::timeout(wait, passage.0.changed()).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Error::Moved),
        }
    }
}
