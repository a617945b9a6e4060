//! From the rows to the stream. Not more is on its way than is soon done: the rest waits in the database, in order.

use std::time::Duration;

use async_nats::jetstream::message::PublishMessage;
use base::Name;
use base::limits::{
    JOB_LEASE_MS, JOB_RELAYED_MS, JOBS_ASTRAY_MS, JOBS_LOOK_MS, JOBS_OUTSTANDING_MAX, JOBS_RELAYED_MAX,
    NATS_REQUEST_MS,
};
use tokio::time::Instant;

use super::link::{MARK, Ready};
use super::{AT, ATTEMPTS, ID, Nats, away};
use crate::queue::table::Held;
use crate::queue::{Outcome, Result, Taken};

/// Bytes of a message beside the payload.
const HEADERS_BYTES: usize = 1024;

impl Nats {
    /// Relays what is due for as long as anybody takes jobs.
    pub(super) async fn relay(&self) {
        let mut astray = Instant::now();
        let mut life: Option<Name> = None;
        loop {
            if let Some(ready) = self.link.ready() {
                let other_life = life.as_ref() != Some(&ready.mark);
                if other_life || astray <= Instant::now() {
                    astray = Instant::now() + Duration::from_millis(JOBS_ASTRAY_MS);
                    match self.free(&ready).await {
                        Ok(()) => life = Some(ready.mark.clone()),
                        Err(error) => tracing::warn!("cannot look for jobs that went astray: {error}"),
                    }
                }
                if let Err(error) = self.relay_due(&ready).await {
                    tracing::warn!("jobs cannot be relayed: {error}");
                    tokio::time::sleep(self.poll).await;
                }
            }
            tokio::time::sleep(Duration::from_millis(JOBS_LOOK_MS)).await;
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(self.poll) => {}
            }
        }
    }

    /// What an earlier life of the stream held is lost there.
    async fn free(&self, ready: &Ready) -> Result<()> {
        let lost = self.table.free_others(&self.queues, MARK, &ready.mark).await?;
        if lost > 0 {
            tracing::warn!(jobs = lost, "the stream was lost: its jobs are relayed again");
        }
        self.table.free_astray(&self.queues).await
    }

    async fn relay_due(&self, ready: &Ready) -> Result<()> {
        for queue in self.table.busy(&self.queues).await? {
            let mut room = self.room(&queue).await?;
            while room > 0 {
                let most = room.min(JOBS_RELAYED_MAX);
                let jobs = self.table.take(&queue, most, &ready.mark, JOB_LEASE_MS as i64).await?;
                let all = jobs.len();
                self.publish(ready, jobs).await?;
                if all < most {
                    break;
                }
                room -= all;
            }
        }
        Ok(())
    }

    /// How many more of a queue may be on their way.
    async fn room(&self, queue: &Name) -> Result<usize> {
        let Some((_, mut consumer)) = self.link.consumer(queue) else { return Ok(0) };
        let info = consumer.info().await.map_err(away)?;
        let outstanding = info.num_pending as usize + info.num_ack_pending;
        Ok(JOBS_OUTSTANDING_MAX.saturating_sub(outstanding))
    }

    /// Those that the broker has stored are its, the others are given back.
    async fn publish(&self, ready: &Ready, jobs: Vec<Taken>) -> Result<()> {
        let mut sent = Vec::with_capacity(jobs.len());
        let now = self.table.now().to_string();
        for job in jobs {
            if job.payload.len() + HEADERS_BYTES > self.link.payload_max() {
                let dead = Outcome::Dead("It is larger than the broker takes.".into());
                self.table.leave(&job, &ready.mark, &dead).await?;
                continue;
            }
            let message = PublishMessage::build()
                .message_id(format!("{}-{}", job.id, job.noted))
                .header(ID, &*job.id)
                .header(ATTEMPTS, job.noted.to_string().as_str())
                .header(AT, now.as_str())
                .payload(job.payload.as_bytes().to_vec().into());
            let ack = ready.context.send_publish(self.link.subject(&job.queue), message).await;
            sent.push((job, ack));
        }
        let (mut stored, mut failed) = (Vec::with_capacity(sent.len()), None);
        let deadline = Instant::now() + Duration::from_millis(NATS_REQUEST_MS);
        for (job, ack) in sent {
            let answer = match ack {
                Ok(ack) => match tokio::time::timeout_at(deadline, ack.into_future()).await {
                    Ok(answer) => answer.map_err(away),
                    Err(_) => Err(away("no acknowledgement")),
                },
                Err(error) => Err(away(error)),
            };
            match answer {
                Ok(answer) => {
                    metrics::counter!("pando_jobs_relayed_total").increment(1);
                    metrics::counter!("pando_jobs_relayed_twice_total")
                        .increment(u64::from(answer.duplicate));
                    stored.push(job.id.clone());
                }
                Err(error) => {
                    // It may have arrived all the same. The next try has the same name, and is dropped then.
                    self.table.leave(&job, &ready.mark, &Outcome::Back).await?;
                    failed = Some(error);
                }
            }
        }
        if !stored.is_empty() {
            self.table.renew(&Held { holder: &ready.mark, ids: stored }, JOB_RELAYED_MS).await?;
        }
        failed.map_or(Ok(()), Err)
    }
}
