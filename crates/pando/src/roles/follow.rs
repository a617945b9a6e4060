//! Following what other processes change in the same database.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use app::Parts;
use base::limits::FOREIGN_CHANGES_MS;
use observe::RequestLog;

/// Looks for what other processes changed in the same database.
pub async fn follow(parts: Arc<Parts>, log: RequestLog, stop: impl Future<Output = ()>) {
    tokio::pin!(stop);
    // What was read at the start, rather than what is there by now: a change in between must not be missed.
    let mut seen = (parts.catalog.schema().version, 0);
    loop {
        tokio::select! {
            () = &mut stop => return,
            () = tokio::time::sleep(Duration::from_millis(FOREIGN_CHANGES_MS)) => {}
        }
        let version = match foreign_version(&parts).await {
            Ok(version) => version,
            Err(error) => {
                tracing::warn!(%error, "cannot look for changes by other processes");
                continue;
            }
        };
        if version == seen {
            continue;
        }
        // Caches go first: what is read from here on is the new state.
        parts.stamps.expire_all();
        match app::setup::refresh(&parts).await {
            Ok(()) => {
                resync(&parts, seen, version).await;
                seen = version;
            }
            Err(error) => tracing::warn!(%error, "cannot read changes by other processes"),
        }
        log.set_enabled(parts.settings.load().logs.max_days > 0);
    }
}

/// Realtime clients missed what another process wrote; a change of the schema alone may have changed who they are.
async fn resync(parts: &Parts, seen: (u64, u64), now: (u64, u64)) {
    if seen.1 != now.1 {
        return parts.realtime.resync();
    }
    if let Err(error) = app::realtime::standing::recheck(parts).await {
        tracing::warn!(%error, "cannot look realtime callers up");
    }
}

/// Moves whenever another process changed the schema, or wrote to a database that is otherwise ours alone.
async fn foreign_version(parts: &Parts) -> store::Result<(u64, u64)> {
    Ok((parts.store.schema_version().await?, parts.store.external_version()))
}
