//! The figures that the whole program keeps through the facade `metrics`, and their text for Prometheus.

mod described;
mod process;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use base::limits::{LOOP_LAG_MS, METRICS_SAMPLE_MS, METRICS_UPKEEP_MS};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use parking_lot::Mutex;
use tokio::time::Instant;

pub use described::{Described, all, document};

/// Sets gauges that nobody keeps up to date while nobody looks.
pub type Sampler = Box<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// What is kept, to be read.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    exporter: PrometheusHandle,
    sampler: Mutex<Option<Arc<Sampler>>>,
    sampled: tokio::sync::Mutex<Option<Instant>>,
}

/// Begins to keep figures: handles that are made from now on count. Once in a process.
pub fn install() -> Result<Metrics, String> {
    let mut builder = PrometheusBuilder::new();
    for metric in described::all() {
        if let Described { name, kind: described::Kind::Histogram(buckets), .. } = metric {
            builder = builder
                .set_buckets_for_metric(Matcher::Full((*name).to_owned()), buckets)
                .map_err(|error| error.to_string())?;
        }
    }
    let recorder = builder.build_recorder();
    let exporter = recorder.handle();
    ::metrics::set_global_recorder(recorder).map_err(|error| error.to_string())?;
    described::describe();
    Ok(Metrics(Arc::new(Inner { exporter, sampler: Mutex::default(), sampled: Default::default() })))
}

impl Metrics {
    /// What is asked before each reading, instead of the one before.
    pub fn set_sampler(&self, sampler: Sampler) {
        *self.0.sampler.lock() = Some(Arc::new(sampler));
    }

    /// Everything, in Prometheus' text format (version 0.0.4).
    pub async fn render(&self) -> String {
        let inner = self.0.clone();
        // A task of its own, so that who asks and goes away leaves nothing half done.
        let sampled = tokio::spawn(async move { inner.sample().await }).await;
        if let Err(error) = sampled {
            tracing::warn!(%error, "figures could not be sampled");
        }
        self.read()
    }

    /// The same without asking anybody first.
    pub fn read(&self) -> String {
        let mut text = self.0.exporter.render();
        process::write(&mut text);
        text
    }

    /// Keeps the lag of the event loop, and what histograms hold small. Never ends.
    pub async fn run(self) {
        let lag = ::metrics::histogram!("pando_event_loop_lag_seconds");
        let wait = Duration::from_millis(LOOP_LAG_MS);
        let mut tidied = Instant::now();
        loop {
            let due = Instant::now() + wait;
            tokio::time::sleep_until(due).await;
            lag.record(due.elapsed().as_secs_f64());
            if tidied.elapsed() > Duration::from_millis(METRICS_UPKEEP_MS) {
                tidied = Instant::now();
                self.0.exporter.run_upkeep();
            }
        }
    }
}

impl Inner {
    async fn sample(&self) {
        let fresh = Duration::from_millis(METRICS_SAMPLE_MS);
        let mut sampled = self.sampled.lock().await;
        if sampled.is_some_and(|at| at.elapsed() < fresh) {
            return;
        }
        let sampler = self.sampler.lock().clone();
        if let Some(sampler) = sampler
            && tokio::time::timeout(fresh, sampler()).await.is_err()
        {
            tracing::warn!("figures could not be sampled in time");
        }
        let runtime = tokio::runtime::Handle::current().metrics();
        ::metrics::gauge!("pando_runtime_threads").set(runtime.num_workers() as f64);
        ::metrics::gauge!("pando_runtime_tasks").set(runtime.num_alive_tasks() as f64);
        ::metrics::gauge!("pando_runtime_queue").set(runtime.global_queue_depth() as f64);
        *sampled = Some(Instant::now());
    }
}
