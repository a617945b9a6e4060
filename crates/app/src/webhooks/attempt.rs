//! One attempt to deliver, and what follows from its outcome.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use backing::fetch::{Body, Call, FetchError, Reach};
use base::limits::{
    WEBHOOK_ANSWER_MS, WEBHOOK_FAILING_MS, WEBHOOK_POLL_MS, WEBHOOK_RESPONSE_BYTES_MAX,
    WEBHOOK_RESPONSE_CHARS_MAX, WEBHOOK_RETRY_MS,
};
use base::{Name, Timestamp, Value};
use observe::request_id;
use query::{Assign, Batch, Guard, Op, Select};

use super::definition::{self, Webhook};
use super::log::{State, is, number};
use super::{DELIVERIES, TABLE, change, secret};
use crate::error::Result;
use crate::parts::Parts;

/// A delivery that this process holds, under a token of its own.
pub(super) struct Taken {
    pub id: Name,
    pub webhook: Name,
    pub event: String,
    pub body: String,
    /// This one included.
    pub attempts: u32,
    pub holder: Name,
    /// Whether it is tried once only.
    pub once: bool,
}

/// What a receiver made of it.
struct Outcome {
    verdict: Verdict,
    status: u16,
    response: String,
    error: String,
    duration_ms: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Delivered,
    /// Worth another attempt.
    Failed,
    /// The address may not be called.
    Refused,
    /// The receiver says that it wants no more of them.
    Gone,
}

/// Makes the attempt and notes what came of it. Returns whether it was delivered.
pub(super) async fn attempt(parts: &Parts, taken: &Taken) -> Result<bool> {
    let webhook = definition::one(&parts.store, &parts.cipher, &taken.webhook).await?;
    let Some(webhook) = webhook.filter(|webhook| webhook.enabled || taken.once) else {
        // It waits until the webhook is switched on again, or is gone.
        give_back(parts, taken).await?;
        return Ok(false);
    };
    let outcome = send(parts, &webhook, taken).await;
    let now = parts.clock.now();
    let next = match outcome.verdict {
        Verdict::Failed if !taken.once => retry_at(taken.attempts, now),
        _ => None,
    };
    let (state, told) = match (outcome.verdict, next) {
        (Verdict::Delivered, _) => (State::Delivered, "delivered"),
        (Verdict::Failed, Some(_)) => (State::Pending, "retried"),
        (Verdict::Failed, None) => (State::Failed, "failed"),
        (Verdict::Refused, _) => (State::Failed, "refused"),
        (Verdict::Gone, _) => (State::Failed, "gone"),
    };
    metrics::counter!("pando_webhook_deliveries_total", "outcome" => told).increment(1);
    let duration = metrics::histogram!("pando_webhook_delivery_duration_seconds", "outcome" => told);
    duration.record(outcome.duration_ms as f64 / 1e3);
    let is_delivered = state == State::Delivered;
    if !is_delivered {
        let (webhook, event, status) = (&*webhook.id, taken.event.as_str(), outcome.status);
        tracing::debug!(webhook, event, status, "a webhook's delivery failed: {}", outcome.error);
    }

    let verdict = outcome.verdict;
    let set = vec![
        ("state".into(), Assign::Set(Value::from(state.name()))),
        ("next".into(), Assign::Set(number(next.map_or(now.0, |next| next.0)))),
        ("holder".into(), Assign::Set(Value::from(""))),
        ("status".into(), Assign::Set(Value::Number(outcome.status.into()))),
        ("error".into(), Assign::Set(Value::from(outcome.error))),
        ("response".into(), Assign::Set(Value::from(outcome.response))),
        ("duration".into(), Assign::Set(Value::Number(outcome.duration_ms as f64))),
        ("tried".into(), Assign::Set(Value::from(now.to_string()))),
    ];
    let failing = match (is_delivered, webhook.failing) {
        (true, _) => 0,
        (false, 0) => now.0,
        (false, since) => since,
    };
    // A trial says nothing of how the webhook does.
    let mark = (failing != webhook.failing && !taken.once).then(|| Op::Update {
        table: TABLE.into(),
        id: webhook.id.clone(),
        set: vec![("failing".into(), Assign::Set(number(failing)))],
    });
    settle(parts, taken, set, mark).await?;
    if taken.once {
        return Ok(is_delivered);
    }
    if verdict == Verdict::Gone {
        switch_off(parts, &webhook, "The receiver answered 410: it wants no more deliveries.").await?;
    } else if failing > 0 && now.0 - failing >= WEBHOOK_FAILING_MS {
        let reason = format!("Every delivery failed since {}.", Timestamp(failing));
        switch_off(parts, &webhook, &reason).await?;
    }
    Ok(is_delivered)
}

