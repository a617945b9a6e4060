//! Carries announced changes from the store to everyone who follows them, in this process.

use std::sync::Arc;

use base::limits::BUS_LAG_MAX;
use query::Change;
use tokio::sync::broadcast;

/// Many publishers, many subscribers. A subscriber that falls behind by [`BUS_LAG_MAX`] changes is told that
/// it missed some and must start anew.
#[derive(Clone)]
pub struct Bus {
    sender: broadcast::Sender<Arc<Change>>,
}

impl Default for Bus {
    fn default() -> Self {
        Bus { sender: broadcast::Sender::new(BUS_LAG_MAX) }
    }
}

impl Bus {
    pub fn publish(&self, change: &Arc<Change>) {
        // Without subscribers there is nobody to tell.
        let _ = self.sender.send(change.clone());
    }

    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Change>> {
        self.sender.subscribe()
    }
}
