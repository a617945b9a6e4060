//! What follows from a write: the one place where commits are connected to everything that must hear of them.

use std::sync::Arc;
use std::time::Duration;

use app::audit::Audit;
use app::insights::Active;
use app::outside::Outside;
use app::queues::Waits;
use app::webhooks::Webhooks;
use backing::bus::Hears;
use backing::{Bus, Stamps};
use base::limits::STORE_WAIT_MS;
use futures_util::future::BoxFuture;
use query::{Batch, Change, Ddl};
use store::Witness;
use tokio::sync::Notify;

use crate::sharing::Sharing;

pub struct Followers {
    pub told: Told,
    /// Told last: a front door that asks anew must find what is new, at whichever node it asks.
    pub outside: Outside,
    pub webhooks: Webhooks,
    pub audit: Audit,
    /// The cache that processes share, if there is one.
    pub shared: Option<Sharing>,
    /// Told when others may have changed collections or settings.
    pub looks: Arc<Notify>,
    /// Whether this process is no node among others, who must hear of its writes from the database.
    pub announces: bool,
}

/// Those who hear of a commit at once, or as soon as nobody finds in a shared cache what was before it.
#[derive(Clone)]
pub struct Told {
    pub stamps: Arc<Stamps>,
    pub bus: Bus,
    /// Told of every batch that brings jobs.
    pub jobs: Arc<Notify>,
    /// Who waits for messages.
    pub waits: Arc<Waits>,
}

impl Told {
    fn tell(&self, change: &Arc<Change>) -> Option<BoxFuture<'static, ()>> {
        self.stamps.apply(change);
        self.waits.follow(change);
        if change.jobs {
            self.jobs.notify_one();
        }
        self.bus.publish(change)
    }

    /// Anything may have changed.
    fn expire(&self) {
        self.stamps.expire_all();
        drop(self.bus.publish_anything());
    }
}

impl Followers {
    fn tell(&self, change: &Arc<Change>) -> Option<BoxFuture<'static, ()>> {
        let Some(lifted) = self.shared.as_ref().and_then(|shared| shared.after(change)) else {
            return self.told.tell(change);
        };
        let (told, change) = (self.told.clone(), change.clone());
        Some(Box::pin(async move {
            // Before the stamps move: who notes a number from then on must not find what was before.
            lifted.await;
            if let Some(told) = told.tell(&change) {
                told.await;
            }
        }))
    }
}

impl Witness for Followers {
    fn before<'a>(&'a self, batch: &'a mut Batch) -> Option<BoxFuture<'a, ()>> {
        self.webhooks.enlist(batch);
        Active::enlist(&self.audit.schema(), batch);
        self.audit.enlist(batch);
        if self.announces && !batch.ddl.contains(&Ddl::Announce) {
            batch.ddl.push(Ddl::Announce);
        }
        self.shared.as_ref()?.before(batch)
    }

    fn after(&self, change: &Arc<Change>) -> Option<BoxFuture<'static, ()>> {
        let told = self.tell(change);
        let Some(owed) = self.outside.owed(change) else { return told };
        // Without anybody to wait for, front doors are told here and now.
        let told = told?;
        // To its end also if the writer goes away meanwhile: told too early, a front door could ask a node that still answers
        // with what was before.
        let telling = tokio::spawn(async move {
            told.await;
            drop(owed);
        });
        Some(Box::pin(async move {
            let _ = telling.await;
        }))
    }

    fn unsure(&self) {
        self.told.expire();
        if let Some(shared) = &self.shared {
            shared.unsure();
        }
        self.outside.anything(false);
        // It may happen yet, as long as the database goes on with what nobody waits for.
        let (told, outside) = (self.told.clone(), self.outside.clone());
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(STORE_WAIT_MS)).await;
            told.expire();
            outside.anything(false);
        });
    }
}

/// What other nodes wrote.
impl Hears for Followers {
    fn changed(&self, change: &Arc<Change>) {
        self.told.stamps.apply(change);
        self.told.waits.follow(change);
        if change.jobs {
            self.told.jobs.notify_one();
        }
        if change.schema {
            self.looks.notify_one();
        }
    }

    fn missed(&self) {
        self.told.stamps.expire_all();
        self.told.jobs.notify_one();
        self.looks.notify_one();
        self.told.waits.wake_all();
    }

    fn forget(&self) {
        self.told.stamps.expire_all();
    }
}
