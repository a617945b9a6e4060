//! Taking on a new address with a token that was mailed to it, and the account's password.

use std::sync::Arc;

use base::{Kind, Value};
use model::{Collection, Record, Violation, Violations};

use super::super::login::find_by;
use super::super::token::{self, Purpose};
use super::{change_directly, check_token, prepare, write};
use crate::error::{Error, Result};
use crate::rules::Context;

const FAILED: &str = "Failed to confirm email change.";
/// Characters of a password in the form.
const PASSWORD_CHARS: (usize, usize) = (1, 100);

/// The token is spent with it: it rests on a key that a new address changes.
pub async fn confirm_email_change(
    cx: &Context<'_>,
    collection: &Arc<Collection>,
    text: &str,
    password: &str,
) -> Result<()> {
    if collection.is_superusers() {
        return Err(change_directly());
    }
    let new_email = token::unverified(text).map(|claims| claims.new_email).unwrap_or_default();
    let mut violations = Violations::default();
    let proven = match check(cx, collection, text, &new_email).await? {
        Ok(record) => Some(record),
        Err(violation) => {
            violations.add("token", violation);
            None
        }
    };
    if let Some(violation) = check_password(cx, proven.as_ref(), password).await? {
        violations.add("password", violation);
    }
    let old = match proven {
        Some(record) if violations.is_empty() => record,
        _ => return Err(Error::form_with(violations)),
    };
    let mut record = old.clone();
    record.set("email", Value::from(new_email));
    record.set("verified", Value::Bool(true));
    prepare(cx, &mut record, &old, FAILED).await?;
    match write(cx, &record, &old, FAILED).await {
        // Somebody took the address in this moment.
        Err(error) if error.kind == Kind::Invalid && error.violations.0.contains_key("email") => {
            Err(Error::form("token", taken()))
        }
        written => written,
    }
}

async fn check(
    cx: &Context<'_>,
    collection: &Arc<Collection>,
    text: &str,
    new_email: &str,
) -> Result<std::result::Result<Record, Violation>> {
    if text.is_empty() {
        return Ok(Err(Violation::required()));
    }
    if new_email.is_empty() {
        let message = "Invalid token payload - newEmail must be set.";
        return Ok(Err(Violation::new("validation_invalid_token_payload", message)));
    }
    let proven = check_token(cx, collection, text, Purpose::EmailChange).await?;
    if proven.is_ok() && find_by(cx, collection, "email", new_email).await?.is_some() {
        return Ok(Err(taken()));
    }
    Ok(proven)
}

fn taken() -> Violation {
    Violation::new("validation_invalid_token_email", "The new email address is invalid.")
}

/// Without a good token no password is right.
async fn check_password(
    cx: &Context<'_>,
    record: Option<&Record>,
    password: &str,
) -> Result<Option<Violation>> {
    let (min, max) = PASSWORD_CHARS;
    if password.is_empty() {
        return Ok(Some(Violation::required()));
    }
    if password.chars().count() > max {
        return Ok(Some(Violation::length(min, max)));
    }
    let right = match record {
        Some(record) => cx.parts.hasher.verify(password, record.text("password")).await?,
        None => false,
    };
    let wrong = Violation::new("validation_invalid_password", "Missing or invalid auth record password.");
    Ok((!right).then_some(wrong))
}
