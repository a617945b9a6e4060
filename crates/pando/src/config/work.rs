//! The keys about jobs: who does them, how they get there, and how many at a time.

use anyhow::{Result, bail};
use backing::queue;
use serde::{Deserialize, Serialize};

use super::Config;
use super::described::described;

described! {
    #[derive(Clone, Debug, Serialize, Deserialize)]
    #[serde(default)]
    pub struct Jobs {
        /// Whether a web node does some of it; otherwise all is left to workers.
        pub run: bool,
    }

    #[derive(Clone, Debug, Serialize, Deserialize)]
    #[serde(default)]
    pub struct Queue {
        /// `embedded`, where the database hands jobs out, or `nats`, where JetStream does.
        pub engine: QueueEngine,
        /// The broker's: `nats://host:port`, several separated by commas; empty for the bus's.
        pub url: String,
        /// Copies that the broker keeps.
        pub replicas: usize,
        /// The broker's stream: one for each database.
        pub stream: String,
    }

    #[derive(Clone, Debug, Default, Serialize, Deserialize)]
    #[serde(default)]
    pub struct Queues {
        /// Jobs that belong to none of the others.
        pub default: Lane,
        /// What is due by schedules.
        pub crons: Lane,
        /// Mails.
        pub mail: Lane,
        /// Files that go, and thumbnails that are made ahead.
        pub files: Lane,
        /// Events that webhooks are told of.
        pub webhooks: Lane,
        /// Imports and exports.
        pub imports: Lane,
    }

    #[derive(Clone, Debug, Serialize, Deserialize)]
    #[serde(default)]
    pub struct Lane {
        /// Jobs that run at a time in one process.
        pub concurrency: usize,
        /// The highest goes first when too many run in all.
        pub priority: i64,
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueueEngine {
    #[default]
    Embedded,
    Nats,
}

impl Default for Jobs {
    fn default() -> Self {
        Jobs { run: true }
    }
}

impl Default for Queue {
    fn default() -> Self {
        Queue { engine: QueueEngine::default(), url: String::new(), replicas: 1, stream: "PANDO_JOBS".into() }
    }
}

impl Default for Lane {
    fn default() -> Self {
        Lane { concurrency: base::limits::JOBS_CONCURRENCY, priority: 0 }
    }
}

impl Config {
    /// Whether jobs go by way of a broker.
    pub fn has_broker(&self) -> bool {
        self.queue.engine == QueueEngine::Nats
    }

    /// How jobs get to who does them.
    pub fn queue_kind(&self) -> Result<queue::Kind> {
        let Queue { engine, url, replicas, stream } = self.queue.clone();
        if engine == QueueEngine::Embedded {
            return Ok(queue::Kind::Embedded);
        }
        let url = if url.is_empty() { self.bus.url.clone() } else { url };
        if url.is_empty() {
            bail!("queue.engine = \"nats\" needs queue.url or bus.url, such as nats://127.0.0.1:4222");
        }
        if !(1..=5).contains(&replicas) {
            bail!("queue.replicas is 1 to 5, of an odd number of servers");
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if stream.is_empty() || !stream.bytes().all(plain) {
            bail!("queue.stream is a name of letters, digits, - and _");
        }
        Ok(queue::Kind::Nats(queue::Broker { url, replicas, stream }))
    }

    /// The queues as this process serves them.
    pub fn lanes(&self) -> Result<Vec<app::jobs::Lane>> {
        let Queues { default, crons, mail, files, webhooks, imports } = &self.queues;
        let lanes = [default, crons, mail, files, webhooks, imports];
        let most = base::limits::JOBS_CONCURRENCY_MAX;
        let lane = |(name, lane): (&str, &Lane)| match lane.concurrency {
            0 => bail!("queues.{name}.concurrency must be at least 1"),
            many if many > most => bail!("queues.{name}.concurrency must be at most {most}"),
            concurrency => Ok(app::jobs::Lane { name: name.into(), concurrency, priority: lane.priority }),
        };
        app::jobs::QUEUES.into_iter().zip(lanes).map(lane).collect()
    }
}
