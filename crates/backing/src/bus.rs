//! Carries announced changes from the store to everyone who follows them, in this process and on the other nodes.
//!
//! In one process alone it is a channel. Where several processes work on one database it also decides whether what is
//! cached may be used, and how long a writer waits for the others: see [`coherence`]. Never knows what a change is about.

use std::sync::Arc;
use std::time::Instant;

use base::Name;
use base::limits::BUS_LAG_MAX;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use query::Change;
use tokio::sync::broadcast;

pub mod coherence;
mod message;
mod nats;
mod nodes;
pub mod subjects;
mod wire;

pub use message::Cells;
pub use nodes::Hears;
pub use wire::{Question, Server};

use nodes::Nodes;

/// The table of the application's own queues' messages. Of Pando's own tables it alone is told of, as somebody may wait
/// for a message at any node: its rows' ids begin with the stream's, and one for each stream is enough.
pub const MESSAGES: &str = "_pando_queue_messages";

/// What a follower is told.
#[derive(Clone, Debug)]
pub enum News {
    /// Of this node or of another one.
    Change(Arc<Change>),
    /// Changes of other nodes were lost on their way, and nobody knows which.
    Missed,
}

/// The news of this process, each with its number: they count up from 1 in the order in which all subscribers see them.
#[derive(Clone)]
struct Line {
    sender: broadcast::Sender<(u64, News)>,
    sent: Arc<Mutex<u64>>,
}

impl Line {
    fn new() -> Self {
        Line { sender: broadcast::Sender::new(BUS_LAG_MAX), sent: Arc::default() }
    }

    fn send(&self, news: News) {
        let mut sent = self.sent.lock();
        *sent += 1;
        // Without subscribers there is nobody to tell.
        let _ = self.sender.send((*sent, news));
    }
}

/// Many publishers, many subscribers. A subscriber that falls behind by [`BUS_LAG_MAX`] changes is told that
/// it missed some and must start anew.
#[derive(Clone)]
pub struct Bus {
    line: Line,
    /// None where no other process can be.
    nodes: Option<Arc<Nodes>>,
}

impl Default for Bus {
    fn default() -> Self {
        Bus { line: Line::new(), nodes: None }
    }
}

/// How to reach the other nodes.
#[derive(Clone)]
pub struct Options {
    /// `nats://…` or `tls://…`, several separated by commas; empty for none.
    pub url: String,
    /// What the names of all subjects begin with.
    pub prefix: String,
    /// What this process calls itself to people.
    pub name: String,
}

impl Bus {
    /// For several processes on one database. Does not wait for the server: a bus that is away comes later.
    pub async fn open(options: &Options) -> Result<Bus, String> {
        let bus = Bus::default();
        let life: Name = base::id::record().into();
        let wire = wire::open(options, &life).await?;
        Ok(Bus { nodes: Some(Arc::new(Nodes::new(life, wire, bus.line.clone()))), ..bus })
    }

    /// What this process is called on the bus and among the members; nothing where it is alone.
    pub fn life(&self) -> Option<&Name> {
        self.nodes.as_ref().map(|nodes| nodes.life())
    }

    /// Who carries messages between processes; none where none do.
    pub fn server(&self) -> Option<Server> {
        self.nodes.as_ref()?.server()
    }

    /// Whether messages cross processes.
    pub fn crosses(&self) -> bool {
        self.nodes.as_ref().is_some_and(|nodes| nodes.has_wire())
    }

    /// Tells everybody. Who wrote may be answered when what is returned has ended.
    pub fn publish(&self, change: &Arc<Change>) -> Option<BoxFuture<'static, ()>> {
        self.line.send(News::Change(change.clone()));
        self.nodes.as_ref()?.publish(change)
    }

    /// Tells everybody that anything may have been written.
    pub fn publish_anything(&self) -> Option<BoxFuture<'static, ()>> {
        self.line.send(News::Missed);
        self.nodes.as_ref()?.publish_anything()
    }

    /// What is told from now on, numbered.
    pub fn subscribe(&self) -> broadcast::Receiver<(u64, News)> {
        self.line.sender.subscribe()
    }

    /// The number of the newest news. What has been answered to anybody by now is not newer.
    pub fn position(&self) -> u64 {
        *self.line.sent.lock()
    }

    /// Whether what is cached may be used and kept: nobody has written anything acknowledged that this process has not
    /// heard of. Good for the moment only.
    pub fn may_cache(&self) -> bool {
        self.nodes.as_ref().is_none_or(|nodes| nodes.may_cache())
    }

    /// What this node says of itself from now on. When this has ended, no other node goes by what it said before.
    pub async fn declare(&self, text: &str) {
        if let Some(nodes) = &self.nodes
            && let Some(known) = nodes.declare(text)
        {
            known.await;
        }
    }

    /// Whether every node, this one included, is known to say this of itself. Good for the moment only. A process that is
    /// alone by nature has nobody to ask.
    pub fn all_declare(&self, text: &str) -> bool {
        self.nodes.as_ref().is_none_or(|nodes| nodes.all_declare(text))
    }

    /// Tells the others whose deletes somebody here follows; [`coherence::ALL`] stands for any. When what is returned has
    /// ended, every other node that is heard knows.
    pub fn follow(&self, tables: Vec<Name>) -> Option<BoxFuture<'static, ()>> {
        self.nodes.as_ref()?.follow(tables)
    }

    /// Whether somebody on another node follows deletes of the table, by one of its names.
    pub fn is_followed(&self, names: &[&str]) -> bool {
        self.nodes.as_ref().is_some_and(|nodes| nodes.is_followed(names))
    }

    /// This process is in the members' table since then: since `began` at the earliest, `done` at the latest.
    pub fn beaten(&self, began: Instant, done: Instant) {
        if let Some(nodes) = &self.nodes {
            nodes.beaten(began, done);
        }
    }

    /// The members, by a look that began then.
    pub fn looked(&self, began: Instant, members: &[Name]) {
        if let Some(nodes) = &self.nodes {
            nodes.looked(began, members);
        }
    }

    /// Asks all other nodes, and returns what those answered that did in time: at most so many answers that `enough` is
    /// satisfied.
    pub async fn ask(&self, question: Bytes, enough: impl Fn(&[Bytes]) -> bool + Sync) -> Vec<Bytes> {
        match &self.nodes {
            Some(nodes) => nodes.ask(question, &enough).await,
            None => Vec::new(),
        }
    }

    /// The next question of another node. Never comes where there is none.
    pub async fn asked(&self) -> Question {
        match &self.nodes {
            Some(nodes) => nodes.asked().await,
            None => std::future::pending().await,
        }
    }

    /// Hears the others and tells them of this one, until `stop` completes; then says goodbye. Whoever writes after that
    /// waits for nobody.
    pub async fn run(&self, hears: Arc<dyn Hears>, stop: impl Future<Output = ()>) {
        match &self.nodes {
            Some(nodes) => nodes.run(hears, stop).await,
            None => stop.await,
        }
    }
}
