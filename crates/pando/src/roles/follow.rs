//! Following what other processes change in the same database.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use app::Parts;
use app::nodes::{self, Seen};
use observe::RequestLog;

/// What the settings want to be kept.
pub fn by_settings(log: &RequestLog, parts: &Parts) {
    log.set_enabled(parts.settings.load().logs.max_days > 0);
    log.set_message_level(parts.insight.load().logs.message_level);
}

/// Looks at once, at short intervals, and when a request waits for it.
pub async fn follow(parts: Arc<Parts>, log: RequestLog, stop: impl Future<Output = ()>) {
    tokio::pin!(stop);
    let mut seen = Seen::at_start(&parts);
    loop {
        let began = Instant::now();
        let looked = nodes::look(&parts, &mut seen).await;
        if let Err(error) = &looked {
            tracing::warn!(details = error.details, "cannot look for changes by other processes: {error}");
        }
        if matches!(looked, Ok(true)) {
            by_settings(&log, &parts);
        }
        parts.nodes.looked(began, looked.is_ok());
        tokio::select! {
            () = &mut stop => return,
            () = tokio::time::sleep(parts.nodes.look_every()) => {}
            () = parts.nodes.wanted() => {}
        }
    }
}
