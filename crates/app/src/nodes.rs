//! This process among those that serve the same database.
//!
//! Each works by its own copy of the collections and the settings. A change of them is acknowledged when every node has
//! the new ones, or cannot go by the old ones any more: a node goes by what it has for [`NODE_LEASE_MS`] after it last
//! made sure that it is the newest, and then makes sure before it begins another request. So nobody has to trust that a
//! node which is silent is dead, and whoever is told of a change meets it everywhere. A node that the others cannot know
//! of makes sure before every request.

use std::sync::Arc;
use std::time::{Duration, Instant};

use backing::Bus;
use base::limits::{
    COUNTER_SWEEP_MS, NODE_BEAT_MS, NODE_LEASE_MS, NODE_LOOK_MS, NODE_MEMBERS_MS, NODE_SILENT_MS,
    STORE_WAIT_MS,
};
use base::{Kind, Name};
use parking_lot::Mutex;
use store::{Member, Shared, Store};
use tokio::sync::{Notify, watch};

use crate::error::{Error, Result};
use crate::parts::Parts;

const LEASE: Duration = Duration::from_millis(NODE_LEASE_MS);
/// How often a change looks whether the other nodes have it.
const STEP: Duration = Duration::from_millis(10);
/// How long telling the others may hold up a look.
const TELL_WAIT: Duration = Duration::from_millis(NODE_LEASE_MS / 4);

pub struct Nodes {
    id: Name,
    address: String,
    /// Whether there may be others.
    several: bool,
    looks: watch::Sender<Looks>,
    wanted: Arc<Notify>,
    bus: Bus,
    /// Told when the others know of this process for the first time, or again.
    joined: Notify,
    told: Mutex<Option<Told>>,
    /// When telling was tried last.
    tried: Mutex<Option<Instant>>,
    /// Who is there, and when that was looked up.
    known: Mutex<Option<(Instant, Arc<[Name]>)>>,
}

/// What came of looking for what other nodes changed.
#[derive(Clone, Copy, Default)]
struct Looks {
    /// When the last look began.
    last: Option<Instant>,
    /// When the last one began that found this process up to date, or made it so.
    sure: Option<Instant>,
    /// How long that is good for.
    lease: Duration,
}

impl Looks {
    fn are_sure_at(&self, now: Instant) -> bool {
        self.sure.is_some_and(|sure| sure >= now || now.duration_since(sure) < self.lease)
    }
}

/// What the others know of this process.
#[derive(Clone, Copy)]
struct Told {
    /// When telling them began.
    at: Instant,
    schema: u64,
}

impl Nodes {
    /// `id` is this process's own, the bus's life where there is a bus. `address` is what it calls itself to people. Whoever
    /// tells `wanted` has others' changes looked for.
    pub fn new(id: Name, store: &Store, address: String, bus: Bus, wanted: Arc<Notify>) -> Self {
        Nodes {
            id,
            address,
            several: store.shared().is_some(),
            looks: watch::Sender::default(),
            wanted,
            bus,
            joined: Notify::new(),
            told: Mutex::new(None),
            tried: Mutex::new(None),
            known: Mutex::new(None),
        }
    }

    /// All who serve the database, this process included, as it knew a moment ago; none when it was not asked or did not
    /// answer.
    pub fn known(&self) -> Arc<[Name]> {
        let known = self.known.lock();
        let recent = known.as_ref().filter(|(at, _)| at.elapsed() < LEASE);
        recent.map(|(_, members)| members.clone()).unwrap_or_default()
    }

    /// What the others know this process by: another one at every start.
    pub fn id(&self) -> &Name {
        &self.id
    }

    /// How often to look.
    pub fn look_every(&self) -> Duration {
        Duration::from_millis(if self.several { NODE_LOOK_MS } else { base::limits::FOREIGN_CHANGES_MS })
    }

    /// Completes when somebody waits for a look.
    pub async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// Notes what came of the look that began then.
    pub fn looked(&self, began: Instant, is_sure: bool) {
        let lease = if self.is_known(began) { LEASE } else { Duration::ZERO };
        self.looks.send_modify(|looks| {
            looks.last = Some(began);
            if is_sure {
                (looks.sure, looks.lease) = (Some(began), lease);
            }
        });
    }

