//! Creating a record.

use std::sync::Arc;

use base::{Kind, Value};
use model::{Collection, Record, Violations};
use query::{Batch, Op};

use super::input::check_password_form;
use super::shown::Shown;
use crate::auth::{password, superuser};
use crate::error::{Error, Result};
use crate::rules::{Condition, Context};

const FAILED: &str = "Failed to create record.";

/// Someone whom a provider vouches for, in place of a password.
pub(crate) struct Newcomer<'a> {
    /// Whether the new record's email is proven.
    pub verified: &'a (dyn Fn(&Record) -> bool + Sync),
    /// What is written with the record.
    pub extra: &'a (dyn Fn(&Record) -> Result<Vec<Op>> + Sync),
}

pub async fn create(cx: &Context<'_>, collection: &Arc<Collection>, expand: &[String]) -> Result<Shown> {
    let record = make(cx, collection, None).await?;
    let mut shown = cx.show(record).await?;
    if !expand.is_empty() {
        cx.expand(std::slice::from_mut(&mut shown), expand).await?;
    }
    Ok(shown)
}

/// Creates an auth record for a newcomer, who needs no password, by the same rules as any other.
pub(crate) async fn create_as(
    cx: &Context<'_>,
    collection: &Arc<Collection>,
    newcomer: Newcomer<'_>,
) -> Result<Record> {
    make(cx, collection, Some(newcomer)).await
}

async fn make(
    cx: &Context<'_>,
    collection: &Arc<Collection>,
    newcomer: Option<Newcomer<'_>>,
) -> Result<Record> {
    if collection.is_view() {
        return Err(Error::new(Kind::Invalid, "Unsupported collection type."));
    }
    if collection.create_rule.is_none() && !cx.is_superuser() {
        return Err(Error::superusers_only());
    }
    let named = cx.named_uploads(collection);
    let cx = &cx.with_request(named.as_ref().unwrap_or(cx.request));
    let body = &cx.request.body;
    let mut record = Record::blank(collection.clone());
    cx.apply(&mut record, body);
    cx.generate(&mut record, true);
    let mut resolved = cx.resolved(&record);
    if let Some(resolved) = &mut resolved {
        cx.rename_uploads(resolved);
    }
    let cx = &cx.with_request(resolved.as_ref().unwrap_or(cx.request));
    let rule = match collection.create_rule.as_deref() {
        Some(rule) if !cx.is_superuser() => {
            // A rule that cannot be asked of a new record holds for none.
            cx.creation_rule(collection, rule).map_err(|error| match error.kind {
                Kind::Invalid => Error { message: FAILED.into(), ..error },
                _ => error,
            })?
        }
        _ => Condition::always(),
    };

    if !cx.would_pass(&record, &rule).await? {
        return Err(Error::invalid(FAILED, Violations::default()).details("the create rule does not hold"));
    }
    let mut violations = Violations::default();
    if collection.is_auth() {
        // Whoever comes with a provider's word needs no password, and may choose one.
        if newcomer.is_none() || !record.text("password").is_empty() {
            violations = check_password_form(body, false, true);
        }
        if !cx.is_superuser() && !manages_new(cx, &record).await? {
            violations.merge(unmanaged(&record));
        }
        if violations.is_empty() {
            cx.prepare_auth(&mut record, None);
        }
    }
    let passwordless = newcomer.is_some() && record.text("password").is_empty();
    if passwordless {
        // The field's own demands are for passwords that people choose.
        record.set("password", password::nobodys());
    }
    if violations.is_empty() {
        violations = cx.violations(&record, None).await?;
    }
    if passwordless {
        violations.0.remove("password");
    }
    if !violations.is_empty() {
        return Err(Error::invalid(FAILED, violations));
    }
    let mut ops = Vec::new();
    if let Some(newcomer) = newcomer {
        if (newcomer.verified)(&record) {
            record.set("verified", Value::Bool(true));
        }
        ops = (newcomer.extra)(&record)?;
    }
    if collection.is_superusers() {
        ops.extend(superuser::retire_installer(cx, &record).await?);
    }
    cx.seal_password(&mut record, None).await?;
    ops.insert(0, cx.insertion(&record));
    let writing = cx.writing(collection, record.id());
    cx.commit_record(&record, Batch { ops, ..Batch::default() }, FAILED).await?;
    cx.written(writing, &record);
    Ok(record)
}

/// Whether the manage rule already holds for a record that is not stored yet.
async fn manages_new(cx: &Context<'_>, record: &Record) -> Result<bool> {
    match super::shown::manage_rule(&record.collection) {
        Some(rule) if !rule.is_empty() && cx.request.auth.is_some() => {
            let condition = cx.rule(&record.collection, rule)?;
            cx.would_pass(record, &condition).await
        }
        _ => Ok(false),
    }
}

/// What only managers may set on a new auth record.
fn unmanaged(record: &Record) -> Violations {
    let mut violations = Violations::default();
    if record.get("verified").as_bool() {
        violations.add("verified", super::update::not_allowed("verified"));
    }
    violations
}
