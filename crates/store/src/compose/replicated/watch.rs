//! Asks one host again and again what it is and how far it has come, on a connection of its own.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use base::limits;
use tokio::time::{sleep, sleep_until, timeout};

use super::hosts::{Hosts, since};
use super::life::Life;
use crate::engine::postgres::{Probe, Role};
use crate::error::{Error, Result};

/// Never returns; each host has a task of its own, so that none waits for another.
pub async fn host(hosts: Arc<Hosts>, host: usize) {
    let mut wait = limits::HOST_RETRY_MS;
    let mut said = String::new();
    loop {
        let error = match connected(&hosts, host).await {
            Ok((probe, life)) => {
                if !said.is_empty() {
                    tracing::info!("{} can be reached again", hosts.addresses[host].name);
                    said.clear();
                }
                let error = ask(&hosts, probe, &life).await;
                hosts.lost(&life);
                wait = limits::HOST_RETRY_MS;
                error
            }
            Err(error) => {
                hosts.silent(host);
                error
            }
        };
        let text = error.to_string();
        if text != said {
            tracing::warn!("{}: {text}", hosts.addresses[host].name);
            said = text;
            hosts.problems.lock()[host] = Some(error);
        }
        sleep(Duration::from_millis(wait)).await;
        wait = (wait * 2).min(limits::HOST_RETRY_MS_MAX);
    }
}

async fn connected(hosts: &Arc<Hosts>, host: usize) -> Result<(Probe, Arc<Life>)> {
    let probe = Probe::open(&hosts.addresses[host]).await?;
    let began = hosts.began();
    let life = Life::begin(host, &hosts.addresses[host], move || since(began), hosts.wakes[host].clone())?;
    let life = Arc::new(life);
    hosts.connected(&life);
    Ok((probe, life))
}

/// Until the host has not answered for long, or its connection broke.
async fn ask(hosts: &Arc<Hosts>, mut probe: Probe, life: &Arc<Life>) -> Error {
    let silent = Duration::from_millis(limits::REPLICA_SILENT_MS);
    let mut refused = 0;
    loop {
        let sent = hosts.now();
        let asked = tokio::time::Instant::now();
        let mut question = pin!(probe.ask());
        let answer = loop {
            match timeout(silent, &mut question).await {
                Ok(answer) => break answer,
                Err(_) => hosts.silent(life.host),
            }
            if asked.elapsed() >= Duration::from_millis(limits::HOST_GIVE_UP_MS) {
                break Err(Error::Away("no answer in time".into()));
            }
        };
        let sight = match answer {
            Ok(sight) => sight,
            // The question was in the way of what is replayed: the host lives, and the next one may go through.
            Err(Error::Unavailable(_)) if refused < limits::HOST_REFUSALS_MAX => {
                refused += 1;
                hosts.silent(life.host);
                sleep(hosts.pace(hosts.now())).await;
                continue;
            }
            Err(error) => return error,
        };
        refused = 0;
        let (schema, leads) = (sight.schema, matches!(sight.role, Role::Primary { .. }));
        hosts.heard(life, sent, sight);
        if life.schema.swap(schema, Ordering::Relaxed) != schema {
            let life = life.clone();
            tokio::spawn(async move {
                if life.engine.follow_schema(schema).await.is_err() {
                    life.schema.store(0, Ordering::Relaxed);
                }
            });
        }
        if leads && hosts.waiting.load(Ordering::Relaxed) > 0 {
            // There is a new position to wait for.
            hosts
                .wakes
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != life.host)
                .for_each(|(_, wake)| wake.notify_one());
        }
        tokio::select! {
            () = sleep_until(asked + hosts.pace(hosts.now())) => {}
            () = hosts.wakes[life.host].notified() => {
                sleep_until(asked + Duration::from_millis(limits::REPLICA_POLL_MS_MIN)).await;
            }
        }
    }
}
