//! What is counted of jobs. They are few enough that each looks its handles up.

use std::time::Instant;

/// A job that runs in this process.
pub struct Running {
    kind: &'static str,
    at: Instant,
}

impl Running {
    pub fn begin(kind: &'static str) -> Self {
        metrics::gauge!("pando_jobs_running", "kind" => kind).increment(1.0);
        Running { kind, at: Instant::now() }
    }

    /// `done`, `failed` (and tried again) or `dead` (and given up).
    pub fn end(self, outcome: &'static str) {
        metrics::counter!("pando_jobs_total", "kind" => self.kind, "outcome" => outcome).increment(1);
        let duration = metrics::histogram!("pando_job_duration_seconds", "kind" => self.kind);
        duration.record(self.at.elapsed().as_secs_f64());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        metrics::gauge!("pando_jobs_running", "kind" => self.kind).decrement(1.0);
    }
}
