//! Gauges that nobody keeps up to date while nobody looks: set when the metrics are read.

use metrics::gauge;

use crate::insights;
use crate::jobs;
use crate::parts::Parts;
use crate::queues;
use crate::webhooks;

/// All of them.
pub async fn sample(parts: &Parts) {
    sample_own(parts);
    sample_all(parts).await;
}

/// What this process knows by itself. Asks nobody.
pub fn sample_own(parts: &Parts) {
    parts.store.sample();
    parts.logs.sample();
    parts.records.sample();
    parts.answers.sample();
    parts.realtime.sample();
    let schema = parts.catalog.schema();
    gauge!("pando_collections").set(schema.collections.len() as f64);
    gauge!("pando_schema_version").set(schema.version as f64);
}

/// Asks the database for what it alone knows, of all processes together; what cannot be asked keeps its last value.
pub async fn sample_all(parts: &Parts) {
    if let Err(error) = queues::sample(parts).await {
        tracing::debug!(details = error.details, "queues cannot be counted: {error}");
    }
    if let Err(error) = webhooks::sample(parts).await {
        tracing::debug!(details = error.details, "deliveries cannot be counted: {error}");
    }
    if let Err(error) = insights::sample(parts).await {
        tracing::debug!(details = error.details, "accounts cannot be counted: {error}");
    }
    match jobs::backlog(parts).await {
        Ok(backlog) => {
            for (kind, count) in &backlog.due {
                gauge!("pando_jobs_due", "kind" => *kind).set(*count as f64);
            }
            gauge!("pando_jobs_dead").set(backlog.dead as f64);
            gauge!("pando_jobs_oldest_due_seconds").set(backlog.oldest_ms() as f64 / 1e3);
            for depth in &backlog.queues {
                gauge!("pando_jobs_queue_due", "queue" => depth.queue).set(depth.due as f64);
                gauge!("pando_jobs_queue_later", "queue" => depth.queue).set(depth.later as f64);
                gauge!("pando_jobs_queue_oldest_due_seconds", "queue" => depth.queue)
                    .set(depth.oldest_ms as f64 / 1e3);
            }
        }
        Err(error) => tracing::debug!(details = error.details, "jobs cannot be counted: {error}"),
    }
}
