//! Logging in with a password, what every login ends in, and renewing a token.

use std::sync::Arc;

use base::{Kind, Value};
use model::{Collection, Record, Violation, Violations};
use query::{Batch, Expr, Operand, Select};

use super::{mfa, origins, password, token};
use crate::audit;
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
    audit::did(cx.parts, "impersonate", &collection.name, id).await?;
    let token = token::issue(cx.parts, &record, token::Lasts::Fixed(seconds))?;
    answer(cx, record, Some(token)).await
}

pub async fn with_password(
    cx: &Context<'_>,
    collection: &Arc<Collection>,
    form: PasswordForm,
) -> Result<Admitted> {
    let tried = prove(cx, collection, &form).await;
    audited(cx, collection, &form.identity, tried).await
}

/// Notes who was not let in as a superuser.
pub(super) async fn audited<T>(
    cx: &Context<'_>,
    collection: &Collection,
    identity: &str,
    tried: Result<T>,
) -> Result<T> {
    if let Err(error) = &tried
        && collection.is_superusers()
    {
        audit::login_failed(cx, identity, error).await;
    }
    tried
}

async fn prove(cx: &Context<'_>, collection: &Arc<Collection>, form: &PasswordForm) -> Result<Admitted> {
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

    let found = find_by_identity(cx, collection, form, &options.identity_fields).await?;
    let Some(record) = found else {
        // An unknown identity must not answer sooner than a wrong password.
        cx.parts.hasher.waste(&form.password, password::cost(collection)).await?;
        return Err(failed());
    };
    if !cx.parts.hasher.verify(&form.password, record.text("password")).await? {
        return Err(failed());
    }
    admit(cx, record, Method::Password).await
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
        if let Some(record) = find_by(cx, collection, name, &form.identity).await? {
            return Ok(Some(record));
        }
    }
    Ok(None)
}

/// The record whose unique field has that value, in any case if the field's index ignores case.
pub(in crate::auth) async fn find_by(
    cx: &Context<'_>,
    collection: &Arc<Collection>,
    field: &str,
    value: &str,
) -> Result<Option<Record>> {
    let Some(column) = collection.column(field) else { return Ok(None) };
    let own = Operand::column(query::Alias::BASE, column);
    let matches = if collection.has_nocase_index(field) {
        Expr::eq(Operand::Lower(Box::new(own)), Value::from(value.to_ascii_lowercase()))
    } else {
        Expr::eq(own, Value::from(value))
    };
    let select =
        Select::table(collection.name.clone(), collection.table.columns.clone()).filter(matches).limit(1);
    Ok(cx.select(collection, &select).await?.into_iter().next())
}

/// How a record was proven. The names are what is stored of half-finished logins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Password,
    Otp,
    OAuth2,
    Passkey,
}

impl Method {
    pub(super) fn name(self) -> &'static str {
        match self {
            Method::Password => "password",
            Method::Otp => "otp",
            Method::OAuth2 => "oauth2",
            Method::Passkey => "passkey",
        }
    }
}

/// What a login comes to.
pub enum Admitted {
    In(Box<LoggedIn>),
    /// Another method must follow, and name this id.
    Halfway {
        mfa_id: String,
    },
}

/// What a superuser is told who comes from where none may come from.
pub fn barred() -> Error {
    Error::new(Kind::Forbidden, "You are not allowed to perform this request.")
}

/// What every login ends in: a proven record gets its token, if the collection's auth rule agrees and no second method
/// is missing. The owner is told of a place that is new.
pub async fn admit(cx: &Context<'_>, record: Record, method: Method) -> Result<Admitted> {
    // Before anything is made or remembered of it.
    if record.collection.is_superusers() && cx.request.client.bars_superusers {
        return Err(barred());
    }
    check_rule(cx, &record).await?;
    let first = match mfa::step(cx, &record, method).await? {
        mfa::Step::NotNeeded => None,
        mfa::Step::Begun(mfa_id) => return Ok(Admitted::Halfway { mfa_id }),
        mfa::Step::Completed(first) => Some(first),
    };
    // No token without an entry.
    let entered =
        || Batch { ops: audit::login(cx, &record, method.name()).into_iter().collect(), ..Batch::default() };
    let mut batch = entered();
    origins::note(cx, &record, &mut batch).await?;
    match note(cx, first.as_ref(), batch).await {
        // The same new place twice at once: it is noted and told of by now.
        Err(store::Error::Taken { .. }) => note(cx, first.as_ref(), entered()).await,
        other => other,
    }
    .map_err(|error| match error {
        // The same second method twice at once: the first was good.
        store::Error::Guard(_) => mfa::gone(),
        other => other.into(),
    })?;
    answer(cx, record, None).await.map(|done| Admitted::In(Box::new(done)))
}

/// Writes what a login leaves behind, and the end of the half-finished one that it completes.
async fn note(cx: &Context<'_>, first: Option<&Record>, mut batch: Batch) -> store::Result<()> {
    if let Some(first) = first {
        mfa::spend(first, &mut batch);
    }
    if batch != Batch::default() {
        cx.store().commit(batch).await?;
    }
    Ok(())
}

async fn check_rule(cx: &Context<'_>, record: &Record) -> Result<()> {
    let collection = &record.collection;
    match collection.auth().ok_or_else(failed)?.auth_rule.as_deref() {
        // Superusers may log anyone in.
        _ if cx.is_superuser() => Ok(()),
        None if collection.is_superusers() => Ok(()),
        None => Err(not_allowed()),
        Some(rule) => {
            let condition = cx.rule(collection, rule)?;
            match cx.passes(record, &condition).await? {
                true => Ok(()),
                false => Err(not_allowed()),
            }
        }
    }
}

fn not_allowed() -> Error {
    Error::new(Kind::Forbidden, "The request doesn't satisfy the collection requirements to authenticate.")
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
    check_rule(cx, &record).await.map_err(|error| match error.kind {
        // The token was good once; by the rule of today it is not.
        Kind::Forbidden => Error::unauthenticated().details(error.message),
        _ => error,
    })?;
    answer(cx, record, None).await
}
