//! Updating a record.

use std::sync::Arc;

use base::limits::UPDATE_TRIES_MAX;
use base::{Kind, Value};
use model::{Collection, Record, Violation, Violations};
use serde_json::Value as Json;

use super::input::{OLD_PASSWORD, check_password_form};
use super::save::Written;
use super::shown::Shown;
use crate::audit;
use crate::error::{Error, Result};
use crate::rules::Context;

const FAILED: &str = "Failed to update record.";

pub async fn update(
    cx: &Context<'_>,
    collection: &Arc<Collection>,
    id: &str,
    expand: &[String],
) -> Result<Shown> {
    if collection.is_view() {
        return Err(Error::new(Kind::Invalid, "Unsupported collection type."));
    }
    if collection.update_rule.is_none() && !cx.is_superuser() {
        return Err(Error::superusers_only());
    }
    let named = cx.named_uploads(collection);
    let cx = &cx.with_request(named.as_ref().unwrap_or(cx.request));
    for _ in 0..UPDATE_TRIES_MAX {
        if let Some(record) = attempt(cx, collection, id).await? {
            let mut shown = cx.show(record).await?;
            if !expand.is_empty() {
                cx.expand(std::slice::from_mut(&mut shown), expand).await?;
            }
            return Ok(shown);
        }
    }
    Err(Error::new(Kind::Conflict, "The record keeps being changed. Try again."))
}

/// `None` when somebody else meanwhile changed what the new values depend on, so that it has to be done anew.
async fn attempt(cx: &Context<'_>, collection: &Arc<Collection>, id: &str) -> Result<Option<Record>> {
    let body = &cx.request.body;
    let relative = cx.relative(collection, body);
    let writing = cx.writing(collection, id);
    let old = cx.fetch(collection, id).await?.ok_or_else(Error::not_found)?;
    audit::knew(&old);
    let mut record = old.clone();
    cx.apply(&mut record, body);
    let resolved = cx.resolved(&record);
    let cx = &cx.with_request(resolved.as_ref().unwrap_or(cx.request));
    let rule = cx.required_rule(collection, &collection.update_rule)?;
    if !cx.passes(&old, &rule).await? {
        return Err(Error::not_found());
    }
    cx.generate(&mut record, false);

    let mut violations = Violations::default();
    if collection.is_auth() {
        let manages = cx.manages(&old).await?;
        violations = check_password_form(body, !manages, false);
        if !manages {
            violations.merge(unmanaged(cx, &old, &record).await?);
        }
        if violations.is_empty() {
            cx.prepare_auth(&mut record, Some(&old));
        }
    }
    if violations.is_empty() {
        violations = cx.violations(&record, Some(&old)).await?;
    }
    if !violations.is_empty() {
        return Err(Error::invalid(FAILED, violations));
    }
    cx.seal_password(&mut record, Some(&old)).await?;
    match cx.write_relative(&record, &old, &relative, FAILED).await? {
        // What was added to is what the database says: others may have added as well.
        Written::Done if relative.adds() => Ok(Some(cx.fetch(collection, id).await?.unwrap_or(record))),
        Written::Done => {
            cx.written(writing, &record);
            Ok(Some(record))
        }
        Written::Gone => Err(Error::not_found()),
        Written::Overtaken => Ok(None),
    }
}

/// What an owner without manage rights may not change by a plain update.
async fn unmanaged(cx: &Context<'_>, old: &Record, new: &Record) -> Result<Violations> {
    let mut violations = Violations::default();
    if old.get("verified") != new.get("verified") {
        violations.add("verified", not_allowed("verified"));
    }
    if old.get("email") != new.get("email") {
        violations.add("email", not_allowed("email"));
    }
    let old_password = match cx.request.body.get(OLD_PASSWORD) {
        Some(Json::String(text)) if !text.is_empty() => text,
        _ => return Ok(violations),
    };
    if new.text("password") != old.text("password")
        && !cx.parts.hasher.verify(old_password, old.text("password")).await?
    {
        violations.add(
            OLD_PASSWORD,
            Violation::new("validation_invalid_old_password", "Missing or invalid old password."),
        );
    }
    Ok(violations)
}

pub(super) fn not_allowed(_field: &str) -> Violation {
    Violation::new("validation_values_mismatch", "Values don't match.")
}

impl Context<'_> {
    /// What the system itself decides of an auth record.
    pub(super) fn prepare_auth(&self, record: &mut Record, old: Option<&Record>) {
        // Superusers are always verified.
        if record.collection.is_superusers() && old.is_none() {
            record.set("verified", Value::Bool(true));
        }
    }
}
