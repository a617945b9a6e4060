//! Gauges that nobody keeps up to date while nobody looks: set when the metrics are read.

use metrics::gauge;

use crate::jobs;
use crate::parts::Parts;

/// Asks the database for what it alone knows; what cannot be asked keeps its last value.
pub async fn sample(parts: &Parts) {
    parts.store.sample();
    parts.logs.sample();
    parts.records.sample();
    parts.answers.sample();
    parts.realtime.sample();
    let schema = parts.catalog.schema();
    gauge!("pando_collections").set(schema.collections.len() as f64);
    gauge!("pando_schema_version").set(schema.version as f64);
    match jobs::backlog(parts).await {
        Ok(backlog) => {
            for (kind, count) in backlog.due {
                gauge!("pando_jobs_due", "kind" => kind).set(count as f64);
            }
            gauge!("pando_jobs_dead").set(backlog.dead as f64);
            gauge!("pando_jobs_oldest_due_seconds").set(backlog.oldest_ms as f64 / 1e3);
        }
        Err(error) => tracing::debug!(details = error.details, "jobs cannot be counted: {error}"),
    }
}
