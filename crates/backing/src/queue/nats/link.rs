//! The connection, the stream and its consumers. They are made anew when they are gone.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::context::{AccountErrorKind, Context};
use async_nats::jetstream::stream::{self, DiscardPolicy, RetentionPolicy, StorageType};
use async_nats::{Client, ConnectOptions};
use base::Name;
use base::limits::{
    JOB_LEASE_MS, JOBS_DUPLICATES_MS, JOBS_LINK_MS, JOBS_OUTSTANDING_MAX, NATS_CONNECT_MS, NATS_REQUEST_MS,
};
use parking_lot::Mutex;
use store::Error;

use super::Broker;
use crate::nats::Servers;
use crate::queue::Result;

/// The oldest server that can be told to sync what it stores before it answers.
const OLDEST: (u64, u64) = (2, 10);

/// How often a server is asked that seems to be unable.
const OPEN_TRIES: u32 = 3;

pub struct Link {
    client: Client,
    broker: Broker,
    queues: Vec<Name>,
    ready: Mutex<Option<Arc<Ready>>>,
    /// The latest mark, for what was taken under it.
    mark: Mutex<Name>,
}

pub struct Ready {
    pub context: Context,
    /// This life of the stream, as rows that it holds name it.
    pub mark: Name,
    consumers: Vec<(Name, PullConsumer)>,
}

/// What begins the mark of every life.
pub const MARK: &str = "nats:";

impl Link {
    pub async fn open(broker: Broker, queues: &[Name]) -> Result<Link> {
        let refused = |error: String| Error::Refused(format!("queue.url {error}"));
        let servers = Servers::read(&broker.url).map_err(refused)?;
        let options = ConnectOptions::new()
            .name("pando-queue")
            .retry_on_initial_connect()
            .max_reconnects(None)
            .connection_timeout(Duration::from_millis(NATS_CONNECT_MS))
            .request_timeout(Some(Duration::from_millis(NATS_REQUEST_MS)));
        let client =
            servers.connect(options).await.map_err(|error| refused(format!("cannot be used: {error}")))?;
        let (queues, ready, mark) = (queues.to_vec(), Mutex::default(), Mutex::new(MARK.into()));
        let link = Link { client, broker, queues, ready, mark };
        let mut tries = 0;
        loop {
            tries += 1;
            match link.prepare().await {
                Ok(()) => break,
                // A server that is just starting has no JetStream yet.
                Err(Error::Refused(_)) if tries < OPEN_TRIES => {
                    tokio::time::sleep(Duration::from_millis(JOBS_LINK_MS)).await;
                }
                Err(error @ Error::Refused(_)) => return Err(error),
                Err(error) => {
                    tracing::warn!("jobs wait in the database: {error}");
                    break;
                }
            }
        }
        Ok(link)
    }

    pub fn ready(&self) -> Option<Arc<Ready>> {
        self.ready.lock().clone()
    }

    pub fn mark(&self) -> Name {
        self.mark.lock().clone()
    }

    pub fn consumer(&self, queue: &Name) -> Option<(Arc<Ready>, PullConsumer)> {
        let ready = self.ready()?;
        let consumer = ready.consumers.iter().find(|(known, _)| known == queue)?.1.clone();
        Some((ready, consumer))
    }

    pub fn subject(&self, queue: &str) -> String {
        format!("{}.{queue}", self.broker.stream)
    }

    /// Bytes that one message may have.
    pub fn payload_max(&self) -> usize {
        self.client.server_info().max_payload
    }

    /// Looks after the stream for as long as anybody takes jobs.
    pub async fn keep(&self) {
        let mut told = None;
        loop {
            let said = self.prepare().await.err().map(|error| error.to_string());
            if said != told {
                match &said {
                    Some(said) => tracing::warn!("jobs wait in the database: {said}"),
                    None => tracing::info!("the queue's NATS is back"),
                }
            }
            metrics::gauge!("pando_jobs_broker_up").set(if said.is_none() { 1.0 } else { 0.0 });
            told = said;
            tokio::time::sleep(Duration::from_millis(JOBS_LINK_MS)).await;
        }
    }

