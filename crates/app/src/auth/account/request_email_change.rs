//! Asking for a mail to an address that is to become the caller's own.

use std::sync::Arc;

use base::Kind;
use model::{Collection, Violation};

use super::super::login::find_by;
use super::super::token::Caller;
use super::{change_directly, check_email, key_mark, refuse_field};
use crate::error::{Error, Result};
use crate::mail::Mail;
use crate::rules::Context;

/// The collection of that name, if the caller may ask for it: known before the form is read.
pub fn email_change_collection(
    cx: &Context<'_>,
    name: &str,
    caller: Option<&Caller>,
) -> Result<Arc<Collection>> {
    let missing = || Error::new(Kind::NotFound, "Missing or invalid collection context.");
    let collection = cx.collection(name).ok_or_else(missing)?;
    let caller = caller.ok_or_else(Error::unauthenticated)?;
    if caller.record.collection.id != collection.id {
        let name = &caller.record.collection.name;
        return Err(Error::new(
            Kind::Forbidden,
            format!("The request requires auth record from {name} collection."),
        ));
    }
    if collection.is_superusers() {
        return Err(change_directly());
    }
    Ok(collection)
}

pub async fn request_email_change(
    cx: &Context<'_>,
    collection: &Arc<Collection>,
    caller: &Caller,
    new_email: &str,
) -> Result<()> {
    let record = &caller.record;
    let mut violation = check_email(new_email);
    if violation.is_none() && new_email == record.text("email") {
        violation = Some(Violation::reserved());
    }
    if violation.is_none() && find_by(cx, collection, "email", new_email).await?.is_some() {
        violation = Some(Violation::new("validation_invalid_new_email", "Invalid new email address."));
    }
    refuse_field("newEmail", violation)?;
    let mail = Mail::EmailChange {
        collection: collection.id.to_string(),
        record: record.id().into(),
        new_email: new_email.into(),
        key: key_mark(record),
    };
    mail.queue(cx.parts).await
}
