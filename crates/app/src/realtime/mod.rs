//! Events about records for clients that stay connected. Everything follows from the [`query::Change`]s of the bus:
//! no use case publishes an event. What an event looks like on the wire is not known here.

use std::sync::Arc;
use std::task::{Context, Poll};

use backing::bus::coherence::ALL;
use base::limits::BUS_FOLLOWED_MAX;
use base::limits::{REALTIME_CLIENTS_MAX, REALTIME_LIFETIME_MS, REALTIME_STOP_MS, REALTIME_TOPICS_BYTES_MAX};
use base::limits::{REALTIME_END_MS, REALTIME_IDLE_MS};
use base::{Clock, Kind, Name};
use bytes::Bytes;
use metrics::{Counter, gauge};
use model::Record;
use parking_lot::Mutex;

use crate::across;
use crate::auth::token;
use crate::error::{Error, Result};
use crate::parts::Parts;

mod registry;

pub mod client;
pub mod dispatch;
pub mod foresight;
pub mod messages;
pub mod standing;
pub mod topic;

mod judge;

pub use client::Message;
pub use topic::{Options, Topic};

use client::Client;
use dispatch::Wire;
use foresight::Foresights;
use registry::Registry;
use standing::{Caller, Identity, Standing};
use topic::Class;

/// The event that tells a client that it missed some, right before its stream ends. A client that does not know it
/// connects and subscribes again, as it does whenever a stream ends.
pub const RESYNC: &str = "PB_RESYNC";

/// The letters of a client's id, and how many. The id is all that a login by a provider knows its client by, so it
/// must not be guessed.
const ID_LEN: usize = 40;

#[derive(Clone)]
pub struct Realtime(Arc<Inner>);

struct Inner {
    clock: Arc<dyn Clock>,
    wire: Wire,
    registry: Mutex<Registry>,
    foresights: Mutex<Foresights>,
    delivered: Counter,
    dropped: Counter,
}

/// A client's stream of events. Dropping it ends the client.
pub struct Stream {
    realtime: Realtime,
    client: Arc<Client>,
}

impl Stream {
    pub fn id(&self) -> &str {
        &self.client.id
    }

    /// The next events; `None` when the stream is over.
    pub fn poll(&self, context: &mut Context<'_>) -> Poll<Option<Vec<Message>>> {
        let polled = self.client.poll(context);
        if let Poll::Ready(Some(messages)) = &polled {
            self.realtime.0.delivered.increment(messages.len() as u64);
        }
        polled
    }

    /// Whether the connection is to be dropped as it is, as its client does not read.
    pub fn poll_abandoned(&self, context: &mut Context<'_>) -> bool {
        self.client.poll_abandoned(context)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.realtime.0.registry.lock().remove(&self.client);
        self.realtime.0.dropped.increment(self.client.lost());
    }
}

fn resync(client: &Client, now_ms: i64) {
    client.push(&RESYNC.into(), &Bytes::from_static(b"{}"), now_ms);
    client.end(now_ms);
}

impl Realtime {
    /// `wire` puts events in words.
    pub fn new(clock: Arc<dyn Clock>, wire: Wire) -> Self {
        let (registry, foresights) = Default::default();
        let delivered = metrics::counter!("pando_realtime_events_delivered_total");
        let dropped = metrics::counter!("pando_realtime_events_dropped_total");
        Realtime(Arc::new(Inner { clock, wire, registry, foresights, delivered, dropped }))
    }

    fn now_ms(&self) -> i64 {
        self.0.clock.now().0
    }

    /// A new client, nobody so far and without subscriptions.
    pub fn connect(&self) -> Result<Stream> {
        let id = base::id::random(ID_LEN, base::id::ALPHANUMERIC);
        let mut registry = self.0.registry.lock();
        if registry.closed || registry.clients.len() >= REALTIME_CLIENTS_MAX {
            return Err(Error::new(Kind::Unavailable, "Too many realtime connections. Try again later."));
        }
        let client = registry.add(|no| Client::new(no, id, self.now_ms()));
        drop(registry);
        Ok(Stream { realtime: self.clone(), client })
    }

