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
    switches: watch::Sender<u64>,
}

/// A write that began before the switch.
pub struct Passage(watch::Receiver<u64>);

impl Gate {
    pub fn expected(&self, expected: bool) {
        self.expected.store(expected, Ordering::Release);
    }

    pub fn switch(&self) {
        self.switches.send_modify(|switches| *switches += 1);
    }

    pub fn passage(&self) -> Option<Passage> {
        self.expected.load(Ordering::Acquire).then(|| Passage(self.switches.subscribe()))
    }
}

impl Passage {
    /// Until the data is where it has moved to.
    pub async fn wait(mut self) -> Result<()> {
        let wait = Duration::from_millis(STORE_WAIT_MS);
        match tokio::time::timeout(wait, self.0.changed()).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Error::Moved),
        }
    }
}
