//! How far the one backup or restore at a time is, for whoever waits for it.

use base::Timestamp;
use tokio::sync::watch;

/// Bytes between two words about the progress.
const STEP_BYTES: u64 = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    Backup,
    Restore,
}

impl Doing {
    pub fn name(self) -> &'static str {
        match self {
            Doing::Backup => "backup",
            Doing::Restore => "restore",
        }
    }
}

/// In the order in which they come; a backup has the first three, a restore the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Copying,
    Packing,
    Storing,
    Fetching,
    Unpacking,
    Verifying,
    Restarting,
}

impl Phase {
    pub fn name(self) -> &'static str {
        match self {
            Phase::Copying => "copying",
            Phase::Packing => "packing",
            Phase::Storing => "storing",
            Phase::Fetching => "fetching",
            Phase::Unpacking => "unpacking",
            Phase::Verifying => "verifying",
            Phase::Restarting => "restarting",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    pub doing: Doing,
    /// The file.
    pub name: String,
    pub since: Timestamp,
    pub phase: Phase,
    /// Bytes of the phase that are done; 0 where nobody counts them.
    pub done: u64,
    /// Bytes of the phase in all; 0 where nobody knows.
    pub total: u64,
}

/// Tells of what goes on, while it does.
#[derive(Clone)]
pub(super) struct Teller(pub watch::Sender<Option<Progress>>);

impl Teller {
    pub fn phase(&self, phase: Phase, total: u64) {
        self.0.send_if_modified(|busy| {
            let Some(progress) = busy else { return false };
            (progress.phase, progress.done, progress.total) = (phase, 0, total);
            true
        });
    }

    pub fn done(&self, bytes: u64) {
        self.0.send_if_modified(|busy| match busy {
            Some(progress) if bytes >= progress.done + STEP_BYTES => {
                progress.done = bytes;
                true
            }
            _ => false,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_those_of_the_phase() {
        let begun = Progress {
            doing: Doing::Backup,
            name: "a.zip".into(),
            since: Timestamp(0),
            phase: Phase::Copying,
            done: 0,
            total: 0,
        };
        let sender = watch::Sender::new(Some(begun));
        let teller = Teller(sender.clone());
        teller.phase(Phase::Packing, 10 * STEP_BYTES);
        teller.done(STEP_BYTES - 1);
        assert_eq!(sender.borrow().as_ref().unwrap().done, 0);
        teller.done(4 * STEP_BYTES);
        assert_eq!(sender.borrow().as_ref().unwrap().done, 4 * STEP_BYTES);
        teller.phase(Phase::Storing, 0);
        assert_eq!(
            sender.borrow().as_ref().map(|now| (now.phase, now.done, now.total)),
            Some((Phase::Storing, 0, 0))
        );
        sender.send_replace(None);
        teller.done(8 * STEP_BYTES);
        assert!(sender.borrow().is_none());
    }
}
