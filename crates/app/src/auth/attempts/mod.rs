//! What is remembered of attempts, so that neither mailboxes are flooded nor codes guessed. Addresses that belong to
//! nobody are treated as all others, as the difference would tell. Where several nodes work on one database they
//! remember together, and each attempt is counted there before anything comes of it.

mod memory;
mod together;

use std::net::{IpAddr, Ipv4Addr};

use backing::Counters;
use backing::counters::{Key, Limit};
use base::Timestamp;
use base::limits::MAILS_MINUTE_MAX;
use query::Batch;
use store::Store;

use crate::error::Result;
use memory::Memory;
use together::Together;

pub struct Attempts {
    kept: Kept,
    mails: Counters,
}

enum Kept {
    Alone(Box<Memory>),
    Together(Together),
}

impl Attempts {
    pub fn new(store: &Store) -> Self {
        let kept = match store.shared().is_some() {
            true => Kept::Together(Together::new(store.clone())),
            false => Kept::Alone(Box::default()),
        };
        Attempts { kept, mails: Counters::new(store, "mails".into()) }
    }

    /// What a mail must be stored with so that it stays the only one of its kind to that address for a while. A guard or
    /// a key of it that is refused means what `None` does: there was one.
    pub async fn once(
        &self,
        kind: &str,
        collection: &str,
        email: &str,
        now: Timestamp,
    ) -> Result<Option<Batch>> {
        match &self.kept {
            Kept::Alone(memory) => Ok(memory.may_send(kind, collection, email, now).then(Batch::default)),
            Kept::Together(together) => together.once(kind, collection, email, now).await,
        }
    }

    /// A mail that [`Attempts::once`] let pass was not stored after all.
    pub fn not_sent(&self, kind: &str, collection: &str, email: &str) {
        if let Kept::Alone(memory) = &self.kept {
            memory.not_sent(kind, collection, email);
        }
    }

    /// Whether one more mail may be asked for: anybody may ask, and each costs a write.
    pub async fn has_room(&self, now: Timestamp) -> bool {
        let everybody = Key { scope: 0, address: IpAddr::V4(Ipv4Addr::UNSPECIFIED) };
        let limit = Limit { most: MAILS_MINUTE_MAX.into(), seconds: 60 };
        self.mails.add(everybody, limit, now).await.is_none()
    }

    /// Notes a new one-time password; or tells the id of the newest, when too many are open for the address.
    pub async fn open_otp(
        &self,
        collection: &str,
        email: &str,
        otp: &str,
        now: Timestamp,
        lasts_ms: i64,
    ) -> Result<Option<String>> {
        match &self.kept {
            Kept::Alone(memory) => Ok(memory.open_otp(collection, email, otp, now, lasts_ms)),
            Kept::Together(together) => together.open_otp(collection, email, otp, now, lasts_ms).await,
        }
    }

    /// Counts one more code tried; `false` when there were too many for the address before.
    pub async fn may_try(&self, otp: &str, now: Timestamp) -> Result<bool> {
        match &self.kept {
            Kept::Alone(memory) => Ok(memory.may_try(otp, now)),
            Kept::Together(together) => together.may_try(otp).await,
        }
    }

    /// The code was right: what was tried before it counts no more.
    pub async fn used_otp(&self, otp: &str) {
        match &self.kept {
            Kept::Alone(memory) => memory.used_otp(otp),
            Kept::Together(together) => together.used_otp(otp).await,
        }
    }

    /// The mail with the code was not stored after all. What was tried with others still counts.
    pub async fn not_sent_otp(&self, otp: &str) {
        match &self.kept {
            Kept::Alone(memory) => memory.not_sent_otp(otp),
            Kept::Together(together) => together.not_sent_otp(otp).await,
        }
    }

    /// Drops what is past its time.
    pub async fn clean(&self, now: Timestamp) -> Result<()> {
        match &self.kept {
            Kept::Alone(_) => Ok(()),
            Kept::Together(together) => together.clean(now).await,
        }
    }
}
