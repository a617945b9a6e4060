//! What people do with their own accounts by way of their mailbox, one use case per file.

mod confirm_email_change;
mod confirm_password_reset;
mod confirm_verification;
mod request_email_change;
mod request_password_reset;
mod request_verification;

pub use confirm_email_change::confirm_email_change;
pub use confirm_password_reset::{NewPassword, confirm_password_reset};
pub use confirm_verification::confirm_verification;
pub use request_email_change::{email_change_collection, request_email_change};
pub use request_password_reset::request_password_reset;
pub use request_verification::request_verification;

use std::sync::Arc;

use base::Kind;
use model::field::address::is_email;
use model::{Collection, Record, Request, Violation, Violations};
use query::Batch;
use sha2::{Digest, Sha256};

use super::login;
use super::token::{self, Purpose};
use crate::error::{Error, Result};
use crate::mail::{self, Mail};
use crate::parts::Parts;
use crate::rules::Context;

/// Characters of an address in a form.
const EMAIL_CHARS: (usize, usize) = (1, 255);

pub(crate) fn check_email(email: &str) -> Option<Violation> {
    let (min, max) = EMAIL_CHARS;
    if email.is_empty() {
        Some(Violation::required())
    } else if email.chars().count() > max {
        Some(Violation::length(min, max))
    } else if !is_email(email) {
        Some(Violation::new("validation_is_email", "Must be a valid email address."))
    } else {
        None
    }
}

/// The record of that address, for mails that are written after the answer.
pub(crate) async fn find(parts: &Parts, collection: &str, email: &str) -> Result<Option<Record>> {
    let request = Request::default();
    let cx = Context::new(parts, &request);
    match cx.schema.by_id(collection).filter(|found| found.is_auth()).cloned() {
        Some(collection) => login::find_by(&cx, &collection, "email", email).await,
        None => Ok(None),
    }
}

/// Differs when a record's tokens have ended, and tells nothing else of the key that they rest on.
pub(crate) fn key_mark(record: &Record) -> String {
    const BYTES: usize = 8;
    let digest = Sha256::digest([b"key mark ", record.text("tokenKey").as_bytes()].concat());
    digest.iter().take(BYTES).map(|byte| format!("{byte:02x}")).collect()
}

/// Makes an account with a new password or address ready to be written, unless its fields refuse that.
async fn prepare(cx: &Context<'_>, record: &mut Record, old: &Record, failed: &str) -> Result<()> {
    cx.generate(record, false);
    let violations = cx.violations(record, Some(old)).await?;
    if !violations.is_empty() {
        return Err(Error::invalid(failed, violations));
    }
    cx.seal_password(record, Some(old)).await
}

/// Writes what changed of an account that is still there.
async fn write(cx: &Context<'_>, record: &Record, old: &Record, failed: &str) -> Result<()> {
    match cx.write_changes(record, old, failed).await?.is_done() {
        true => Ok(()),
        false => Err(Error::not_found()),
    }
}

/// What is wrong with a mailed token, or the record that it was made for.
async fn check_token(
    cx: &Context<'_>,
    collection: &Arc<Collection>,
    text: &str,
    purpose: Purpose,
) -> Result<std::result::Result<Record, Violation>> {
    let Some(record) = token::verify(cx, text, purpose).await? else {
        return Ok(Err(Violation::new("validation_invalid_token", "Invalid or expired token.")));
    };
    Ok(match record.collection.id == collection.id {
        true => Ok(record),
        false => Err(Violation::new(
            "validation_token_collection_mismatch",
            "The provided token is for different auth collection.",
        )),
    })
}

fn no_password_auth() -> Error {
    Error::new(Kind::Invalid, "The collection is not configured to allow password authentication.")
}

fn always_verified() -> Error {
    Error::new(Kind::Invalid, "All superusers are verified by default.")
}

fn change_directly() -> Error {
    Error::new(Kind::Invalid, "All superusers can change their emails directly.")
}

/// Stores a mail that anybody may ask for, unless the same was asked for a moment ago.
async fn queue_once(
    parts: &Parts,
    kind: &str,
    collection: &Collection,
    email: &str,
    mail: Mail,
) -> Result<()> {
    let Some(once) = parts.attempts.once(kind, &collection.id, email, parts.clock.now()).await? else {
        return Ok(());
    };
    let queued = match mail::room(parts).await {
        Ok(()) => match parts.store.commit(Batch { jobs: vec![mail.job()], ..once }).await {
            Ok(_) => return Ok(()),
            // The same was asked for at the same moment.
            Err(error) if error.kind() == Kind::Conflict => return Ok(()),
            Err(error) => Err(error.into()),
        },
        full => full,
    };
    parts.attempts.not_sent(kind, &collection.id, email);
    queued
}

/// One wrong field, or nothing.
fn refuse_field(field: &str, violation: Option<Violation>) -> Result<()> {
    match violation {
        None => Ok(()),
        Some(violation) => Err(Error::form_with(Violations::one(field, violation))),
    }
}
