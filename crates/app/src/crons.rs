//! What runs by the clock. A due schedule becomes a job, in the same batch that notes the minute, so that it runs once
//! for each minute in however many processes, and is tried again when it fails. Minutes in which no process was
//! running are not made up for.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use backing::fetch::{Body, Call, Reach};
use base::{Kind, Schedule, Timestamp, Value};
use metrics::gauge;
use query::{Assign, Batch, Column, ColumnType, Guard, Op, Select};

use crate::audit;
use crate::auth;
use crate::backups;
use crate::error::{Error, Result};
use crate::exchange;
use crate::files;
use crate::jobs::{self, Work};
use crate::parts::Parts;
use crate::queues;
use crate::webhooks;

const META: &str = "_pando_meta";
const MINUTE_MS: i64 = 60_000;
/// How far clocks of two processes may differ before one takes the other's minutes for a clock that was set back.
const SKEW_MINUTES: i64 = 10;

const OPTIMIZE: &str = "__pbDBOptimize__";
const CLEAN_MFAS: &str = "__pbMFACleanup__";
const CLEAN_OTPS: &str = "__pbOTPCleanup__";
const CLEAN_LOGS: &str = "__pbLogsCleanup__";
const BACKUP: &str = "__pbAutoBackup__";
const SWEEP_JOBS: &str = "__pandoJobsCleanup__";
const SWEEP_FILES: &str = "__pandoFilesCleanup__";
pub(crate) const SWEEP_QUEUES: &str = "__pandoQueuesCleanup__";
const SWEEP_DELIVERIES: &str = "__pandoDeliveriesCleanup__";

#[derive(Clone, Debug, PartialEq)]
pub struct Cron {
    pub id: String,
    pub expression: String,
}

/// A schedule of the configuration: at its times an address is called.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnCron {
    pub id: String,
    pub expression: String,
    pub url: String,
}

/// Schedules that the configuration names. What is wrong with the first bad one is told.
pub fn check_own(crons: &[OwnCron]) -> std::result::Result<(), String> {
    for (position, cron) in crons.iter().enumerate() {
        let wrong = |what: String| Err(format!("the cron {:?} {what}", cron.id));
        let named = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if cron.id.is_empty() || cron.id.starts_with("__") || !cron.id.bytes().all(named) {
            return wrong(
                "needs an id of letters, digits, dots, dashes and single leading underscores".into(),
            );
        }
        if crons[..position].iter().any(|other| other.id == cron.id) {
            return wrong("is there twice".into());
        }
        if let Err(error) = Schedule::parse(&cron.expression) {
            return wrong(format!("has no schedule: {error}"));
        }
        if !["http://", "https://"].iter().any(|scheme| cron.url.starts_with(scheme)) {
            return wrong("needs a url that begins with http:// or https://".into());
        }
    }
    Ok(())
}

/// The reference's own first, under its names.
pub fn all(parts: &Parts) -> Vec<Cron> {
    let cron = |id: &str, expression: &str| Cron { id: id.into(), expression: expression.into() };
    let mut all = vec![
        cron(OPTIMIZE, "0 0 * * *"),
        cron(CLEAN_MFAS, "0 * * * *"),
        cron(CLEAN_OTPS, "0 * * * *"),
        cron(CLEAN_LOGS, "0 */6 * * *"),
    ];
    let backup = &parts.settings.load().backups.cron;
    if !backup.is_empty() {
        all.push(cron(BACKUP, backup));
    }
    all.push(cron(SWEEP_JOBS, "30 4 * * *"));
    all.push(cron(SWEEP_FILES, "0 5 * * *"));
    if !parts.queues.streams().all.is_empty() {
        all.push(cron(SWEEP_QUEUES, "* * * * *"));
    }
    all.push(cron(SWEEP_DELIVERIES, "20 * * * *"));
    all.extend(parts.crons.iter().map(|own| cron(&own.id, &own.expression)));
    all
}

/// Runs one now, whatever its schedule says.
pub async fn run_now(parts: &Parts, id: &str) -> Result<()> {
    audit::about("cron.run", id, "");
    if !all(parts).iter().any(|cron| cron.id == id) {
        return Err(Error::new(Kind::NotFound, "Missing or invalid cron job."));
    }
    let batch = Batch { jobs: vec![Work::Cron { id: id.into() }.job()], ..Batch::default() };
    parts.store.commit(batch).await?;
    Ok(())
}