    /// Sends an event to one client, if it is here and subscribed to the topic. The data is JSON.
    pub fn send(&self, client_id: &str, topic: &str, data: impl Into<Bytes>) -> bool {
        let client = self.0.registry.lock().clients.get(client_id).cloned();
        let Some(client) = client else { return false };
        let known = client.state.lock().topics.get_key_value(topic).map(|(text, _)| text.clone());
        let Some(topic) = known else { return false };
        client.push(&topic, &data.into(), self.now_ms());
        true
    }

    /// Whether nobody is connected. Whoever connects from now on is owed no earlier change.
    pub(super) fn is_idle(&self) -> bool {
        self.0.registry.lock().clients.is_empty()
    }

    /// Sets the gauges of who is connected.
    pub(crate) fn sample(&self) {
        let registry = self.0.registry.lock();
        gauge!("pando_realtime_clients").set(registry.clients.len() as f64);
        gauge!("pando_realtime_topics").set(registry.topics_len() as f64);
        gauge!("pando_realtime_topics_bytes").set(registry.topic_bytes as f64);
    }

    /// Whether a client of that id is connected here.
    pub fn knows(&self, client_id: &str) -> bool {
        self.0.registry.lock().clients.contains_key(client_id)
    }

    /// Takes one subscription from a client.
    pub fn unsubscribe(&self, client_id: &str, topic: &str) {
        let mut registry = self.0.registry.lock();
        if let Some(client) = registry.clients.get(client_id).cloned() {
            registry.leave(&client, topic);
        }
    }

    /// Whether anyone is subscribed to the records of a collection. Deletes that nobody follows need not read what
    /// they delete.
    pub fn is_followed(&self, collection: &model::Collection) -> bool {
        self.0.registry.lock().is_followed(collection)
    }

    /// What other nodes are told that somebody here follows.
    fn followed(&self) -> Vec<Name> {
        match self.0.registry.lock().followed(BUS_FOLLOWED_MAX) {
            Some(names) => names.into_iter().collect(),
            None => vec![ALL.into()],
        }
    }

    /// Everybody starts anew: events were lost, and nobody knows whose.
    pub fn resync(&self) {
        let now_ms = self.now_ms();
        self.0.foresights.lock().clear();
        let clients: Vec<_> = self.0.registry.lock().clients.values().cloned().collect();
        for client in clients {
            resync(&client, now_ms);
        }
    }

    /// Ends every stream, and lets no new one in.
    pub async fn close(&self) {
        let clients: Vec<_> = {
            let mut registry = self.0.registry.lock();
            registry.closed = true;
            registry.clients.values().cloned().collect()
        };
        let now_ms = self.now_ms();
        clients.iter().for_each(|client| client.end(now_ms));
        let step_ms = 10;
        for _ in 0..REALTIME_STOP_MS / step_ms {
            if self.0.registry.lock().clients.is_empty() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(step_ms)).await;
        }
        // Those that do not read what is left for them must not hold up the end.
        clients.iter().for_each(|client| client.abandon(now_ms));
    }

    /// Ends what is past its time: streams without events, old streams, tokens.
    pub(crate) fn sweep(&self) {
        let now_ms = self.now_ms();
        self.expire();
        let clients: Vec<_> = self.0.registry.lock().clients.values().cloned().collect();
        for client in clients {
            if client.lingers(now_ms - REALTIME_END_MS) {
                client.abandon(now_ms);
            } else if client.is_idle(now_ms - REALTIME_IDLE_MS)
                || client.is_older(now_ms - REALTIME_LIFETIME_MS)
            {
                client.end(now_ms);
            }
        }
    }

    /// Clients whose token has ended are nobody from here on.
    fn expire(&self) {
        let now = self.0.clock.now().seconds();
        self.0.registry.lock().expire(now);
    }

    fn caller(&self, identity: &Identity) -> Option<Arc<Caller>> {
        self.0.registry.lock().callers.get(identity).map(|known| known.caller.clone())
    }

    fn callers(&self) -> Vec<(Identity, Arc<Caller>)> {
        let registry = self.0.registry.lock();
        registry.callers.iter().map(|(key, known)| (key.clone(), known.caller.clone())).collect()
    }

    /// Its clients stay, as nobody.
    fn dismiss(&self, caller: &Caller) {
        self.0.registry.lock().dismiss(caller);
    }

    fn classes(&self, key: &str) -> Vec<Arc<Class>> {
        self.0.registry.lock().classes(key)
    }
}

