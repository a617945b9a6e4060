//! JetStream without anybody else: a stream like the queue's, published to with acknowledgements, pulled from, and
//! acknowledged.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{Config, RetentionPolicy, StorageType};
use futures_util::StreamExt;
use testkit::nats::Nats;

use super::{CALL, quantiles};

/// Messages that are published before their acknowledgements are awaited, and that are asked for at a time.
const TOGETHER: usize = 256;

pub struct Raw {
    pub rate: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
}

pub fn measure(messages: usize, timed: usize) -> Result<Raw> {
    let dir = tempfile::TempDir::with_prefix("pando-stream-")?;
    let nats = Nats::start(&dir.path().join("nats"))?;
    tokio::runtime::Runtime::new()?.block_on(all(nats.url(), messages, timed))
}

async fn all(url: String, messages: usize, timed: usize) -> Result<Raw> {
    let context = async_nats::jetstream::new(async_nats::connect(url).await?);
    let config = Config {
        name: "BENCH".into(),
        subjects: vec!["BENCH.*".into()],
        retention: RetentionPolicy::WorkQueue,
        storage: StorageType::File,
        duplicate_window: Duration::from_secs(120),
        ..Config::default()
    };
    let stream = context.create_stream(config).await?;
    let config = pull::Config {
        durable_name: Some("bench".into()),
        ack_policy: AckPolicy::Explicit,
        max_ack_pending: 10_000,
        ..pull::Config::default()
    };
    let consumer: PullConsumer = stream.create_consumer(config).await?;
    let message = |id: usize| {
        PublishMessage::build().message_id(format!("m{id}")).payload(CALL.as_bytes().to_vec().into())
    };

    let mut times = Vec::with_capacity(timed);
    let mut pulled = consumer.messages().await?;
    for id in 0..timed {
        let began = Instant::now();
        context.send_publish("BENCH.jobs", message(id)).await?.await?;
        let got = pulled.next().await.context("no message")??;
        times.push(began.elapsed().as_secs_f64() * 1e3);
        got.ack().await.map_err(|error| anyhow::anyhow!("{error}"))?;
    }
    drop(pulled);
    let (p50_ms, p99_ms) = quantiles(times);

    let began = Instant::now();
    let publishing = tokio::spawn(async move {
        for first in (0..messages).step_by(TOGETHER) {
            let mut acks = Vec::with_capacity(TOGETHER);
            for id in first..messages.min(first + TOGETHER) {
                acks.push(context.send_publish("BENCH.jobs", message(timed + id)).await?);
            }
            for ack in acks {
                ack.await?;
            }
        }
        anyhow::Ok(())
    });
    let mut pulled = consumer.stream().max_messages_per_batch(TOGETHER).messages().await?;
    for _ in 0..messages {
        let got = pulled.next().await.context("no message")??;
        got.ack().await.map_err(|error| anyhow::anyhow!("{error}"))?;
    }
    publishing.await??;
    Ok(Raw { rate: messages as f64 / began.elapsed().as_secs_f64(), p50_ms, p99_ms })
}
