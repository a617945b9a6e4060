//! The sending end: a process tells every front door what it has to tell, each at the door's own pace.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base::limits::{
    ANNOUNCE_BEAT_MS, ANNOUNCE_GATHER_MS, ANNOUNCE_MEMBERS_MAX, ANNOUNCE_RETRY_MS_MAX, ANNOUNCE_RETRY_MS_MIN,
    ANNOUNCE_SEND_MS,
};
use futures_util::future::{self, BoxFuture};
use parking_lot::Mutex;

use super::outbox::{Outbox, Stage};
use super::{Announcement, Purge};

/// Why a front door has not heard a message.
pub enum Unheard {
    /// It does not want messages of this process.
    Refused(String),
    Away(String),
}

/// A way to front doors.
pub trait Way: Send + Sync {
    /// As messages and the numbers of announcements name it.
    fn name(&self) -> String;

    /// Carries a message, which has arrived when this ends well, as far as the way can tell.
    fn send<'a>(&'a self, message: &'a Announcement) -> BoxFuture<'a, Result<(), Unheard>>;
}

/// Everything that a process tells its front doors.
#[derive(Clone)]
pub struct Sender(Arc<Inner>);

struct Inner {
    /// What is in every message.
    own: Announcement,
    doors: Mutex<Doors>,
    stage: AtomicU8,
    members: OnceLock<Members>,
}

/// The lives of those who work on the database at this moment; empty when that is not known.
pub type Members = Box<dyn Fn() -> Vec<String> + Send + Sync>;

#[derive(Default)]
struct Doors {
    outboxes: Vec<Arc<Outbox>>,
    /// How much was purged: the number of the last purge, the same on all ways.
    position: u64,
}

impl Sender {
    /// `own` is what every message says: life, name, address and place.
    pub fn new(own: Announcement) -> Self {
        let (doors, members) = (Mutex::default(), OnceLock::new());
        Sender(Arc::new(Inner { own, doors, stage: AtomicU8::new(0), members }))
    }

    /// Tells who else is there from now on. Only the first one to know is asked.
    pub fn knows(&self, members: Members) {
        let _ = self.0.members.set(members);
    }

    /// Never waits.
    pub fn purge(&self, purge: &Purge) {
        if purge.is_empty() {
            return;
        }
        let mut doors = self.0.doors.lock();
        doors.position += 1;
        for outbox in &doors.outboxes {
            outbox.add(purge, doors.position);
        }
    }

    /// Tells who is at the end of a way, until the process has said goodbye there or this is dropped.
    pub async fn tell(&self, way: &dyn Way, address: &str) {
        let outbox = Arc::new(Outbox::default());
        {
            let mut doors = self.0.doors.lock();
            if doors.position > 0 {
                // What was purged before, the door has not been told.
                outbox.add(&Purge::anything(), doors.position);
            }
            doors.outboxes.push(outbox.clone());
        }
        let _listed = Listed { doors: &self.0.doors, outbox: &outbox };
        let mut message = Announcement { address: address.into(), way: way.name(), ..self.0.own.clone() };
        message.sequence = 1;
        // Of what the door has confirmed.
        let mut position = 0;
        let mut troubles = Troubles::default();
        loop {
            let stage = self.0.stage();
            (message.leaving, message.goodbye) = (stage >= Stage::Leaving, false);
            message.members = self.0.members();
            let taken = outbox.take();
            message.purge = taken.purge;
            message.position = Some(taken.position.unwrap_or(position));
            // Only when there is nothing more to say.
            message.goodbye = stage == Stage::Goodbye && outbox.is_empty();
            let wait = Duration::from_millis(ANNOUNCE_SEND_MS);
            let sent = tokio::time::timeout(wait, way.send(&message)).await;
            match sent.unwrap_or_else(|_| Err(Unheard::Away("no answer in time".into()))) {
                Ok(()) => {
                    metrics::counter!("pando_announcements_total", "outcome" => "heard").increment(1);
                    troubles.end(&message.way);
                    message.sequence += 1;
                    position = message.position.unwrap_or(position);
                    if message.goodbye {
                        return outbox.confirm(Stage::Goodbye);
                    }
                    outbox.confirm(stage.min(Stage::Leaving));
                    // What is written meanwhile goes into one message.
                    tokio::time::sleep(Duration::from_millis(ANNOUNCE_GATHER_MS)).await;
                    if outbox.is_empty() && self.0.stage() == stage {
                        let beat = Duration::from_millis(ANNOUNCE_BEAT_MS);
                        let _ = tokio::time::timeout(beat, outbox.woken()).await;
                    }
                }
                Err(unheard) => {
                    metrics::counter!("pando_announcements_total", "outcome" => "unheard").increment(1);
                    outbox.put_back(&message.purge);
                    let wait = troubles.next(&message.way, unheard);
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    /// Tells all doors that no new requests are wanted. Ends when all know, or after `within`. Whether there is any.
    pub async fn leave(&self, within: Duration) -> bool {
        self.advance(Stage::Leaving, within).await
    }

    /// The last message. Nothing may be written afterwards.
    pub async fn goodbye(&self, within: Duration) {
        self.advance(Stage::Goodbye, within).await;
    }

    async fn advance(&self, stage: Stage, within: Duration) -> bool {
        self.0.stage.store(stage as u8, Ordering::Release);
        let outboxes = self.0.doors.lock().outboxes.clone();
        outboxes.iter().for_each(|outbox| outbox.wake());
        let all = future::join_all(outboxes.iter().map(|outbox| outbox.confirmed(stage)));
        if tokio::time::timeout(within, all).await.is_err() {
            tracing::debug!(?stage, "not all front doors have heard");
        }
        !outboxes.is_empty()
    }
}

impl Inner {
    fn members(&self) -> Vec<String> {
        let mut members = self.members.get().map(|members| members()).unwrap_or_default();
        // Of some it could not be told who is none of them.
        if members.len() > ANNOUNCE_MEMBERS_MAX {
            members.clear();
        }
        members
    }

    fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Acquire) {
            0 => Stage::Here,
            1 => Stage::Leaving,
            _ => Stage::Goodbye,
        }
    }
}

/// Takes an outbox off the list, however its task ends.
struct Listed<'a> {
    doors: &'a Mutex<Doors>,
    outbox: &'a Arc<Outbox>,
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        self.doors.lock().outboxes.retain(|other| !Arc::ptr_eq(other, self.outbox));
    }
}

/// What goes wrong on a way, said once for each kind.
#[derive(Default)]
struct Troubles {
    count: u32,
    refused: bool,
    away: bool,
}

impl Troubles {
    fn next(&mut self, door: &str, unheard: Unheard) -> Duration {
        match unheard {
            Unheard::Refused(why) if !std::mem::replace(&mut self.refused, true) => {
                tracing::error!(door, "a front door refuses announcements: {why}");
            }
            Unheard::Away(why) if !std::mem::replace(&mut self.away, true) => {
                tracing::warn!(door, "a front door cannot be reached, and is tried again: {why}");
            }
            Unheard::Refused(why) | Unheard::Away(why) => {
                tracing::debug!(door, "a front door has not heard: {why}");
            }
        }
        let wait = ANNOUNCE_RETRY_MS_MIN << self.count.min(10);
        self.count += 1;
        Duration::from_millis(wait.min(ANNOUNCE_RETRY_MS_MAX))
    }

    fn end(&mut self, door: &str) {
        if self.refused || self.away {
            tracing::info!(door, "a front door hears again");
        }
        *self = Troubles::default();
    }
}
