//! This node among the others: runs what [`super::coherence`] decides.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use base::Name;
use base::limits::{
    BUS_ACKNOWLEDGE_MS, BUS_ASK_MS, BUS_BEACON_MS, BUS_PROOF_MS, BUS_QUEUE_MAX, STORE_WAIT_MS,
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use parking_lot::{Mutex, MutexGuard};
use query::{Change, ChangeItem, ChangeKind};
use rustc_hash::FxHashMap;
use tokio::sync::{Mutex as AsyncMutex, mpsc, oneshot};

use super::coherence::{Answer, Coherence, Moment, Said, Verdict};
use super::message::{self, Letter, Message};
use super::wire::{Question, Wire};
use super::{Line, MESSAGES, News};

/// How often a writer looks whether this node may answer, while the others need not know of it yet.
const STEP: Duration = Duration::from_millis(5);

/// Who must hear of other nodes' changes before anything else does. Called in order, and must not wait.
pub trait Hears: Send + Sync {
    fn changed(&self, change: &Arc<Change>);

    /// Changes were lost: anything may be different now.
    fn missed(&self);

    /// What is cached must not be used any more.
    fn forget(&self);
}

pub struct Nodes {
    life: Name,
    wire: Option<Arc<dyn Wire>>,
    line: Line,
    epoch: Instant,
    state: Mutex<State>,
    /// Until when caches may be used.
    until: AtomicU64,
    /// What all nodes declare.
    agreed: ArcSwapOption<Box<str>>,
    letters: AsyncMutex<mpsc::Receiver<Letter>>,
    measures: Measures,
}

struct State {
    coherence: Coherence,
    /// Writers that wait for others to apply a change.
    writers: FxHashMap<u64, Writer>,
    /// While this node takes part.
    hears: Option<Arc<dyn Hears>>,
    /// What is to be sent, in the order of its numbers.
    outbox: mpsc::Sender<Letter>,
}

struct Writer {
    published: Instant,
    settled: oneshot::Sender<()>,
}

struct Measures {
    published: metrics::Counter,
    received: metrics::Counter,
    missed: metrics::Counter,
    waited: metrics::Histogram,
    acknowledged: metrics::Histogram,
    good: metrics::Counter,
    ended: metrics::Counter,
}

impl Measures {
    fn new() -> Self {
        let looks = |proofs| metrics::counter!("pando_bus_looks_total", "proofs" => proofs);
        Measures {
            published: metrics::counter!("pando_bus_published_total"),
            received: metrics::counter!("pando_bus_received_total"),
            missed: metrics::counter!("pando_bus_missed_total"),
            waited: metrics::histogram!("pando_bus_writers_waited_seconds"),
            acknowledged: metrics::histogram!("pando_bus_acknowledged_seconds"),
            good: looks("good"),
            ended: looks("ended"),
        }
    }
}

/// Whether other nodes must hear of what is in the table.
fn is_told(table: &str) -> bool {
    table != "_logs" && !table.starts_with("_pando_")
}

/// The streams that were published to: whoever waits for them at another node need not wait for its next look.
fn streams(change: &Change) -> Vec<&ChangeItem> {
    let published = |item: &&ChangeItem| &*item.table == MESSAGES && item.kind == ChangeKind::Insert;
    let stream =
        |item: &ChangeItem| item.id.as_deref().and_then(|id| id.split('.').next()).map(str::to_owned);
    let mut streams: Vec<&ChangeItem> = change.items.iter().filter(published).collect();
    streams.dedup_by_key(|item| stream(item));
    streams
}

impl Nodes {
    pub fn new(life: Name, wire: Option<Arc<dyn Wire>>, line: Line) -> Self {
        let (outbox, letters) = mpsc::channel(BUS_QUEUE_MAX);
        let coherence = Coherence::new(life.clone());
        Nodes {
            life,
            wire,
            line,
            epoch: Instant::now(),
            state: Mutex::new(State { coherence, writers: FxHashMap::default(), hears: None, outbox }),
            until: AtomicU64::new(0),
            agreed: ArcSwapOption::empty(),
            letters: AsyncMutex::new(letters),
            measures: Measures::new(),
        }
    }

    pub fn life(&self) -> &Name {
        &self.life
    }

    pub fn server(&self) -> Option<super::Server> {
        self.wire.as_ref().map(|wire| wire.server())
    }

    pub fn has_wire(&self) -> bool {
        self.wire.is_some()
    }

    fn moment(&self, at: Instant) -> Moment {
        // Moment 0 is before everything.
        at.saturating_duration_since(self.epoch).as_micros() as Moment + 1
    }

    fn now(&self) -> Moment {
        self.moment(Instant::now())
    }

    pub fn may_cache(&self) -> bool {
        self.now() < self.until.load(Ordering::Acquire)
    }

    pub fn all_declare(&self, text: &str) -> bool {
        self.may_cache() && self.agreed.load().as_ref().is_some_and(|agreed| ***agreed == *text)
    }

    pub fn publish(self: &Arc<Self>, change: &Arc<Change>) -> Option<BoxFuture<'static, ()>> {
        let is_seen = change.schema || change.items.iter().any(|item| is_told(&item.table));
        let own = change.items.iter().any(|item| !is_told(&item.table));
        let streams = if own { streams(change) } else { Vec::new() };
        if !is_seen && !change.jobs && streams.is_empty() {
            return None;
        }
        let change = match own {
            false => change.clone(),
            true => {
                let items = change.items.iter().filter(|item| is_told(&item.table)).chain(streams).cloned();
                Arc::new(Change { items: items.collect(), ..(**change).clone() })
            }
        };
        self.tell(self.state.lock(), Message::Change(change), is_seen)
    }

    pub fn publish_anything(self: &Arc<Self>) -> Option<BoxFuture<'static, ()>> {
        self.tell(self.state.lock(), Message::Anything { schema: true, jobs: true }, true)
    }

    pub fn declare(self: &Arc<Self>, text: &str) -> Option<BoxFuture<'static, ()>> {
        // Who says the same again waits as well: the first time may not be known yet.
        self.say(true, |said| said.declared = text.into())
    }

    pub fn follow(self: &Arc<Self>, tables: Vec<Name>) -> Option<BoxFuture<'static, ()>> {
        self.wire.as_ref()?;
        self.say(false, |said| said.follows = tables.into())
    }

    fn say(self: &Arc<Self>, again: bool, change: impl FnOnce(&mut Said)) -> Option<BoxFuture<'static, ()>> {
        let mut state = self.state.lock();
        let mut said = (**state.coherence.said()).clone();
        change(&mut said);
        if !again && said == **state.coherence.said() {
            return None;
        }
        let said = Arc::new(said);
        state.coherence.say(said.clone());
        self.refresh(&mut state);
        self.tell(state, Message::Said(said), true)
    }

    pub fn is_followed(&self, names: &[&str]) -> bool {
        self.wire.is_some() && self.state.lock().coherence.follow(names)
    }

    /// Numbers the message and hands it to who sends. The caller of who waits may go on when what is returned has ended.
    fn tell(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State>,
        message: Message,
        waits: bool,
    ) -> Option<BoxFuture<'static, ()>> {
        let now = self.now();
        let number = state.coherence.publish(now);
        self.measures.published.increment(1);
        if self.wire.is_some() {
            // What has no room is missed, which its number tells.
            let _ = state.outbox.try_send(Letter { life: self.life.clone(), published: number, message });
        }
        if !waits || state.hears.is_none() || state.coherence.answer(number, now) == Answer::Now {
            return None;
        }
        let (settled, is_settled) = oneshot::channel();
        state.writers.insert(number, Writer { published: Instant::now(), settled });
        drop(state);
        let nodes = self.clone();
        Some(Box::pin(async move { nodes.settle(number, is_settled).await }))
    }

    /// Waits until the writer of this change may be answered.
    async fn settle(&self, number: u64, mut is_settled: oneshot::Receiver<()>) {
        let began = Instant::now();
        let at_most = began + Duration::from_millis(STORE_WAIT_MS);
        let mut waits = true;
        loop {
            let now = Instant::now();
            let answer = {
                let mut state = self.state.lock();
                match state.hears.is_some() {
                    true => state.coherence.answer(number, self.moment(now)),
                    false => Answer::Now,
                }
            };
            let until = match answer {
                Answer::Now => break,
                _ if now >= at_most => {
                    tracing::warn!("a write is answered before all nodes must know that this one writes");
                    break;
                }
                Answer::At(moment) if waits => self.epoch + Duration::from_micros(moment),
                _ => now + STEP,
            };
            tokio::select! {
                _ = &mut is_settled, if waits => waits = false,
                () = tokio::time::sleep_until(until.into()) => {}
            }
        }
        self.state.lock().writers.remove(&number);
        self.measures.waited.record(began.elapsed().as_secs_f64());
    }

    pub fn beaten(&self, began: Instant, done: Instant) {
        let mut state = self.state.lock();
        state.coherence.beaten(self.moment(began), self.moment(done));
        self.refresh(&mut state);
    }

    pub fn looked(&self, began: Instant, members: &[Name]) {
        let mut state = self.state.lock();
        let verdict = state.coherence.looked(self.moment(began), members, self.now());
        self.heed(&mut state, verdict);
    }

    /// Does what comes before caches may be used by what was just heard.
    fn heed(&self, state: &mut State, verdict: Verdict) {
        match (verdict, &state.hears) {
            (Verdict::Missed, Some(hears)) => {
                hears.missed();
                self.measures.missed.increment(1);
                self.line.send(News::Missed);
            }
            (Verdict::Forget, Some(hears)) => hears.forget(),
            _ => {}
        }
        self.refresh(state);
    }

    fn refresh(&self, state: &mut State) {
        if self.wire.is_none() {
            return;
        }
        let lapses = state.coherence.lapses(self.now());
        let Some(hears) = &state.hears else { return };
        if lapses {
            hears.forget();
        }
        let agreed = state.coherence.agreed();
        let known = self.agreed.load();
        if agreed.as_deref() != known.as_ref().map(|known| &***known) {
            self.agreed.store(agreed.map(|agreed| Arc::new(Box::from(&*agreed))));
        }
        self.until.store(state.coherence.until(), Ordering::Release);
    }

    /// Takes part until `stop` completes.
    pub async fn run(self: &Arc<Self>, hears: Arc<dyn Hears>, stop: impl Future<Output = ()>) {
        self.state.lock().hears = Some(hears);
        match &self.wire {
            None => stop.await,
            Some(wire) => {
                let send = self.clone().send(wire.clone());
                tokio::select! {
                    () = send => {}
                    () = self.listen(wire, stop) => {}
                }
                self.leave(wire).await;
            }
        }
        let mut state = self.state.lock();
        state.hears = None;
        self.until.store(0, Ordering::Release);
        state.writers.clear();
    }

    async fn send(self: Arc<Self>, wire: Arc<dyn Wire>) {
        let mut letters = self.letters.lock().await;
        while let Some(letter) = letters.recv().await {
            wire.send(message::write(&letter, wire.bytes_max())).await;
        }
    }

    async fn listen(&self, wire: &Arc<dyn Wire>, stop: impl Future<Output = ()>) {
        let (soon, often) = (Duration::from_millis(BUS_ACKNOWLEDGE_MS), Duration::from_millis(BUS_BEACON_MS));
        tokio::pin!(stop);
        let (mut last, mut owes) = (Instant::now() - often, false);
        loop {
            let next = last + if owes { soon } else { often };
            tokio::select! {
                () = &mut stop => return,
                message = wire.receive() => owes |= self.hear(&message),
                () = tokio::time::sleep_until(next.into()) => {
                    (last, owes) = (Instant::now(), false);
                    self.beacon();
                }
            }
        }
    }

    fn beacon(&self) {
        let mut state = self.state.lock();
        let beacon = state.coherence.beacon(self.now());
        let published = beacon.published;
        let letter = Letter { life: self.life.clone(), published, message: Message::Beacon(beacon) };
        // A beacon that finds no room is as good as one that is lost.
        let _ = state.outbox.try_send(letter);
        self.refresh(&mut state);
        drop(state);
        match self.may_cache() {
            true => self.measures.good.increment(1),
            false => self.measures.ended.increment(1),
        }
    }

    /// Whether the others wait to hear that it was heard.
    fn hear(&self, bytes: &[u8]) -> bool {
        let Some(letter) = message::read(bytes) else {
            tracing::debug!("a message of the bus cannot be read");
            return false;
        };
        let Letter { life, published, message } = letter;
        if life == self.life {
            return false;
        }
        self.measures.received.increment(1);
        let mut state = self.state.lock();
        let now = self.now();
        let coherence = &mut state.coherence;
        let verdict = match &message {
            Message::Change(_) => coherence.heard_change(&life, published, now),
            Message::Said(said) => coherence.heard_said(&life, published, said, now),
            Message::Anything { .. } | Message::Unknown => coherence.heard_unknown(&life, published, now),
            Message::Goodbye => coherence.heard_goodbye(&life, published, now),
            Message::Beacon(beacon) => {
                let (verdict, settled) = coherence.heard_beacon(beacon, now);
                for number in settled {
                    self.settled(&mut state, number);
                }
                verdict
            }
        };
        if let (Verdict::Apply, Message::Change(change), Some(hears)) = (verdict, &message, &state.hears) {
            hears.changed(change);
            self.line.send(News::Change(change.clone()));
        }
        self.heed(&mut state, verdict);
        !matches!(message, Message::Beacon(_) | Message::Goodbye) || verdict == Verdict::Missed
    }

    fn settled(&self, state: &mut State, number: u64) {
        if let Some(writer) = state.writers.remove(&number) {
            self.measures.acknowledged.record(writer.published.elapsed().as_secs_f64());
            // A writer that went away waits for nothing.
            let _ = writer.settled.send(());
        }
    }

    /// What was written is heard by all, or by none that still uses a cache; then the others are told that no more comes.
    async fn leave(self: &Arc<Self>, wire: &Arc<dyn Wire>) {
        let wait = Duration::from_millis(BUS_PROOF_MS);
        self.until.store(0, Ordering::Release);
        let rest = async {
            let mut letters = self.letters.lock().await;
            while let Ok(letter) = letters.try_recv() {
                wire.send(message::write(&letter, wire.bytes_max())).await;
            }
            let published = self.state.lock().coherence.published();
            let goodbye = Letter { life: self.life.clone(), published, message: Message::Goodbye };
            wire.send(message::write(&goodbye, wire.bytes_max())).await;
            wire.flush().await;
        };
        if tokio::time::timeout(wait, rest).await.is_err() {
            tracing::debug!("the other nodes could not be told that this one ends");
        }
    }

    pub async fn ask(&self, question: Bytes, enough: &(dyn Fn(&[Bytes]) -> bool + Sync)) -> Vec<Bytes> {
        let others = self.state.lock().coherence.heard_of();
        let mut answers = Vec::new();
        let Some(wire) = self.wire.as_ref().filter(|_| others > 0) else { return answers };
        let all = async {
            let Some(mut inbox) = wire.ask(question).await else { return };
            while answers.len() < others && !enough(&answers) {
                let Some(answer) = inbox.next().await else { return };
                answers.push(answer);
            }
        };
        let _ = tokio::time::timeout(Duration::from_millis(BUS_ASK_MS), all).await;
        answers
    }

    pub async fn asked(&self) -> Question {
        match &self.wire {
            Some(wire) => wire.asked().await,
            None => std::future::pending().await,
        }
    }
}
