//! A trial: one delivery that tells nothing, made at once and once.

use base::limits::WEBHOOK_LEASE_MS;
use base::{Name, Value};
use query::{Batch, Op};

use super::attempt::{self, Taken};
use super::log::{self, Delivery, New, number};
use crate::error::Result;
use crate::parts::Parts;

pub(super) const KIND: &str = "webhook.test";

/// Works for webhooks that are switched off, too. Returns what came of it.
pub async fn test(parts: &Parts, id: &str) -> Result<Delivery> {
    let webhook = super::view(parts, id).await?;
    let now = parts.clock.now();
    let event = format!("msg_{}", base::id::ordered(now));
    let body = (parts.webhooks.0.wire.test)(now, &webhook.id);
    let new = New {
        id: log::id(&event, &webhook.id),
        webhook: webhook.id.clone(),
        event: event.clone(),
        kind: KIND,
        body: body.as_str().into(),
        refused: None,
        at: now,
    };
    let delivery = new.id.clone();
    let holder: Name = base::id::record().into();
    let mut insertion = new.insertion(now);
    if let Op::Insert { values, .. } = &mut insertion {
        // Held from the beginning, so that nobody else makes it meanwhile.
        values.retain(|(name, _)| &**name != "next");
        values.push(("next".into(), number(now.0 + WEBHOOK_LEASE_MS)));
        values.push(("attempts".into(), number(1)));
        values.push(("holder".into(), Value::from(&*holder)));
    }
    parts.store.commit(Batch::op(insertion)).await?;
    let taken =
        Taken { id: delivery.clone(), webhook: webhook.id, event, body, attempts: 1, holder, once: true };
    attempt::attempt(parts, &taken).await?;
    log::view(parts, id, &delivery).await
}
