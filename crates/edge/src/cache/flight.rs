//! Requests that miss at the same time share one question to the origin, and get its answer while it comes in.
//!
//! The question is a task of its own, so it does not end with the client that caused it. A client that arrives after a purge
//! never gets what was asked for before it.

mod passes;
mod relay;

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use base::limits::{EDGE_COALESCE_WAIT_MS, EDGE_OBJECT_BYTES_MAX};
use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::BodyExt;
use hyper::{Response, StatusCode, header};
use metrics::{Counter, counter};
use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};

use super::object::{Key, Mark, Object};
use super::purges::{Moment, Standing};
use super::storage::Storage;
use crate::body::Body;
use passes::Passes;
use relay::{Budget, Ending, Pushed, Relay};

const SHARDS: usize = 32;
/// How often a request that came after a purge asks anew.
const ROUNDS: usize = 3;

/// What the origin said.
pub enum Fetched {
    /// It may be kept, and everybody who waits may have it. The object's own body is not looked at.
    Keep(Box<Object>, Body),
    /// It is for the one who asked.
    Pass(Response<Body>),
    /// No answer that is worth passing on; whoever waits is told the same.
    Failed(StatusCode),
}

/// What a request that missed gets.
pub enum Answer {
    /// It is kept, or about to be: head and body. Whoever did not lead has to look whether it suits its own request.
    Shared {
        head: Arc<Object>,
        body: Body,
        led: bool,
    },
    /// The request's own.
    Own(Response<Body>),
    Failed(StatusCode),
    /// Nothing to wait for: ask by yourself.
    Alone,
}

#[derive(Clone)]
enum Phase {
    Asking,
    Coming(Arc<Object>, Arc<Relay>),
    Whole(Arc<Object>),
    Failed(StatusCode),
    /// Not to be shared.
    Passed,
}

struct Flight {
    moment: Moment,
    phase: watch::Receiver<Phase>,
}

type Flying = Mutex<HashMap<Key, Arc<Flight>>>;

pub struct Flights {
    shared: Arc<Shared>,
    coalesced: Counter,
}

struct Shared {
    storage: Arc<Storage>,
    flying: [Flying; SHARDS],
    passes: Passes,
    budget: Arc<Budget>,
    hasher: RandomState,
}

enum Joined {
    Leads(oneshot::Receiver<Answer>),
    Follows(Arc<Flight>),
}

impl Flights {
    pub fn new(storage: Arc<Storage>) -> Self {
        let shared = Shared {
            storage,
            flying: std::array::from_fn(|_| Mutex::default()),
            passes: Passes::default(),
            budget: Arc::default(),
            hasher: RandomState::new(),
        };
        Flights { shared: Arc::new(shared), coalesced: counter!("pando_edge_coalesced_total") }
    }

    /// Asks the origin by `fetch`, or waits for whoever asks already. The purge clock is read before `fetch` begins, and
    /// what it brings is kept with that reading.
    pub async fn fetch<F, A>(&self, key: &Key, fetch: F) -> Answer
    where
        F: FnOnce() -> A,
        A: Future<Output = Fetched> + Send + 'static,
    {
        if self.shared.passes.has(self.shared.hash(key)) {
            return Answer::Alone;
        }
        let mut fetch = Some(fetch);
        for _ in 0..ROUNDS {
            match self.join(key, &mut fetch) {
                // It gets what comes of its question, even if that was purged in between.
                Joined::Leads(own) => {
                    return own.await.unwrap_or(Answer::Failed(StatusCode::BAD_GATEWAY));
                }
                Joined::Follows(flight) => {
                    self.coalesced.increment(1);
                    match self.shared.follow(key, &flight).await {
                        Some(answer) => return answer,
                        None => continue,
                    }
                }
            }
        }
        Answer::Alone
    }

    /// Asks the origin in the background unless somebody does so already.
    pub fn refresh<F, A>(&self, key: &Key, fetch: F)
    where
        F: FnOnce() -> A,
        A: Future<Output = Fetched> + Send + 'static,
    {
        self.join(key, &mut Some(fetch));
    }

    /// Whether the origin is being asked for it.
    pub fn is_asking(&self, key: &Key) -> bool {
        self.shared.flying(key).lock().contains_key(key)
    }

    fn join<F, A>(&self, key: &Key, fetch: &mut Option<F>) -> Joined
    where
        F: FnOnce() -> A,
        A: Future<Output = Fetched> + Send + 'static,
    {
        let mut flying = self.shared.flying(key).lock();
        if let Some(flight) = flying.get(key) {
            return Joined::Follows(flight.clone());
        }
        let moment = self.shared.storage.moment();
        let (tell, phase) = watch::channel(Phase::Asking);
        let (give, own) = oneshot::channel();
        let flight = Arc::new(Flight { moment, phase });
        flying.insert(key.clone(), flight.clone());
        drop(flying);
        let landing = Landing { shared: self.shared.clone(), key: key.clone(), flight: flight.clone() };
        if let Some(fetch) = fetch.take() {
            tokio::spawn(fly(landing, tell, give, fetch()));
        }
        Joined::Leads(own)
    }
}

