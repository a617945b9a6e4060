//! What is to be done on the primary for all processes: preparing it when it is new, putting replicas in and out.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use base::limits;
use tokio::time::timeout;

use super::hosts::Hosts;
use super::ledger::Moment;
use super::life::Primary;
use crate::error::Result;

const STEP: Duration = Duration::from_millis(limits::REPLICA_CHORES_MS);

/// Never returns.
pub async fn serve(hosts: Arc<Hosts>) {
    let mut measured = 0;
    let mut fenced = vec![false; hosts.addresses.len()];
    let mut quorum = None;
    loop {
        let _ = timeout(STEP, hosts.chores.notified()).await;
        warn_of_fenced(&hosts, &mut fenced);
        let (now, primary) = (hosts.now(), hosts.primary.load_full());
        if now > measured + limits::REPLICA_METRICS_MS * 1000 {
            measured = now;
            measure(&hosts, primary.as_deref(), now);
        }
        let Some(primary) = primary else { continue };
        if !primary.ready.load(Ordering::Acquire) {
            if !primary.preparing.swap(true, Ordering::AcqRel) {
                // It may wait for standbys; what else there is to do must not.
                tokio::spawn(prepare(hosts.clone(), primary));
            }
            continue;
        }
        let confirmed = hosts.ledger.lock().quorum();
        if quorum != Some(confirmed) {
            quorum = Some(confirmed);
            if confirmed.confirming == 0 {
                tracing::warn!(
                    "no standby confirms commits: a write that was acknowledged is lost if the primary is; \
                     set synchronous_standby_names"
                );
            }
            primary.preparing.store(true, Ordering::Release);
            tokio::spawn(prepare(hosts.clone(), primary.clone()));
        }
        let decisions = hosts.ledger.lock().decisions(now);
        for decision in decisions {
            let change = primary.life.engine.agree(
                &decision.id,
                decision.before.as_ref(),
                decision.is_in,
                decision.strikes,
            );
            let limit = Duration::from_millis(limits::HOST_GIVE_UP_MS);
            let state = if decision.is_in { "in" } else { "out" };
            match timeout(limit, change).await {
                Ok(Ok(())) => tracing::info!("{} is {state}", decision.id),
                Ok(Err(error)) => tracing::warn!("{} cannot be put {state}: {error}", decision.id),
                Err(_) => tracing::warn!("{} cannot be put {state}: no answer", decision.id),
            }
            hosts.wakes[primary.life.host].notify_one();
        }
    }
}

async fn prepare(hosts: Arc<Hosts>, primary: Arc<Primary>) {
    let result: Result<()> = async {
        if !hosts.bootstrapped.load(Ordering::Acquire) {
            primary.life.engine.bootstrap().await?;
            hosts.bootstrapped.store(true, Ordering::Release);
        }
        primary.life.engine.note_timeline(primary.timeline).await
    }
    .await;
    match result {
        Ok(()) => {
            primary.ready.store(true, Ordering::Release);
            hosts.everywhere.send_modify(|_| {});
        }
        Err(error) if !primary.life.is_over() => {
            tracing::warn!("{} cannot be prepared: {error}", hosts.addresses[primary.life.host].name);
        }
        Err(_) => {}
    }
    primary.preparing.store(false, Ordering::Release);
}

fn warn_of_fenced(hosts: &Hosts, fenced: &mut [bool]) {
    let ledger = hosts.ledger.lock();
    for (host, before) in fenced.iter_mut().enumerate() {
        let now = ledger.is_fenced(host);
        let name = &hosts.addresses[host].name;
        if now && !*before {
            tracing::warn!(
                "{name} takes writes on a timeline that has ended (now {}): it is left alone until it follows",
                ledger.timeline()
            );
        }
        if now != *before {
            metrics::gauge!("pando_database_fenced", "host" => name.clone()).set(f64::from(u8::from(now)));
        }
        *before = now;
    }
}

fn measure(hosts: &Hosts, primary: Option<&Primary>, now: Moment) {
    let ledger = hosts.ledger.lock();
    metrics::gauge!("pando_database_timeline").set(ledger.timeline() as f64);
    for (host, address) in hosts.addresses.iter().enumerate() {
        let name = || address.name.clone();
        let leads = primary.is_some_and(|primary| primary.life.host == host);
        metrics::gauge!("pando_database_primary", "host" => name()).set(f64::from(u8::from(leads)));
        metrics::gauge!("pando_replica_in", "host" => name()).set(f64::from(u8::from(ledger.is_in(host))));
        if let Some(lag) = ledger.lag(host, now) {
            metrics::gauge!("pando_replica_lag_seconds", "host" => name()).set(lag as f64 / 1e6);
        }
        let reads = hosts.counts.reads[host].load(Ordering::Relaxed);
        metrics::counter!("pando_database_reads_total", "host" => name()).absolute(reads);
        let repeated = hosts.counts.repeated[host].load(Ordering::Relaxed);
        metrics::counter!("pando_database_reads_repeated_total", "host" => name()).absolute(repeated);
    }
}