/// Looks at the schedules at the beginning of every minute.
pub async fn keep(parts: Arc<Parts>, stop: impl Future<Output = ()>) {
    tokio::pin!(stop);
    loop {
        let rest = MINUTE_MS - parts.clock.now().0.rem_euclid(MINUTE_MS);
        tokio::select! {
            () = &mut stop => return,
            () = tokio::time::sleep(Duration::from_millis(rest as u64)) => {}
        }
        let now = parts.clock.now();
        for cron in all(&parts) {
            match Schedule::parse(&cron.expression) {
                Ok(schedule) if schedule.is_due(now) => {
                    if let Err(error) = enqueue(&parts, &cron, now).await {
                        tracing::warn!(cron = cron.id, details = error.details, "a cron was missed: {error}");
                    }
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(cron = cron.id, "cannot read the schedule: {error}"),
            }
        }
    }
}

/// Makes the job, unless another process did for this minute.
async fn enqueue(parts: &Parts, cron: &Cron, now: Timestamp) -> Result<()> {
    let minute = now.0.div_euclid(MINUTE_MS);
    let key = format!("cron:{}", cron.id);
    let columns = vec![Column::new("id", ColumnType::Id), Column::new("value", ColumnType::Text)];
    let noted = Select::by_ids(META, columns, vec![key.as_str().into()]);
    let known = parts.store.first(&noted).await?;
    let last = known.as_ref().and_then(|row| row.get(1).text_or_empty().parse::<i64>().ok());
    if last.is_some_and(|last| (minute..minute + SKEW_MINUTES).contains(&last)) {
        return Ok(());
    }
    let value = Value::from(minute.to_string());
    let (guard, op) = match &known {
        Some(row) => {
            let as_seen = noted
                .filter(query::Expr::eq(query::Operand::base("value", ColumnType::Text), row.get(1).clone()));
            let set = vec![("value".into(), Assign::Set(value))];
            (Guard::Exists(as_seen), Op::Update { table: META.into(), id: key.into(), set })
        }
        None => {
            let values = vec![("id".into(), Value::from(key)), ("value".into(), value)];
            (Guard::Absent(noted), Op::Insert { table: META.into(), values })
        }
    };
    let jobs = vec![Work::Cron { id: cron.id.clone() }.job()];
    match parts.store.commit(Batch { guards: vec![guard], ops: vec![op], jobs, ..Batch::default() }).await {
        // Another process was faster.
        Err(error) if error.kind() == Kind::Conflict => Ok(()),
        other => other.map(drop).map_err(Error::from),
    }
}

/// Does what the schedule of that id is for.
pub(crate) async fn perform(parts: &Parts, id: &str) -> Result<()> {
    let done = perform_unseen(parts, id).await;
    if done.is_ok() {
        // Ids are the configuration's, and few.
        let last = gauge!("pando_cron_last_success_timestamp_seconds", "cron" => id.to_owned());
        last.set(parts.clock.now().0 as f64 / 1e3);
    }
    done
}

async fn perform_unseen(parts: &Parts, id: &str) -> Result<()> {
    match id {
        OPTIMIZE => Ok(parts.store.optimize().await?),
        CLEAN_MFAS => auth::mfa::clean_mfas(parts).await,
        CLEAN_OTPS => auth::otp::clean_otps(parts).await,
        CLEAN_LOGS => {
            parts.logs.clean(parts.settings.load().logs.max_days).await?;
            match parts.insight.load().audit.max_days {
                0 => Ok(()),
                days => audit::sweep(parts, days).await,
            }
        }
        BACKUP => backups::automatic(parts).await,
        SWEEP_JOBS => jobs::forget_dead(parts).await,
        SWEEP_DELIVERIES => {
            webhooks::sweep(parts).await?;
            exchange::sweep(parts).await
        }
        SWEEP_FILES => {
            parts.backups.idle().await;
            files::sweep_orphans(parts, None).await.map(drop)
        }
        SWEEP_QUEUES => queues::sweep(parts).await,
        _ => match parts.crons.iter().find(|own| own.id == id) {
            Some(own) => call(parts, own).await,
            // It was taken out of the configuration meanwhile.
            None => Ok(()),
        },
    }
}

/// Calls the address. Any answer but a success is a failure, and tried again.
async fn call(parts: &Parts, own: &OwnCron) -> Result<()> {
    // A call that is made again has the same id.
    let id = observe::request_id::current().map(|id| id.as_str().to_owned());
    let body = serde_json::json!({"cron": own.id, "at": parts.clock.now().to_string(), "id": id});
    let call = Call::get(&own.url, Reach::Configured).body(Body::Json(body.to_string()));
    let failed = |why: String| Error::new(Kind::Unavailable, "A scheduled call failed.").details(why);
    let answer = parts.fetch.send(call).await.map_err(|error| failed(error.to_string()))?;
    match answer.is_success() {
        true => Ok(()),
        false => Err(failed(format!("{} answered {}", own.url, answer.status))),
    }
}
