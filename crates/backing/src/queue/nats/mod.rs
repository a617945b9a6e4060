//! Jobs go through JetStream. Whoever runs jobs relays due ones: claims their rows for long, publishes them, and workers
//! pull them, on whichever node. The row stays until the job is done, so a broker that is lost with all it kept loses
//! nothing: rows that belong to another life of the stream, and those whose claim has ended, are relayed again. Retries
//! and jobs that are given up are the row's business; a message stands for one relay of one attempt.
//!
//! A job may run twice: when its worker stands still for longer than the acknowledgement is waited for, or when an
//! answer is lost. A message that is delivered again, or is old, is checked against its row first, so that one that is
//! done is not done again.

mod link;
mod relay;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_nats::jetstream::{AckKind, Message};
use async_trait::async_trait;
use base::Name;
use base::limits::{JOB_LEASE_MS, JOB_RELAYED_MS, JOBS_PULL_MS};
use futures_util::StreamExt;
use store::Error;
use tokio::sync::Notify;

use self::link::{Link, Ready};
use super::table::{Held, Table};
use super::{Engine, Options, Outcome, Result, Taken, Ticket};

const ID: &str = "Pando-Job";
const ATTEMPTS: &str = "Pando-Attempts";
const AT: &str = "Pando-At";

/// Where the broker is.
#[derive(Clone, Debug)]
pub struct Broker {
    /// `nats://host:port`, several separated by commas.
    pub url: String,
    /// Copies that it keeps of each message.
    pub replicas: usize,
    /// The stream, one for each database.
    pub stream: String,
}

pub struct Nats {
    table: Table,
    queues: Vec<Name>,
    link: Link,
    wake: Arc<Notify>,
    poll: Duration,
    /// When rows were renewed last (ms).
    renewed: AtomicI64,
}

impl Nats {
    /// Fails when the server can never do. One that is away may come.
    pub async fn open(options: Options, broker: Broker) -> Result<Nats> {
        let Options { store, clock, queues, wake, poll, .. } = options;
        let link = Link::open(broker, &queues).await?;
        Ok(Nats { table: Table::new(store, clock), queues, link, wake, poll, renewed: AtomicI64::new(0) })
    }

    /// A message as a job, if it still is to be done.
    async fn received(&self, ready: &Ready, queue: &Name, message: Message) -> Result<Option<Taken>> {
        let header = |name: &str| message.headers.as_ref()?.get(name).map(|value| value.as_str().to_owned());
        let number = |name: &str| header(name)?.parse::<i64>().ok();
        let payload = std::str::from_utf8(&message.payload).map(Box::<str>::from);
        let (Some(id), Some(noted), Some(at), Ok(payload)) =
            (header(ID), number(ATTEMPTS), number(AT), payload)
        else {
            tracing::warn!(subject = %message.subject, "a message on the queue is no job");
            let _ = message.ack_with(AckKind::Term).await;
            return Ok(None);
        };
        let delivered = message.info().map_or(1, |info| info.delivered).max(1);
        let noted = noted as u32;
        let attempts = noted.saturating_add(delivered as u32 - 1);
        let fresh = delivered == 1 && self.table.now() - at < JOB_RELAYED_MS / 2;
        let ticket = Ticket::Message(Box::new(message));
        let job = Taken { id: id.into(), queue: queue.clone(), payload, attempts, noted, ticket };
        if !fresh && !self.table.confirm(&job, &ready.mark, JOB_RELAYED_MS).await? {
            metrics::counter!("pando_jobs_stale_messages_total").increment(1);
            job.answer(AckKind::Ack).await;
            return Ok(None);
        }
        Ok(Some(job))
    }
}

impl Taken {
    /// An answer that is lost has the message delivered again, and found to be over.
    async fn answer(&self, kind: AckKind) {
        if let Ticket::Message(message) = &self.ticket {
            let _ = message.ack_with(kind).await;
        }
    }
}

fn away(error: impl std::fmt::Display) -> Error {
    Error::Away(format!("the queue's NATS: {error}"))
}

#[async_trait]
impl Engine for Nats {
    async fn take(&self, queue: &Name, most: usize) -> Result<Vec<Taken>> {
        let wait = Duration::from_millis(JOBS_PULL_MS);
        let Some((ready, consumer)) = self.link.consumer(queue) else {
            tokio::time::sleep(wait).await;
            return Ok(Vec::new());
        };
        // What is there, or else the next one: a request for more must not be left when some have come.
        let there = consumer.fetch().max_messages(most).messages().await.map_err(away)?;
        let mut messages: Vec<_> = there.collect().await;
        if messages.is_empty() {
            let next = consumer.batch().max_messages(1).expires(wait).messages().await.map_err(away)?;
            messages = next.collect().await;
        }
        let mut jobs = Vec::with_capacity(messages.len());
        for message in messages {
            let job = match message {
                Ok(message) => self.received(&ready, queue, message).await,
                Err(error) => Err(away(error)),
            };
            match job {
                Ok(job) => jobs.extend(job),
                // It is delivered again.
                Err(error) => tracing::debug!("a message cannot be taken: {error}"),
            }
        }
        Ok(jobs)
    }

    async fn news(&self, _queue: &Name) {
        // Taking waits by itself.
    }

    async fn renew(&self, held: &[Arc<Taken>]) -> Result<Vec<Name>> {
        for job in held {
            job.answer(AckKind::Progress).await;
        }
        let now = self.table.now();
        if now - self.renewed.load(Ordering::Relaxed) > JOB_RELAYED_MS / 4
            && let Some(ready) = self.link.ready()
        {
            let ids = held.iter().map(|job| job.id.clone()).collect();
            self.table.renew(&Held { holder: &ready.mark, ids }, JOB_RELAYED_MS).await?;
            self.renewed.store(now, Ordering::Relaxed);
        }
        Ok(held.iter().map(|job| job.id.clone()).collect())
    }

    async fn settle(&self, ended: &[(Arc<Taken>, Outcome)]) -> Result<usize> {
        let done: Vec<&Arc<Taken>> =
            ended.iter().filter_map(|(job, outcome)| (*outcome == Outcome::Done).then_some(job)).collect();
        let mut lost = 0;
        if !done.is_empty() {
            let ids = done.iter().map(|job| job.id.clone()).collect();
            lost += done.len().saturating_sub(self.table.over(ids).await?);
        }
        let mark = self.link.mark();
        for (job, outcome) in ended {
            match outcome {
                Outcome::Done => job.answer(AckKind::Ack).await,
                // For another worker, at once. The row stays relayed.
                Outcome::Back => job.answer(AckKind::Nak(None)).await,
                _ => {
                    lost += usize::from(!self.table.leave(job, &mark, outcome).await?);
                    job.answer(AckKind::Ack).await;
                }
            }
        }
        Ok(lost)
    }

    async fn serve(&self) {
        tokio::join!(self.link.keep(), self.relay());
    }

    fn lease(&self) -> Duration {
        Duration::from_millis(JOB_LEASE_MS)
    }

    fn waits(&self) -> bool {
        true
    }
}