    /// Whether who changes something waits for this process as long as it goes by a look that began then.
    fn is_known(&self, began: Instant) -> bool {
        let known = Duration::from_millis(NODE_SILENT_MS) - LEASE * 3 / 2;
        self.told.lock().is_some_and(|told| began.saturating_duration_since(told.at) < known)
    }

    /// To be asked before a request begins: it must not go by collections and settings that others were told are gone.
    /// Costs nothing while this process has made sure lately.
    pub async fn be_sure(&self) -> Result<()> {
        let now = Instant::now();
        if !self.several || self.looks.borrow().are_sure_at(now) {
            return Ok(());
        }
        let mut looks = self.looks.subscribe();
        self.wanted.notify_one();
        let looked =
            looks.wait_for(|looks| looks.are_sure_at(now) || looks.last.is_some_and(|last| last >= now));
        match tokio::time::timeout(Duration::from_millis(STORE_WAIT_MS), looked).await {
            Ok(Ok(looks)) if looks.are_sure_at(now) => Ok(()),
            _ => Err(Error::new(
                Kind::Unavailable,
                "The database is not available right now. Try again later.",
            )
            .details("it cannot be asked whether collections or settings are others by now")),
        }
    }

    /// Tells the others that this process works by that schema version, if they do not know. To be done before looking
    /// which one is the newest: whoever changes it then either knows of this process or is seen by it.
    async fn tell(&self, store: &Store, schema: u64) {
        let Some(shared) = store.shared() else { return };
        let (at, pause) = (Instant::now(), Duration::from_millis(NODE_BEAT_MS));
        let is_recent = |last: Instant| at.duration_since(last) < pause;
        let is_told = self.told.lock().is_some_and(|told| told.schema == schema && is_recent(told.at));
        if is_told || self.failed_at().is_some_and(is_recent) {
            return;
        }
        *self.tried.lock() = Some(at);
        let told = tokio::time::timeout(TELL_WAIT, shared.beat(&self.member(schema))).await;
        match told {
            Ok(Ok(count)) => {
                self.bus.beaten(at, Instant::now());
                if self.told.lock().is_none_or(|told| told.at.elapsed() > LEASE * 2) {
                    self.joined.notify_one();
                }
                *self.told.lock() = Some(Told { at, schema });
                metrics::gauge!("pando_nodes").set(count as f64);
            }
            Ok(Err(error)) => tracing::debug!(%error, "cannot tell other nodes of this one"),
            Err(_) => tracing::debug!("cannot tell other nodes of this one in time"),
        }
    }

    /// When telling was tried in vain, if the last time was.
    fn failed_at(&self) -> Option<Instant> {
        let tried = *self.tried.lock();
        tried.filter(|tried| self.told.lock().is_none_or(|told| told.at < *tried))
    }

    fn member(&self, schema: u64) -> Member {
        let (id, address) = (self.id.to_string(), self.address.clone());
        Member { id, address, release: env!("CARGO_PKG_VERSION").into(), schema, ..Member::default() }
    }

    /// Tells the others that this process ends.
    pub async fn leave(&self, store: &Store) {
        if let Some(shared) = store.shared()
            && let Err(error) = shared.leave(&self.id).await
        {
            tracing::debug!(%error, "cannot tell other nodes that this one ends");
        }
    }
}

/// Those that serve the database; none when this process is alone by nature.
pub async fn members(parts: &Parts) -> Result<Vec<Member>> {
    match parts.store.shared() {
        Some(shared) => Ok(shared.members().await?),
        None => Ok(Vec::new()),
    }
}

