//! What is counted of queues. Streams are few: superusers define them.

use base::limits::QUEUE_SAMPLED_MAX;
use metrics::{counter, gauge};

use super::stats::{of_group, sampled};
use crate::error::Result;
use crate::parts::Parts;

fn named(stream: &str) -> [(&'static str, String); 1] {
    [("stream", stream.to_owned())]
}

pub fn published(stream: &str, messages: usize) {
    counter!("pando_stream_published_total", &named(stream)).increment(messages as u64);
}

/// Of which some were delivered before.
pub fn delivered(stream: &str, messages: usize, again: usize) {
    counter!("pando_stream_delivered_total", &named(stream)).increment(messages as u64);
    counter!("pando_stream_redelivered_total", &named(stream)).increment(again as u64);
}

pub fn acked(stream: &str, messages: usize) {
    counter!("pando_stream_acked_total", &named(stream)).increment(messages as u64);
}

pub fn dead(stream: &str, messages: usize) {
    counter!("pando_stream_dead_total", &named(stream)).increment(messages as u64);
}

pub fn expired(stream: &str, messages: u64) {
    counter!("pando_stream_expired_total", &named(stream)).increment(messages);
}

/// Sets the gauges of what waits.
pub async fn sample(parts: &Parts) -> Result<()> {
    let streams = parts.queues.streams();
    for (stream, group) in sampled(&streams.all, QUEUE_SAMPLED_MAX) {
        let stats = of_group(parts, group).await?;
        let labels = [("stream", stream.name.clone()), ("group", group.name.clone())];
        gauge!("pando_stream_waiting", &labels).set(stats.waiting as f64);
        gauge!("pando_stream_in_flight", &labels).set(stats.in_flight as f64);
        gauge!("pando_stream_dead", &labels).set(stats.dead as f64);
        gauge!("pando_stream_oldest_seconds", &labels).set(stats.oldest_ms as f64 / 1e3);
    }
    Ok(())
}
