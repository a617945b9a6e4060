//! Creating a record.

use std::sync::Arc;

use base::Kind;
use model::{Collection, Record, Violations};

use super::input::{check_password_form, resolved};
use super::shown::Shown;
use crate::error::{Error, Result};
use crate::rules::{Condition, Context};

const FAILED: &str = "Failed to create record.";

pub async fn create(cx: &Context<'_>, collection: &Arc<Collection>, expand: &[String]) -> Result<Shown> {
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
    let mut resolved = resolved(cx.request, &record);
    cx.rename_uploads(&mut resolved);
    let cx = &cx.with_request(&resolved);
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
        violations = check_password_form(body, false, true);
        if !cx.is_superuser() && !manages_new(cx, &record).await? {
            violations.merge(unmanaged(&record));
        }
        if violations.is_empty() {
            cx.prepare_auth(&mut record, None);
        }
    }
    if violations.is_empty() {
        violations = cx.violations(&record, None).await?;
    }
    if !violations.is_empty() {
        return Err(Error::invalid(FAILED, violations));
    }
    cx.seal_password(&mut record, None).await?;
    cx.insert(&record, FAILED).await?;
    let mut shown = cx.show(record).await?;
    if !expand.is_empty() {
        cx.expand(std::slice::from_mut(&mut shown), expand).await?;
    }
    Ok(shown)
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