impl Shared {
    fn hash(&self, key: &Key) -> u64 {
        self.hasher.hash_one(key)
    }

    fn flying(&self, key: &Key) -> &Flying {
        &self.flying[self.hash(key) as usize % SHARDS]
    }

    fn land(&self, key: &Key, flight: &Arc<Flight>) {
        let mut flying = self.flying(key).lock();
        if flying.get(key).is_some_and(|own| Arc::ptr_eq(own, flight)) {
            flying.remove(key);
        }
    }

    /// None when what comes was asked for too early.
    async fn follow(&self, key: &Key, flight: &Arc<Flight>) -> Option<Answer> {
        let mut phase = flight.phase.clone();
        let wait = Duration::from_millis(EDGE_COALESCE_WAIT_MS);
        let known = tokio::time::timeout(wait, phase.wait_for(|phase| !matches!(phase, Phase::Asking))).await;
        let phase = match known {
            Ok(Ok(phase)) => phase.clone(),
            Ok(Err(_)) | Err(_) => return Some(Answer::Alone),
        };
        if let Phase::Coming(head, _) | Phase::Whole(head) = &phase
            && self.storage.standing(head) != Standing::Good
        {
            self.land(key, flight);
            return None;
        }
        Some(match phase {
            Phase::Asking | Phase::Passed => Answer::Alone,
            Phase::Failed(status) => Answer::Failed(status),
            Phase::Coming(head, relay) => match relay.read() {
                Some(body) => Answer::Shared { head, body, led: false },
                None => Answer::Alone,
            },
            Phase::Whole(head) => Answer::Shared { body: Body::Full(head.body.clone()), head, led: false },
        })
    }
}

/// Ends a flight, whatever becomes of its task.
struct Landing {
    shared: Arc<Shared>,
    key: Key,
    flight: Arc<Flight>,
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.shared.land(&self.key, &self.flight);
    }
}

async fn fly(
    landing: Landing,
    tell: watch::Sender<Phase>,
    own: oneshot::Sender<Answer>,
    fetch: impl Future<Output = Fetched>,
) {
    let (shared, key, moment) = (&landing.shared, &landing.key, landing.flight.moment);
    // A panic of the fetch is one failed answer.
    let fetched = std::panic::AssertUnwindSafe(fetch).catch_unwind().await;
    let (object, body) = match fetched.unwrap_or(Fetched::Failed(StatusCode::BAD_GATEWAY)) {
        Fetched::Pass(response) => {
            shared.passes.note(shared.hash(key));
            tell.send_replace(Phase::Passed);
            let _ = own.send(Answer::Own(response));
            return;
        }
        Fetched::Failed(status) => {
            tell.send_replace(Phase::Failed(status));
            let _ = own.send(Answer::Failed(status));
            return;
        }
        Fetched::Keep(object, body) => (*object, body),
    };
    let whole = match &body {
        Body::Full(bytes) => Some(bytes.clone()),
        Body::Empty => Some(Bytes::new()),
        _ => None,
    };
    if let Some(body) = whole {
        let head = shared.storage.put(key.clone(), Object { body: body.clone(), ..object }, moment);
        tell.send_replace(Phase::Whole(head.clone()));
        let _ = own.send(Answer::Shared { head, body: Body::Full(body), led: true });
        return;
    }
    let mut head = object.compact();
    head.mark = Mark { moment, ..Mark::default() };
    let head = Arc::new(head);
    let length = head.headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let relay = Arc::new(Relay::new(length, shared.budget.clone()));
    let first = relay.read();
    if length.is_some_and(|length| length > EDGE_OBJECT_BYTES_MAX as u64) {
        relay.only_pass();
        shared.passes.note(shared.hash(key));
        shared.land(key, &landing.flight);
    }
    tell.send_replace(Phase::Coming(head.clone(), relay.clone()));
    if let Some(body) = first {
        let _ = own.send(Answer::Shared { head: head.clone(), body, led: true });
    }
    if carry(&landing, &relay, body).await
        && let Some(whole) = relay.whole()
    {
        shared.storage.put(key.clone(), Object { body: whole, ..(*head).clone() }, moment);
    }
}

/// From the origin to all who read. False when it broke off, or nobody wants it.
async fn carry(landing: &Landing, relay: &Arc<Relay>, mut body: Body) -> bool {
    let ending = Ending(relay.clone());
    while let Some(frame) = body.frame().await {
        let data = match frame {
            Ok(frame) => frame.into_data(),
            Err(error) => {
                tracing::debug!(%error, "an answer broke off while it came in");
                return false;
            }
        };
        if let Ok(data) = data
            && relay.push(data) == Pushed::Passes
        {
            // Who comes now would find its beginning gone.
            landing.shared.land(&landing.key, &landing.flight);
            if !relay.room().await {
                return false;
            }
        }
    }
    ending.well();
    true
}

#[cfg(test)]
mod tests;
