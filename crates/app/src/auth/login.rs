//! Logging in with a password, and renewing a token.

use std::sync::Arc;

use base::{Kind, Value};
use model::{Collection, Record, Violation, Violations};
use query::{Expr, Operand, Select};

use super::token;
use crate::error::{Error, Result};
use crate::records::Shown;
use crate::rules::Context;

pub struct LoggedIn {
    pub token: String,
    pub record: Shown,
}

pub struct PasswordForm {
    pub identity: String,
    pub password: String,
    /// Empty for any of the collection's identity fields.
    pub identity_field: String,
}

fn failed() -> Error {
    Error::new(Kind::Invalid, "Failed to authenticate.")
}

/// The auth collection of that name.
pub fn auth_collection(cx: &Context<'_>, name: &str) -> Result<Arc<Collection>> {
    let missing = |message: &str| Error::new(Kind::NotFound, message);
    let found = cx.collection(name).ok_or_else(|| missing("Missing or invalid collection context."))?;
    match found.is_auth() {
        true => Ok(found),
        false => Err(missing("Missing or invalid auth collection context.")),
    }
}

/// A token for somebody else's record, which cannot be refreshed. `seconds` of 0 is the collection's own duration.
pub async fn impersonate(
    cx: &Context<'_>,
    collection: &Arc<Collection>,
    id: &str,
    seconds: i64,
) -> Result<LoggedIn> {
    let record = cx.fetch(collection, id).await?.ok_or_else(Error::not_found)?;
    let token = token::issue(cx.parts, &record, token::Lasts::Fixed(seconds))?;
    answer(cx, record, Some(token)).await
}

pub async fn with_password(
    cx: &Context<'_>,
    collection: &Arc<Collection>,
    form: PasswordForm,
) -> Result<LoggedIn> {
    let options = &collection.auth().ok_or_else(failed)?.password_auth;
    if !options.enabled {
        return Err(Error::new(
            Kind::Forbidden,
            "The collection is not configured to allow password authentication.",
        ));
    }
    let mut violations = Violations::default();
    for (key, text) in [("identity", &form.identity), ("password", &form.password)] {
        if text.is_empty() {
            violations.add(key, Violation::required());
        } else if text.chars().count() > 255 {
            violations.add(
                key,
                Violation::new("validation_length_out_of_range", "The length must be between 1 and 255."),
            );
        }
    }
    if !form.identity_field.is_empty() && !options.identity_fields.contains(&form.identity_field) {
        violations.add("identityField", Violation::new("validation_in_invalid", "Must be a valid value."));
    }
    if !violations.is_empty() {
        return Err(Error::form_with(violations));
    }

    let found = find_by_identity(cx, collection, &form, &options.identity_fields).await?;
    let Some(record) = found else {
        // An unknown identity must not answer sooner than a wrong password.
        cx.parts.hasher.waste(&form.password).await?;
        return Err(failed());
    };
    if !cx.parts.hasher.verify(&form.password, record.text("password")).await? {
        return Err(failed());
    }
    admit(cx, record).await
}

async fn find_by_identity(
    cx: &Context<'_>,
    collection: &Arc<Collection>,
    form: &PasswordForm,
    fields: &[String],
) -> Result<Option<Record>> {
    let wanted = form.identity_field.as_str();
    let is_email = form.identity.contains('@');
    let mut fields: Vec<&str> =
        fields.iter().map(String::as_str).filter(|name| wanted.is_empty() || *name == wanted).collect();
    // What looks like an email is most likely one; the rest keeps its order.
    fields.sort_by_key(|name| (*name == "email") != is_email);
    for name in fields {
        let Some(column) = collection.column(name) else { continue };
        let own = Operand::column(query::Alias::BASE, column);
        let matches = if collection.has_nocase_index(name) {
            Expr::eq(Operand::Lower(Box::new(own)), Value::from(form.identity.to_ascii_lowercase()))
        } else {
            Expr::eq(own, Value::from(form.identity.as_str()))
        };
        let select =
            Select::table(collection.name.clone(), collection.table.columns.clone()).filter(matches).limit(1);
        if let Some(record) = cx.select(collection, &select).await?.into_iter().next() {
            return Ok(Some(record));
        }
    }
    Ok(None)
}

/// A proven record gets its token, if the collection's auth rule agrees.
pub(crate) async fn admit(cx: &Context<'_>, record: Record) -> Result<LoggedIn> {
    let collection = record.collection.clone();
    let options = collection.auth().ok_or_else(failed)?;
    if options.mfa.enabled {
        return Err(Error::new(Kind::Forbidden, "Multi-factor authentication is not available yet."));
    }
    match options.auth_rule.as_deref() {
        // Superusers may log anyone in.
        _ if cx.is_superuser() => {}
        None if collection.is_superusers() => {}
        None => return Err(not_allowed()),
        Some(rule) => {
            let condition = cx.rule(&collection, rule)?;
            if !cx.passes(&record, &condition).await? {
                return Err(not_allowed());
            }
        }
    }
    answer(cx, record, None).await
}

fn not_allowed() -> Error {
    Error::new(Kind::Forbidden, "The authenticated record doesn't satisfy the collection auth rule.")
}

async fn answer(cx: &Context<'_>, record: Record, token: Option<String>) -> Result<LoggedIn> {
    let token = match token {
        Some(token) => token,
        None => token::issue(cx.parts, &record, token::Lasts::Refreshable)?,
    };
    // The record is shown as to itself.
    let hidden = record.collection.is_superusers();
    let shown = Shown { record, hidden, email: true, expand: None };
    Ok(LoggedIn { token, record: shown })
}

/// A fresh token for the caller; one that cannot be refreshed is given back as it is.
pub async fn refresh(
    cx: &Context<'_>,
    collection: &Arc<Collection>,
    caller: Option<&token::Caller>,
    token: &str,
) -> Result<LoggedIn> {
    let caller = caller.ok_or_else(Error::unauthenticated)?;
    if caller.record.collection.id != collection.id {
        return Err(Error::new(
            Kind::Forbidden,
            format!("The request requires auth record from {} collection.", caller.record.collection.name),
        ));
    }
    let record = (*caller.record).clone();
    if !caller.refreshable {
        return answer(cx, record, Some(token.to_string())).await;
    }
    admit(cx, record).await.map_err(|error| match error.kind {
        // The token was good once; by the rule of today it is not.
        Kind::Forbidden => Error::unauthenticated().details(error.message),
        _ => error,
    })
}
