//! Whether this process can serve. Looked at when somebody asks, but seldom enough that a flood of questions is no load
//! on what is looked at.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base::limits::{HEALTH_CACHE_MS, HEALTH_CHECK_MS};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// The error is for the process's own messages: whoever asks whether it can serve may be anybody.
type Outcome = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// One thing that serving needs.
pub struct Check {
    pub name: &'static str,
    look: Box<dyn Fn() -> Outcome + Send + Sync>,
}

impl Check {
    pub fn new<F>(name: &'static str, look: impl Fn() -> F + Send + Sync + 'static) -> Check
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        Check { name, look: Box::new(move || Box::pin(look())) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Ok,
    Failed,
    /// No outcome within [`HEALTH_CHECK_MS`].
    Silent,
}

impl fmt::Display for State {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            State::Ok => "ok",
            State::Failed => "failed",
            State::Silent => "silent",
        })
    }
}

/// Every check by its name, and that of the stop.
pub type Report = Arc<[(&'static str, State)]>;

/// Shared by all who ask.
#[derive(Clone)]
pub struct Health(Arc<Inner>);

struct Inner {
    checks: Vec<Check>,
    stopping: AtomicBool,
    last: Mutex<Option<(Instant, Report)>>,
    fresh: Duration,
    wait: Duration,
}

impl Health {
    pub fn new(checks: Vec<Check>) -> Self {
        Health::within(checks, Duration::from_millis(HEALTH_CACHE_MS), Duration::from_millis(HEALTH_CHECK_MS))
    }

    /// What is found is told for `fresh`; what is silent for `wait` has failed.
    fn within(checks: Vec<Check>, fresh: Duration, wait: Duration) -> Self {
        let (stopping, last) = (AtomicBool::new(false), Mutex::default());
        Health(Arc::new(Inner { checks, stopping, last, fresh, wait }))
    }

    /// From now on this process is not ready, so that nobody sends it more.
    pub fn stop(&self) {
        self.0.stopping.store(true, Ordering::Release);
    }

    pub async fn report(&self) -> Report {
        if self.0.stopping.load(Ordering::Acquire) {
            return Arc::new([("stopping", State::Failed)]);
        }
        let inner = self.0.clone();
        // A task of its own: who asks and goes away must not make the next one begin anew.
        let looked = tokio::spawn(async move { inner.report().await }).await;
        looked.unwrap_or_else(|_| Arc::new([("checks", State::Failed)]))
    }
}

impl Inner {
    async fn report(&self) -> Report {
        let mut last = self.last.lock().await;
        if let Some((_, report)) = last.as_ref().filter(|(at, _)| at.elapsed() < self.fresh) {
            return report.clone();
        }
        let until = Instant::now() + self.wait;
        // All begin at once, so that one that is silent does not take the others' time.
        let looks: Vec<_> = self.checks.iter().map(|check| tokio::spawn((check.look)())).collect();
        let mut report = Vec::with_capacity(looks.len());
        for (check, look) in self.checks.iter().zip(looks) {
            let abort = look.abort_handle();
            let (state, why) = match tokio::time::timeout_at(until, look).await {
                Ok(Ok(Ok(()))) => (State::Ok, String::new()),
                Ok(Ok(Err(why))) => (State::Failed, why),
                Ok(Err(error)) => (State::Failed, error.to_string()),
                Err(_) => {
                    abort.abort();
                    (State::Silent, format!("no answer within {:?}", self.wait))
                }
            };
            let before = last.as_ref().and_then(|(_, report)| state_of(report, check.name));
            match (before.unwrap_or(State::Ok), state) {
                (State::Ok, State::Ok) => {}
                (_, State::Ok) => tracing::info!(check = check.name, "ready again"),
                (State::Ok, _) => tracing::warn!(check = check.name, "not ready: {why}"),
                _ => {}
            }
            report.push((check.name, state));
        }
        let report: Report = report.into();
        *last = Some((Instant::now(), report.clone()));
        report
    }
}

fn state_of(report: &Report, name: &str) -> Option<State> {
    report.iter().find(|(known, _)| *known == name).map(|(_, state)| *state)
}

/// Whether nothing is wrong.
pub fn is_ready(report: &Report) -> bool {
    report.iter().all(|(_, state)| *state == State::Ok)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn a_flood_looks_once() {
        let looks = Arc::new(AtomicUsize::new(0));
        let seen = looks.clone();
        let check = Check::new("database", move || {
            seen.fetch_add(1, Ordering::Relaxed);
            async {
                tokio::task::yield_now().await;
                Ok(())
            }
        });
        let health = Health::within(vec![check], LONG, LONG);
        let ask = || {
            let health = health.clone();
            tokio::spawn(async move { is_ready(&health.report().await) })
        };
        let asked: Vec<_> = std::iter::repeat_with(ask).take(100).collect();
        for answer in asked {
            assert!(answer.await.unwrap());
        }
        assert_eq!(looks.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn silence_and_panics_are_told_apart() {
        let checks = vec![
            Check::new("fine", || async { Ok(()) }),
            Check::new("broken", || async { panic!("as planned") }),
            Check::new("silent", std::future::pending),
        ];
        let health = Health::within(checks, Duration::ZERO, Duration::from_millis(500));
        let expected = [("fine", State::Ok), ("broken", State::Failed), ("silent", State::Silent)];
        assert_eq!(&*health.report().await, expected);
        health.stop();
        assert_eq!(&*health.report().await, [("stopping", State::Failed)]);
    }
}
