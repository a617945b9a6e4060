//! The queue of jobs. Every job is a row of the database, made by the batch that causes it, and stays one until it is
//! done; the engines differ in how it reaches who does it. Knows jobs by their queue and payload, and not what they
//! are about.

mod embedded;
mod nats;
mod table;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base::{Clock, Name};
use store::Store;
use tokio::sync::Notify;

use self::embedded::Embedded;
pub use self::nats::Broker;
use self::nats::Nats;
pub use self::table::{DEAD, TABLE};

pub type Result<T> = std::result::Result<T, store::Error>;

/// How to open a queue.
pub struct Options {
    pub store: Store,
    pub clock: Arc<dyn Clock>,
    pub kind: Kind,
    /// The queues that are served here; others are left to other processes.
    pub queues: Vec<Name>,
    /// Told of jobs that were made.
    pub wake: Arc<Notify>,
    /// How often jobs are looked for that nobody told of.
    pub poll: Duration,
}

#[derive(Clone, Debug)]
pub enum Kind {
    /// Jobs are taken from the database.
    Embedded,
    /// They go through JetStream.
    Nats(Broker),
}

/// A job that this process holds.
pub struct Taken {
    pub id: Name,
    pub queue: Name,
    pub payload: Box<str>,
    /// This run included.
    pub attempts: u32,
    /// As the row says.
    noted: u32,
    ticket: Ticket,
}

/// What a job is held by.
enum Ticket {
    Row,
    Message(Box<async_nats::jetstream::Message>),
}

/// What became of a job.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Done,
    /// To be tried again at this time (ms).
    Again(i64, String),
    /// Given back as if it had not been taken.
    Back,
    /// Given up.
    Dead(String),
}

#[async_trait]
trait Engine: Send + Sync {
    /// Takes jobs of a queue, at most so many, and none at once or after a while when there are none.
    async fn take(&self, queue: &Name, most: usize) -> Result<Vec<Taken>>;

    /// Returns when there may be jobs of the queue. Of several who ask one hears of it.
    async fn news(&self, queue: &Name);

    /// Holds them for the whole lease again. Those that are held no more are not among what it returns.
    async fn renew(&self, held: &[Arc<Taken>]) -> Result<Vec<Name>>;

    /// Returns how many were found to be somebody else's by now.
    async fn settle(&self, ended: &[(Arc<Taken>, Outcome)]) -> Result<usize>;

    /// What has to go on beside, for as long as anybody takes jobs.
    async fn serve(&self);

    /// How long a job is its holder's.
    fn lease(&self) -> Duration;

    /// Whether taking waits for jobs, so that room for them must be kept meanwhile.
    fn waits(&self) -> bool {
        false
    }
}

#[derive(Clone)]
pub struct Queue(Arc<dyn Engine>);

/// The only place that matches on engine kinds.
pub async fn open(options: Options) -> Result<Queue> {
    Ok(match options.kind.clone() {
        Kind::Embedded => Queue(Arc::new(Embedded::new(options))),
        Kind::Nats(broker) => Queue(Arc::new(Nats::open(options, broker).await?)),
    })
}

impl Queue {
    pub async fn take(&self, queue: &Name, most: usize) -> Result<Vec<Taken>> {
        self.0.take(queue, most).await
    }

    pub async fn news(&self, queue: &Name) {
        self.0.news(queue).await;
    }

    pub async fn renew(&self, held: &[Arc<Taken>]) -> Result<Vec<Name>> {
        self.0.renew(held).await
    }

    pub async fn settle(&self, ended: &[(Arc<Taken>, Outcome)]) -> Result<usize> {
        self.0.settle(ended).await
    }

    pub async fn serve(&self) {
        self.0.serve().await;
    }

    pub fn lease(&self) -> Duration {
        self.0.lease()
    }

    /// Whether room must be kept for what is being taken.
    pub fn waits(&self) -> bool {
        self.0.waits()
    }
}
