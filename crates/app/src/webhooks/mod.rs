//! Telling others of records over HTTP, after the Standard Webhooks specification. What happened is a job of the very
//! batch that made it happen (`outbox`); the job writes one delivery for each webhook with the bytes to send
//! (`fan_out`), and deliveries are made and tried again from there (`dispatch`), so that every attempt sends the same.
//! Events come at least once and in no promised order; their ids tell receivers what they have seen.

pub mod change;
pub mod log;
pub mod test;

mod attempt;
mod definition;
mod dispatch;
mod event;
mod fan_out;
mod input;
mod outbox;
mod secret;
mod sweep;

pub use definition::{Action, Webhook};
pub use dispatch::run;
pub use event::Event;
pub use log::Delivery;

pub(crate) use fan_out::perform as fan_out;
pub(crate) use input::url_problem;
pub(crate) use log::COLUMNS as DELIVERY_COLUMNS;
pub(crate) use secret::{Secret, signatures};
pub(crate) use sweep::sweep;

use std::sync::Arc;

use arc_swap::ArcSwap;
use base::{Clock, Name, Timestamp};
use model::Schema;
use parking_lot::RwLock;
use rustc_hash::FxHashMap;
use store::Store;
use tokio::sync::Notify;

use crate::catalog::Catalog;
use crate::error::{Error, Result};
use crate::parts::Parts;
use crate::records::Shown;
use crate::settings::Cipher;

pub(crate) const TABLE: &str = "_pando_webhooks";
pub(crate) const DELIVERIES: &str = "_pando_deliveries";

/// How events are put in words, which is not this crate's to know.
#[derive(Clone, Copy)]
pub struct Wire {
    pub body: fn(&Told<'_>) -> String,
    /// What a trial of the webhook of that id sends.
    pub test: fn(Timestamp, &str) -> String,
}

/// One event.
pub struct Told<'a> {
    pub action: Action,
    pub at: Timestamp,
    pub record: &'a Shown,
    /// The only fields of the record that are known; all are when there are none.
    pub known: Option<&'a [&'a str]>,
}

/// The webhooks as this process knows them, and the way to its dispatcher.
#[derive(Clone)]
pub struct Webhooks(Arc<Inner>);

struct Inner {
    clock: Arc<dyn Clock>,
    wire: Wire,
    schema: Arc<ArcSwap<Schema>>,
    known: ArcSwap<Known>,
    /// What was read last is what is put in place last.
    reading: tokio::sync::Mutex<()>,
    /// Told of new deliveries, and of other webhooks.
    wake: Notify,
    /// Those whose last delivery of this process failed.
    failing: RwLock<rustc_hash::FxHashSet<Name>>,
}

#[derive(Default)]
struct Known {
    all: Vec<Arc<Webhook>>,
    /// Those that are switched on, by the ids of the collections that they follow.
    by_collection: FxHashMap<Name, Vec<Arc<Webhook>>>,
}

impl Known {
    fn of(all: Vec<Webhook>) -> Known {
        let all: Vec<_> = all.into_iter().map(Arc::new).collect();
        let mut by_collection: FxHashMap<Name, Vec<Arc<Webhook>>> = FxHashMap::default();
        for webhook in all.iter().filter(|webhook| webhook.enabled) {
            for collection in &webhook.collections {
                by_collection.entry(collection.as_str().into()).or_default().push(webhook.clone());
            }
        }
        Known { all, by_collection }
    }
}

impl Webhooks {
    pub fn new(catalog: &Catalog, clock: Arc<dyn Clock>, wire: Wire) -> Self {
        Webhooks(Arc::new(Inner {
            clock,
            wire,
            schema: catalog.watched(),
            known: ArcSwap::default(),
            reading: tokio::sync::Mutex::new(()),
            wake: Notify::new(),
            failing: RwLock::default(),
        }))
    }

    /// Whether somebody is told of what happens in the collection: its records are then read before they are deleted.
    pub fn follow(&self, collection: &model::Collection) -> bool {
        self.0.known.load().by_collection.contains_key(&collection.id)
    }

    /// Reads the stored ones anew.
    pub async fn reload(&self, store: &Store, cipher: &Cipher) -> Result<()> {
        let _reading = self.0.reading.lock().await;
        let all = definition::all(store, cipher).await?;
        metrics::gauge!("pando_webhooks").set(all.iter().filter(|webhook| webhook.enabled).count() as f64);
        self.0.failing.write().retain(|id| all.iter().any(|webhook| webhook.id == *id));
        self.0.known.store(Arc::new(Known::of(all)));
        self.0.wake.notify_one();
        Ok(())
    }

    /// The ids of those that are switched on.
    fn enabled(&self) -> Vec<Name> {
        let known = self.0.known.load();
        known.all.iter().filter(|webhook| webhook.enabled).map(|webhook| webhook.id.clone()).collect()
    }
}

/// Every webhook, the oldest first, as it is stored now.
pub async fn all(parts: &Parts) -> Result<Vec<Webhook>> {
    definition::all(&parts.store, &parts.cipher).await
}

pub async fn view(parts: &Parts, id: &str) -> Result<Webhook> {
    definition::one(&parts.store, &parts.cipher, id).await?.ok_or_else(Error::not_found)
}

/// Sets the gauge of what waits to be delivered, of all nodes together.
pub(crate) async fn sample(parts: &Parts) -> Result<()> {
    if !parts.webhooks.0.known.load().all.is_empty() {
        let waiting = parts.store.count(&log::in_state(log::State::Pending)).await?;
        metrics::gauge!("pando_webhook_deliveries_waiting").set(waiting as f64);
    }
    Ok(())
}