/// Replaces a client's subscriptions, at whichever node it is connected. The token is what the caller is known by.
pub async fn subscribe(
    parts: &Parts,
    client_id: &str,
    (caller, token): (Option<&token::Caller>, &str),
    topics: Vec<Topic>,
) -> Result<()> {
    // The others need not be asked about what cannot be a client's id.
    let elsewhere = parts.bus.crosses() && is_id(client_id) && !parts.realtime.knows(client_id);
    if !elsewhere {
        return subscribe_here(parts, client_id, caller, topics).await;
    }
    let token = if caller.is_some() { token } else { "" };
    across::subscribe(parts, client_id, token, topics).await.unwrap_or_else(|| Err(unknown_client()))
}

fn is_id(text: &str) -> bool {
    text.len() == ID_LEN && text.bytes().all(|letter| letter.is_ascii_alphanumeric())
}

fn unknown_client() -> Error {
    Error::new(Kind::NotFound, "Missing or invalid client id.")
}

/// The same for a client of this node. One that was somebody stays that, until its token ends.
pub(crate) async fn subscribe_here(
    parts: &Parts,
    client_id: &str,
    caller: Option<&token::Caller>,
    topics: Vec<Topic>,
) -> Result<()> {
    let streams = messages::streams(parts, &topics);
    let standing = {
        let mut registry = parts.realtime.0.registry.lock();
        let Some(client) = registry.clients.get(client_id).cloned() else {
            return Err(unknown_client());
        };
        registry.expire(parts.clock.now().seconds());
        let before = client.state.lock().standing.as_ref().map(|standing| standing.caller.record());
        if before.is_some_and(|before| !caller.is_some_and(|now| is_same(&before, &now.record))) {
            let message = "The current and the previous request authorization don't match.";
            return Err(Error::new(Kind::Forbidden, message));
        }
        let bytes: usize = topics.iter().map(|topic| topic.text.len()).sum();
        if registry.topic_bytes + bytes > REALTIME_TOPICS_BYTES_MAX {
            return Err(Error::new(Kind::Unavailable, "Too many subscriptions. Try again later."));
        }
        let standing = caller
            .map(|caller| Standing { caller: registry.caller(&caller.record), expires: caller.expires });
        registry.assign(&client, standing.clone(), (topics, parts.bus.position()));
        standing
    };
    // From here on deletes on other nodes ask this one first.
    if parts.bus.crosses()
        && let Some(known) = parts.bus.follow(parts.realtime.followed())
    {
        known.await;
    }
    // The record may have changed between the look at the token and the entry above, which is what changes are
    // compared with: only from here on is none missed.
    if let Some(standing) = standing {
        let record = standing.caller.record();
        let current = parts.fetch(&record.collection, record.id()).await?;
        if !current.is_some_and(|record| standing.caller.renew(record)) {
            parts.realtime.dismiss(&standing.caller);
        }
    }
    messages::follow(parts, streams).await
}

fn is_same(before: &Record, now: &Record) -> bool {
    before.id() == now.id() && before.collection.id == now.collection.id
}
