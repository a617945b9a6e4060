//! The process looks at its own figures every few seconds, and writes them where every process finds them.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base::Timestamp;
use base::limits::{PULSE_MS, PULSE_WRITE_MS};
use observe::Host;
use observe::pulse::{Block, Reading};
use query::{Batch, Op};
use serde_json::json;

use super::watch::Watch;
use super::{PULSES, events, history, present};
use crate::error::Result;
use crate::figures;
use crate::parts::Parts;

/// Until `stop` completes. The host is that of the process.
pub async fn run(parts: Arc<Parts>, mut host: Host, stop: impl Future<Output = ()>) {
    tokio::pin!(stop);
    let system = &parts.system;
    let life = parts.nodes.id().to_string();
    let own = json!({"role": system.own.role, "name": system.own.name, "version": env!("CARGO_PKG_VERSION")});
    let mut watch = Watch::default();
    host.sample();
    tick(&parts, &mut host, &mut watch).await;
    events::tell_once(&parts, &format!("came:{life}"), events::NODE_CAME, &system.own.key, own.clone()).await;
    loop {
        tokio::select! {
            () = &mut stop => break,
            () = tokio::time::sleep(rest(parts.clock.now())) => {}
        }
        tick(&parts, &mut host, &mut watch).await;
    }
    if let Err(error) = write(&parts, true).await {
        tracing::debug!(details = error.details, "the last figures were not written: {error}");
    }
    if parts.store.shared().is_some() {
        let gone = Op::Delete { table: PULSES.into(), id: system.own.key.as_str().into(), row: None };
        let gone = system.store.commit(Batch::op(gone));
        let _ = tokio::time::timeout(Duration::from_millis(PULSE_WRITE_MS), gone).await;
    }
    events::tell_once(&parts, &format!("left:{life}"), events::NODE_LEFT, &system.own.key, own).await;
}

/// Until the next step begins. All processes look at the same moments, so that their points lie on one another.
fn rest(now: Timestamp) -> Duration {
    let step = PULSE_MS as i64;
    Duration::from_millis((step - now.0.rem_euclid(step)) as u64)
}

async fn tick(parts: &Arc<Parts>, host: &mut Host, watch: &mut Watch) {
    host.sample();
    figures::sample_own(parts);
    watch.tick(parts).await;
    {
        let reading = Reading::of(&parts.system.read());
        parts.system.ring.lock().push(parts.clock.now().seconds(), Instant::now(), &reading);
    }
    let written = tokio::time::timeout(Duration::from_millis(PULSE_WRITE_MS), write(parts, false));
    match written.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(details = error.details, "figures were not written: {error}"),
        Err(_) => tracing::debug!("figures were not written in time"),
    }
}

/// A process whose database is its own writes once in a minute; others want to see the newest of one that is not alone.
async fn write(parts: &Parts, all: bool) -> Result<()> {
    let system = &parts.system;
    let shared = parts.store.shared().is_some();
    let (blocks, mark) = system.ring.lock().unstored(all || shared);
    let row = |block: &Block| history::row(&system.own.key, block.step_s, block.start_s, block.text());
    let mut ops: Vec<Op> = blocks.iter().flat_map(row).collect();
    if shared {
        ops.extend(present::row(&present::own(parts)));
    }
    if !ops.is_empty() {
        system.store.commit(Batch { ops, ..Batch::default() }).await?;
        system.ring.lock().stored(mark);
    }
    Ok(())
}