    async fn prepare(&self) -> Result<()> {
        let prepared = self.look().await;
        match &prepared {
            Ok(Some(ready)) => {
                *self.mark.lock() = ready.mark.clone();
                *self.ready.lock() = Some(ready.clone());
            }
            Ok(None) => {}
            Err(_) => *self.ready.lock() = None,
        }
        prepared.map(drop)
    }

    /// What there is, if it is not what is known already.
    async fn look(&self) -> Result<Option<Arc<Ready>>> {
        let unreachable = |error: String| Error::Away(format!("the queue's NATS does not answer: {error}"));
        let wait = Duration::from_millis(NATS_CONNECT_MS);
        match tokio::time::timeout(wait, self.client.flush()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(unreachable(error.to_string())),
            Err(_) => return Err(unreachable(self.broker_hosts())),
        }
        check_version(&self.client.server_info().version)?;
        let context = async_nats::jetstream::new(self.client.clone());
        if let Some(known) = self.ready() {
            let found = context.get_stream(&self.broker.stream).await;
            if found.is_ok_and(|stream| mark(stream.cached_info()) == known.mark) {
                return Ok(None);
            }
        }
        context.query_account().await.map_err(|error| match error.kind() {
            AccountErrorKind::JetStream(_) | AccountErrorKind::JetStreamUnavailable => Error::Refused(
                "the queue's NATS has no JetStream: start it with jetstream { store_dir: …, sync_interval: always }"
                    .into(),
            ),
            _ => unreachable(error.to_string()),
        })?;
        let made = context.create_or_update_stream(self.stream()).await;
        let info = made.map_err(|error| unreachable(format!("no stream: {error}")))?;
        let stream = context.get_stream_no_info(&self.broker.stream).await;
        let stream = stream.map_err(|error| unreachable(error.to_string()))?;
        let mut consumers = Vec::with_capacity(self.queues.len());
        for queue in &self.queues {
            let config = pull::Config {
                durable_name: Some(queue.to_string()),
                ack_policy: AckPolicy::Explicit,
                ack_wait: Duration::from_millis(JOB_LEASE_MS),
                max_ack_pending: JOBS_OUTSTANDING_MAX as i64 * 2,
                filter_subject: self.subject(queue),
                ..pull::Config::default()
            };
            let consumer = stream.get_or_create_consumer(queue, config).await;
            consumers.push((
                queue.clone(),
                consumer.map_err(|error| unreachable(format!("no consumer: {error}")))?,
            ));
        }
        let mark = mark(&info);
        Ok(Some(Arc::new(Ready { context, mark, consumers })))
    }

    fn stream(&self) -> stream::Config {
        stream::Config {
            name: self.broker.stream.clone(),
            description: Some("Jobs on their way from the database to who does them.".into()),
            subjects: vec![format!("{}.*", self.broker.stream)],
            retention: RetentionPolicy::WorkQueue,
            storage: StorageType::File,
            discard: DiscardPolicy::New,
            num_replicas: self.broker.replicas,
            duplicate_window: Duration::from_millis(JOBS_DUPLICATES_MS),
            ..stream::Config::default()
        }
    }

    /// The addresses without what may be secret in them.
    fn broker_hosts(&self) -> String {
        let host = |url: &str| url.rsplit_once('@').map_or(url, |(_, host)| host).trim().to_owned();
        self.broker.url.split(',').map(host).collect::<Vec<_>>().join(", ")
    }
}

fn mark(info: &stream::Info) -> Name {
    format!("{MARK}{}", info.created.unix_timestamp_nanos()).into()
}

fn check_version(version: &str) -> Result<()> {
    let mut numbers = version.split(['.', '-']).map(|number| number.parse::<u64>().unwrap_or(0));
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if found >= OLDEST {
        return Ok(());
    }
    let (major, minor) = OLDEST;
    Err(Error::Refused(format!(
        "the queue's NATS is version {version}, and {major}.{minor} or later is needed: older ones cannot be told to \
         sync what they store before they answer"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_servers_are_refused() {
        for (version, fits) in
            [("2.9.10", false), ("2.10.0", true), ("2.15.1", true), ("3.0.0-RC.1", true), ("", false)]
        {
            assert_eq!(check_version(version).is_ok(), fits, "{version}");
        }
    }
}
