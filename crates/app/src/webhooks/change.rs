//! Making, changing and deleting webhooks. Every node goes by a change before it is acknowledged.

use base::limits::{WEBHOOK_OVERLAP_MS, WEBHOOK_OVERLAP_MS_MAX, WEBHOOKS_MAX};
use model::{Violation, Violations};
use query::{Batch, Ddl, Expr, Guard, Op, Operand};
use serde_json::{Map, Value as Json};

use super::definition::{Action, Webhook};
use super::secret::{self, Secret};
use super::{DELIVERIES, TABLE, input, log};
use crate::changing::{Changing, overtaken};
use crate::error::{Error, Result};
use crate::parts::Parts;
use crate::rules::Context;

const HOUR_MS: i64 = 3_600_000;

pub async fn create(cx: &Context<'_>, body: &Map<String, Json>) -> Result<Webhook> {
    let mut changing = Changing::begin(cx.parts).await;
    loop {
        let tried = try_create(cx, body).await;
        if !changing.again(&tried).await {
            return changing.end(tried).await;
        }
    }
}

async fn try_create(cx: &Context<'_>, body: &Map<String, Json>) -> Result<Webhook> {
    let parts = cx.parts;
    let version = parts.store.schema_version().await?;
    let now = parts.clock.now().to_string();
    let mut webhook = Webhook {
        id: base::id::record().into(),
        events: Action::ALL.into(),
        enabled: true,
        created: now.clone(),
        updated: now,
        ..Webhook::default()
    };
    let mut violations = input::apply(cx, &mut webhook, body);
    match input::secret(body) {
        Ok(Some(given)) => webhook.secrets = vec![given],
        Ok(None) => webhook.secrets = vec![Secret::make()?],
        Err(wrong) => violations.merge(wrong),
    }
    if !violations.is_empty() {
        return Err(Error::invalid("Failed to create webhook.", violations));
    }
    if super::all(parts).await?.len() >= WEBHOOKS_MAX {
        let message = format!("There may be at most {WEBHOOKS_MAX} webhooks.");
        return Err(Error::invalid(message, Violations::default()));
    }
    commit(parts, version, vec![webhook.insertion(&parts.cipher)?]).await?;
    Ok(webhook)
}

pub async fn update(cx: &Context<'_>, id: &str, body: &Map<String, Json>) -> Result<Webhook> {
    edit(cx.parts, id, |webhook| {
        let violations = input::apply(cx, webhook, body);
        match violations.is_empty() {
            true => Ok(()),
            false => Err(Error::invalid("Failed to update webhook.", violations)),
        }
    })
    .await
}

/// Gives the webhook a new secret. The one before signs as well for so many hours.
pub async fn rotate(cx: &Context<'_>, id: &str, body: &Map<String, Json>) -> Result<Webhook> {
    let most = WEBHOOK_OVERLAP_MS_MAX / HOUR_MS;
    let overlap_ms = match body.get("overlapHours") {
        None | Some(Json::Null) => WEBHOOK_OVERLAP_MS,
        Some(hours) => match hours.as_f64().filter(|hours| (0.0..=most as f64).contains(hours)) {
            Some(hours) => (hours * HOUR_MS as f64) as i64,
            None => {
                let message = format!("Must be between 0 and {most}.");
                return Err(Error::form("overlapHours", Violation::new("validation_out_of_range", message)));
            }
        },
    };
    let given = input::secret(body).map_err(Error::form_with)?;
    let new = given.map_or_else(Secret::make, Ok)?;
    let now = cx.parts.clock.now();
    edit(cx.parts, id, |webhook| {
        secret::rotate(&mut webhook.secrets, new.clone(), now, overlap_ms);
        Ok(())
    })
    .await
}

/// Deletes it with all that is known of its deliveries; those that wait are not made any more.
pub async fn delete(parts: &Parts, id: &str) -> Result<()> {
    let mut changing = Changing::begin(parts).await;
    loop {
        let tried = try_delete(parts, id).await;
        if !changing.again(&tried).await {
            return changing.end(tried).await;
        }
    }
}

async fn try_delete(parts: &Parts, id: &str) -> Result<()> {
    let version = parts.store.schema_version().await?;
    super::view(parts, id).await?;
    let ops = vec![
        Op::Delete { table: TABLE.into(), id: id.into(), row: None },
        Op::DeleteWhere { table: DELIVERIES.into(), filter: log::is("webhook", id) },
    ];
    commit(parts, version, ops).await
}

/// Changes it and waits until every node goes by the change.
pub(super) async fn edit(
    parts: &Parts,
    id: &str,
    edit: impl Fn(&mut Webhook) -> Result<()>,
) -> Result<Webhook> {
    let mut changing = Changing::begin(parts).await;
    loop {
        let tried = try_edit(parts, id, &edit).await;
        if !changing.again(&tried).await {
            return changing.end(tried).await;
        }
    }
}

async fn try_edit(parts: &Parts, id: &str, edit: impl Fn(&mut Webhook) -> Result<()>) -> Result<Webhook> {
    let version = parts.store.schema_version().await?;
    let mut webhook = super::view(parts, id).await?;
    edit(&mut webhook)?;
    webhook.updated = parts.clock.now().to_string();
    commit(parts, version, vec![webhook.update(&parts.cipher)?]).await?;
    Ok(webhook)
}

/// Fails when another node changes something at the same time. Other processes read it when the schema version grows.
async fn commit(parts: &Parts, version: u64, ops: Vec<Op>) -> Result<()> {
    let guards = vec![Guard::Version(version)];
    let batch = Batch { guards, ddl: vec![Ddl::Announce], ops, ..Batch::default() };
    parts.store.commit(batch).await.map_err(|error| match error {
        store::Error::Guard(_) => overtaken(),
        other => other.into(),
    })?;
    parts.webhooks.reload(&parts.store, &parts.cipher).await
}

/// Deliveries that are of none of these webhooks.
pub(super) fn orphans(known: &[Webhook]) -> Expr {
    let left = Operand::base("webhook", query::ColumnType::Text);
    let values = known.iter().map(|webhook| base::Value::from(&*webhook.id)).collect();
    Expr::Not(Box::new(Expr::In { left, values }))
}
