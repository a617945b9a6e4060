//! Entries about what no commit tells by itself: what was begun, how requests ended, and logins.

use base::limits::{AUDIT_DETAIL_CHARS_MAX, AUDIT_FAILURES_MAX, AUDIT_FAILURES_MS};
use model::Record;
use query::{Batch, Op};

use super::doing::{self, Actor, Task};
use super::{Audit, Doing, Entry};
use crate::error::{Error, Result};
use crate::parts::Parts;
use crate::rules::Context;

/// To be awaited before what cannot be undone and leaves no trace in a commit. Fails when it cannot be written down: then it
/// must not be done.
pub async fn begun(parts: &Parts, action: &'static str, target: &str, detail: &str) -> Result<()> {
    let Some(doing) = doing::current() else { return Ok(()) };
    doing::about(action, target, detail);
    let Task { target, detail, .. } = doing.task();
    let entry = Entry {
        action: action.into(),
        target,
        detail,
        outcome: "begun".into(),
        ..parts.audit.begin(&doing.actor)
    };
    write(parts, entry).await
}

/// To be awaited before the caller gets what was made for them, such as somebody else's token.
pub async fn did(parts: &Parts, action: &'static str, collection: &str, target: &str) -> Result<()> {
    let Some(doing) = doing::current() else { return Ok(()) };
    let entry = Entry {
        action: action.into(),
        collection: collection.into(),
        target: target.into(),
        ..parts.audit.begin(&doing.actor)
    };
    doing.note(1);
    write(parts, entry).await
}

/// How a superuser's request ended, unless its commit tells. `request` is what was asked, `why` what was answered instead.
pub async fn ended(parts: &Parts, doing: &Doing, request: &str, status: u16, why: Option<&str>) {
    if why.is_none() && doing.is_noted() {
        return;
    }
    let Task { action, target, detail } = doing.task();
    let named = !action.is_empty();
    let detail = match why {
        Some(why) if detail.is_empty() => why.chars().take(AUDIT_DETAIL_CHARS_MAX).collect(),
        Some(why) => format!("{detail}\n{why}").chars().take(AUDIT_DETAIL_CHARS_MAX).collect(),
        None => detail,
    };
    let entry = Entry {
        action: if named { action.into() } else { "request".into() },
        target: if named { target } else { request.into() },
        outcome: if why.is_some() { "failed" } else { "done" }.into(),
        status: f64::from(status),
        detail,
        ..parts.audit.begin(&doing.actor)
    };
    if let Err(error) = write(parts, entry).await {
        tracing::warn!(details = error.details, "an entry of the audit log is lost: {error}");
    }
}

async fn write(parts: &Parts, entry: Entry) -> Result<()> {
    parts.store.commit(Batch::op(entry.insertion())).await.map(drop).map_err(Error::from)
}

fn client(cx: &Context<'_>) -> String {
    cx.request.client.ip.map(|ip| ip.to_string()).unwrap_or_default()
}

/// A superuser's login, to be written with what else the login leaves behind.
pub fn login(cx: &Context<'_>, record: &Record, method: &str) -> Option<Op> {
    if !record.collection.is_superusers() {
        return None;
    }
    let actor = Actor { id: record.id().into(), email: record.text("email").into(), ip: client(cx) };
    let entry = Entry {
        action: "login".into(),
        collection: record.collection.name.to_string(),
        target: record.id().into(),
        detail: method.into(),
        ..cx.parts.audit.begin(&actor)
    };
    Some(entry.insertion())
}

/// Somebody tried to log in as a superuser. Whoever tries often fills no disk: what is too much is counted.
pub async fn login_failed(cx: &Context<'_>, identity: &str, error: &Error) {
    let Some(kept_back) = cx.parts.audit.next_failure() else { return };
    let email: String = identity.chars().take(255).collect();
    let mut detail = error.message.clone();
    if kept_back > 0 {
        detail.push_str(&format!(" ({kept_back} more before were not written down)"));
    }
    let entry = Entry {
        action: "login".into(),
        collection: model::collection::SUPERUSERS.into(),
        outcome: "failed".into(),
        detail,
        ..cx.parts.audit.begin(&Actor { id: String::new(), email, ip: client(cx) })
    };
    if let Err(error) = write(cx.parts, entry).await {
        tracing::warn!(details = error.details, "a failed login is missing in the audit log: {error}");
    }
}

impl Audit {
    /// `None` when there was enough of them; else how many were kept back before.
    fn next_failure(&self) -> Option<u64> {
        let now = self.0.clock.now().0;
        let mut failures = self.0.failures.lock();
        let mut kept_back = 0;
        if (now - failures.since).abs() >= AUDIT_FAILURES_MS {
            kept_back = failures.kept_back;
            *failures = super::Failures { since: now, ..Default::default() };
        }
        if failures.told >= AUDIT_FAILURES_MAX {
            failures.kept_back += 1;
            return None;
        }
        failures.told += 1;
        Some(kept_back)
    }
}