/// Keeps the bus informed of who the members are, until `stop` completes. Whatever it says of other nodes, they write.
pub async fn watch(parts: Arc<Parts>, stop: impl Future<Output = ()>) {
    let Some(shared) = parts.store.shared() else { return };
    tokio::pin!(stop);
    loop {
        let began = Instant::now();
        let looked = tokio::time::timeout(LEASE, shared.members());
        match tokio::select! { () = &mut stop => return, looked = looked => looked } {
            Ok(Ok(members)) => {
                let members: Vec<Name> = members.into_iter().map(|member| member.id.into()).collect();
                parts.bus.looked(began, &members);
                *parts.nodes.known.lock() = Some((began, members.into()));
            }
            Ok(Err(error)) => tracing::debug!(%error, "the other nodes cannot be looked for"),
            Err(_) => tracing::debug!("the other nodes cannot be looked for in time"),
        }
        tokio::select! {
            () = &mut stop => return,
            () = tokio::time::sleep(Duration::from_millis(NODE_MEMBERS_MS)) => {}
            () = parts.nodes.joined.notified() => {}
        }
    }
}

/// Waits until no node goes by collections or settings older than those committed before.
pub async fn caught_up(parts: &Parts) {
    let Some(shared) = parts.store.shared() else { return };
    let until = Instant::now() + LEASE;
    let all = async {
        let version = parts.store.schema_version().await?;
        while any_behind(parts, shared, version).await? {
            tokio::time::sleep(STEP).await;
        }
        Ok::<(), store::Error>(())
    };
    match tokio::time::timeout_at(until.into(), all).await {
        Ok(Ok(())) => {}
        // From then on they make sure by themselves.
        Ok(Err(_)) => tokio::time::sleep_until(until.into()).await,
        Err(_) => tracing::info!("a node did not say in time that it has the new collections or settings"),
    }
}

async fn any_behind(parts: &Parts, shared: &dyn Shared, version: u64) -> store::Result<bool> {
    let others = shared.members().await?;
    Ok(others.iter().any(|member| *member.id != *parts.nodes.id && member.schema < version))
}

/// Drops shared counts that are over, now and then, until `stop` completes.
pub async fn sweep(store: Store, stop: impl Future<Output = ()>) {
    let Some(shared) = store.shared() else { return };
    tokio::pin!(stop);
    loop {
        // Nodes that started together do not sweep together.
        let rest = COUNTER_SWEEP_MS / 2 + rand::random_range(0..COUNTER_SWEEP_MS);
        tokio::select! {
            () = &mut stop => return,
            () = tokio::time::sleep(Duration::from_millis(rest)) => {}
        }
        if let Err(error) = shared.sweep().await {
            tracing::warn!(%error, "counts that are over cannot be dropped");
        }
    }
}

/// Looks for what other processes changed, and reads it. `seen` is what this process works by.
pub async fn look(parts: &Arc<Parts>, seen: &mut Seen) -> Result<bool> {
    parts.nodes.tell(&parts.store, seen.schema).await;
    let now = Seen { schema: parts.store.schema_version().await?, foreign: parts.store.external_version() };
    if now == *seen {
        return Ok(false);
    }
    // Caches go first: what is read from here on is the new state.
    parts.stamps.expire_all();
    crate::setup::refresh(parts).await?;
    // What was read meanwhile may have been read by the old definitions.
    parts.stamps.expire_all();
    // Before others are told that this process is up to date, as whoever changed something waits for that.
    parts.outside.anything(seen.schema != now.schema);
    // Realtime clients missed what another process wrote; a change of the schema alone may have changed who they are.
    if seen.foreign != now.foreign {
        parts.realtime.resync();
    } else if let Err(error) = crate::realtime::standing::recheck(parts).await {
        tracing::warn!(details = error.details, "cannot look realtime callers up: {error}");
    }
    *seen = now;
    parts.nodes.tell(&parts.store, seen.schema).await;
    Ok(true)
}

/// What a process knows of others' changes. Moves whenever another one changed the schema, or wrote to a database that
/// is otherwise ours alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    pub schema: u64,
    pub foreign: u64,
}

impl Seen {
    /// What was read at the start, rather than what is there by now: a change in between must not be missed.
    pub fn at_start(parts: &Parts) -> Self {
        Seen { schema: parts.catalog.schema().version, foreign: 0 }
    }
}
