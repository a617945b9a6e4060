//! Makes due deliveries, in as many processes as like to. A delivery is held by lease: its time is moved into the
//! future when it is taken, so that one whose holder died is due again by itself. No receiver holds up the others: each
//! webhook has so many at a time and one that fails has one.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use base::limits::{
    JOBS_DRAIN_MS, WEBHOOK_LEASE_MS, WEBHOOK_POLL_MS, WEBHOOK_RUNNING_EACH_MAX, WEBHOOK_RUNNING_MAX,
};
use base::{Name, Value};
use observe::RequestId;
use parking_lot::Mutex;
use query::select::SortKey;
use query::{Assign, Batch, Column, ColumnType, Expr, Guard, Op, Operand, Operator, Row, Select, Sort};
use rustc_hash::FxHashMap;
use tokio::task::JoinSet;

use super::DELIVERIES;
use super::attempt::{self, Taken};
use super::log::{State, in_state, is, number};
use super::test;
use crate::error::Result;
use crate::parts::Parts;

/// How many deliveries of each webhook are being made.
#[derive(Clone, Default)]
struct Running(Arc<Mutex<FxHashMap<Name, usize>>>);

impl Running {
    fn of(&self, webhook: &Name) -> usize {
        self.0.lock().get(webhook).copied().unwrap_or_default()
    }

    fn begin(&self, webhook: &Name) -> Slot {
        *self.0.lock().entry(webhook.clone()).or_default() += 1;
        Slot { running: self.clone(), webhook: webhook.clone() }
    }
}

/// One that is being made, until it is dropped.
struct Slot {
    running: Running,
    webhook: Name,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut running = self.running.0.lock();
        if let Some(count) = running.get_mut(&self.webhook) {
            *count -= 1;
            if *count == 0 {
                running.remove(&self.webhook);
            }
        }
    }
}

/// Runs until `stop` completes. What is being sent then may still end; what does not is sent again by whoever finds its
/// lease over. Without webhooks nothing is asked of the database.
pub async fn run(parts: Arc<Parts>, stop: impl Future<Output = ()>) {
    tokio::pin!(stop);
    let (mut tasks, running) = (JoinSet::new(), Running::default());
    loop {
        let enabled = parts.webhooks.enabled();
        if !enabled.is_empty() && tasks.len() < WEBHOOK_RUNNING_MAX {
            match take(&parts, &running, &enabled, WEBHOOK_RUNNING_MAX - tasks.len()).await {
                Ok(taken) => {
                    let took = !taken.is_empty();
                    for (taken, slot, request) in taken {
                        let made = make(parts.clone(), taken, slot);
                        tasks.spawn(observe::request_id::carried(request, made));
                    }
                    if took {
                        // There may be more.
                        continue;
                    }
                }
                Err(error) => {
                    tracing::warn!(details = error.details, "cannot look for deliveries: {error}");
                }
            }
        }
        let pause = async {
            match enabled.is_empty() {
                true => std::future::pending().await,
                false => tokio::time::sleep(Duration::from_millis(WEBHOOK_POLL_MS)).await,
            }
        };
        tokio::select! {
            () = &mut stop => break,
            _ = tasks.join_next(), if !tasks.is_empty() => {}
            () = parts.webhooks.0.wake.notified() => {}
            () = pause => {}
        }
    }
    let all = async { while tasks.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(Duration::from_millis(JOBS_DRAIN_MS), all).await;
}

async fn make(parts: Arc<Parts>, taken: Taken, slot: Slot) {
    match attempt::attempt(&parts, &taken).await {
        Ok(true) => drop(parts.webhooks.0.failing.write().remove(&taken.webhook)),
        Ok(false) => drop(parts.webhooks.0.failing.write().insert(taken.webhook.clone())),
        Err(error) => {
            let (delivery, details) = (&*taken.id, error.details.as_deref());
            tracing::warn!(delivery, details, "a delivery may be made again: {error}");
        }
    }
    drop(slot);
}

fn room(parts: &Parts, running: &Running, webhook: &Name) -> bool {
    let most = match parts.webhooks.0.failing.read().contains(webhook) {
        true => 1,
        false => WEBHOOK_RUNNING_EACH_MAX,
    };
    running.of(webhook) < most
}

/// Takes due deliveries of webhooks that have room, the longest due first.
async fn take(
    parts: &Parts,
    running: &Running,
    enabled: &[Name],
    most: usize,
) -> Result<Vec<(Taken, Slot, Option<RequestId>)>> {
    let free: Vec<Value> = enabled
        .iter()
        .filter(|webhook| room(parts, running, webhook))
        .map(|webhook| Value::from(&**webhook))
        .collect();
    if free.is_empty() {
        return Ok(Vec::new());
    }
    let now = parts.clock.now().0;
    let next = Operand::base("next", ColumnType::Number);
    let mut select = in_state(State::Pending)
        .filter(Expr::In { left: Operand::base("webhook", ColumnType::Text), values: free })
        .filter(Expr::Compare { left: next.clone(), op: Operator::Le, right: number(now).into() })
        .limit(most as u64);
    let columns = [
        ("webhook", ColumnType::Text),
        ("event", ColumnType::Text),
        ("request", ColumnType::Text),
        ("attempts", ColumnType::Number),
        ("next", ColumnType::Number),
        ("body", ColumnType::Text),
        ("type", ColumnType::Text),
    ];
    select.columns.extend(columns.map(|(name, ty)| Column::new(name, ty)));
    select.sort = vec![Sort { by: SortKey::Operand(next), descending: false }];
    let mut taken = Vec::new();
    for row in parts.store.select(&select).await? {
        let webhook: Name = row.get(1).text_or_empty().into();
        if !room(parts, running, &webhook) {
            continue;
        }
        let slot = running.begin(&webhook);
        let request = RequestId::read(row.get(3).text_or_empty().as_bytes());
        match claim(parts, &row, webhook, now).await {
            Ok(Some(held)) => taken.push((held, slot, request)),
            Ok(None) => {}
            Err(error) if taken.is_empty() => return Err(error),
            // Those that are held are made.
            Err(_) => break,
        }
    }
    Ok(taken)
}

/// Makes the delivery this process's; `None` when another one was faster.
async fn claim(parts: &Parts, row: &Row, webhook: Name, now: i64) -> Result<Option<Taken>> {
    let id: Name = row.get(0).text_or_empty().into();
    let as_seen = Select::by_ids(DELIVERIES, Vec::new(), vec![id.clone()])
        .filter(is("state", State::Pending.name()))
        .filter(Expr::eq(Operand::base("next", ColumnType::Number), row.get(5).clone()));
    let holder: Name = base::id::record().into();
    let set = vec![
        ("next".into(), Assign::Set(number(now + WEBHOOK_LEASE_MS))),
        ("attempts".into(), Assign::Add(1.0)),
        ("holder".into(), Assign::Set(Value::from(&*holder))),
    ];
    let ops = vec![Op::Update { table: DELIVERIES.into(), id: id.clone(), set }];
    match parts.store.commit(Batch { guards: vec![Guard::Exists(as_seen)], ops, ..Batch::default() }).await {
        Ok(_) => Ok(Some(Taken {
            id,
            webhook,
            event: row.get(2).text_or_empty().into(),
            body: row.get(6).text_or_empty().into(),
            attempts: row.get(4).as_number() as u32 + 1,
            holder,
            // A trial whose caller went away.
            once: row.get(7).text_or_empty() == test::KIND,
        })),
        Err(store::Error::Guard(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