pub(super) async fn switch_off(parts: &Parts, webhook: &Webhook, reason: &str) -> Result<()> {
    tracing::warn!(webhook = &*webhook.id, name = webhook.name, "a webhook is switched off: {reason}");
    let off = change::edit(parts, &webhook.id, |webhook| {
        webhook.enabled = false;
        webhook.disabled_reason = reason.to_owned();
        Ok(())
    });
    match off.await {
        // It was deleted meanwhile.
        Err(error) if error.kind == base::Kind::NotFound => Ok(()),
        other => other.map(drop),
    }
}

async fn send(parts: &Parts, webhook: &Webhook, taken: &Taken) -> Outcome {
    let now = parts.clock.now();
    let mut call = Call::get(&webhook.url, Reach::Public)
        .header("webhook-id", &*taken.event)
        .header("webhook-timestamp", now.seconds().to_string())
        .header("webhook-signature", secret::signatures(webhook.signing(now), &taken.event, now, &taken.body))
        .body(Body::Json(taken.body.clone()));
    if let Some(request) = request_id::current() {
        call = call.header("x-request-id", request.as_str());
    }
    for (name, value) in &webhook.headers {
        call.headers.push((Cow::Owned(name.clone()), value.clone()));
    }
    call.bytes_max = WEBHOOK_RESPONSE_BYTES_MAX;
    call.is_cut = true;
    let begun = Instant::now();
    let sent = tokio::time::timeout(Duration::from_millis(WEBHOOK_ANSWER_MS), parts.fetch.send(call)).await;
    let duration_ms = begun.elapsed().as_millis() as u64;
    let (verdict, status, response, error) = match sent {
        Ok(Ok(answer)) => {
            let (verdict, error) = match answer.status {
                200..300 => (Verdict::Delivered, String::new()),
                410 => (Verdict::Gone, "The receiver answered 410.".into()),
                300..400 => (
                    Verdict::Failed,
                    format!("The receiver answered {}. Redirects are not followed.", answer.status),
                ),
                status => (Verdict::Failed, format!("The receiver answered {status}.")),
            };
            (verdict, answer.status, excerpt(&answer.body), error)
        }
        Ok(Err(FetchError::Refused(why))) => {
            let error = format!("The address is refused: {why}. See outbound.allow_private.");
            (Verdict::Refused, 0, String::new(), error)
        }
        Ok(Err(error)) => (Verdict::Failed, 0, String::new(), error.to_string()),
        Err(_) => {
            (Verdict::Failed, 0, String::new(), format!("There was no answer within {WEBHOOK_ANSWER_MS} ms."))
        }
    };
    Outcome { verdict, status, response, error: cut(&error), duration_ms }
}

/// How an answer begins. Not every engine keeps a zero in a text.
fn excerpt(body: &[u8]) -> String {
    cut(&String::from_utf8_lossy(body))
}

fn cut(text: &str) -> String {
    text.chars().filter(|letter| *letter != '\0').take(WEBHOOK_RESPONSE_CHARS_MAX).collect()
}

/// When to try again what failed so often; `None` when that was the last time.
fn retry_at(attempts: u32, now: Timestamp) -> Option<Timestamp> {
    let wait = *WEBHOOK_RETRY_MS.get(attempts.saturating_sub(1) as usize)?;
    Some(Timestamp(now.0 + wait + rand::random_range(0..=wait / 4)))
}

/// Unless somebody else has taken it over since.
async fn settle(parts: &Parts, taken: &Taken, set: Vec<(Name, Assign)>, more: Option<Op>) -> Result<()> {
    let ours =
        Select::by_ids(DELIVERIES, Vec::new(), vec![taken.id.clone()]).filter(is("holder", &taken.holder));
    let update = Op::Update { table: DELIVERIES.into(), id: taken.id.clone(), set };
    let ops = [update].into_iter().chain(more).collect();
    match parts.store.commit(Batch { guards: vec![Guard::Exists(ours)], ops, ..Batch::default() }).await {
        Ok(_) | Err(store::Error::Guard(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// As if it had not been taken, but not at once: this process may not know yet that the webhook is switched off.
async fn give_back(parts: &Parts, taken: &Taken) -> Result<()> {
    let set = vec![
        ("next".into(), Assign::Set(number(parts.clock.now().0 + WEBHOOK_POLL_MS as i64))),
        ("holder".into(), Assign::Set(Value::from(""))),
        ("attempts".into(), Assign::Add(-1.0)),
    ];
    settle(parts, taken, set, None).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end() {
        let now = Timestamp(1_000);
        for (index, least) in WEBHOOK_RETRY_MS.iter().enumerate() {
            let wait = retry_at(index as u32 + 1, now).unwrap().0 - now.0;
            assert!((*least..=least + least / 4).contains(&wait), "{index}: {wait}");
        }
        assert_eq!(retry_at(WEBHOOK_RETRY_MS.len() as u32 + 1, now), None);
    }

    #[test]
    fn excerpts_are_bounded_and_have_no_zeros() {
        assert_eq!(excerpt(b"a\0b\xff"), "ab\u{fffd}");
        assert_eq!(excerpt("ö".repeat(9_999).as_bytes()).chars().count(), WEBHOOK_RESPONSE_CHARS_MAX);
    }
}
