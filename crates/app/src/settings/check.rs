//! Trying out what is set: a mail that is sent at once, an object that is stored and deleted again.

use base::Kind;
use model::field::address::is_email;
use model::violation::sentence;
use model::{Violation, Violations};
use serde::Deserialize;

use super::validate::not_email;
use crate::error::{Error, Result};
use crate::files;
use crate::mail::{self, Sample};
use crate::rules::Context;

const EMAIL_CHARS_MAX: usize = 255;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct MailForm {
    pub email: Option<String>,
    pub template: Option<String>,
    /// Of auth records; the superusers' when it is left out.
    pub collection: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct StorageForm {
    pub filesystem: Option<String>,
}

/// Sends one of a collection's mails with made-up values.
pub async fn mail(cx: &Context<'_>, form: &MailForm) -> Result<()> {
    let email = form.email.as_deref().unwrap_or_default();
    let collection = match form.collection.as_deref().unwrap_or_default() {
        "" => cx.collection(model::collection::SUPERUSERS),
        name => cx.collection(name),
    };
    let collection = collection.filter(|collection| collection.auth().is_some());
    let sample = match form.template.as_deref().unwrap_or_default() {
        "" => Err(Violation::required()),
        "verification" => Ok(Sample::Verification),
        "password-reset" => Ok(Sample::PasswordReset),
        "email-change" => Ok(Sample::EmailChange),
        "otp" => Ok(Sample::Otp),
        "login-alert" => Ok(Sample::AuthAlert),
        _ => Err(Violation::unknown_choice()),
    };
    let mut violations = Violations::default();
    if email.is_empty() {
        violations.add("email", Violation::required());
    } else if email.chars().count() > EMAIL_CHARS_MAX {
        violations.add("email", Violation::length(1, EMAIL_CHARS_MAX));
    } else if !is_email(email) {
        violations.add("email", not_email());
    }
    if collection.is_none() {
        let message = "Must be a valid auth collection id or name.";
        violations.add("collection", Violation::new("validation_invalid_auth_collection", message));
    }
    if let Err(violation) = &sample {
        violations.add("template", violation.clone());
    }
    match (collection, sample) {
        (Some(collection), Ok(sample)) if violations.is_empty() => {
            mail::send_sample(cx.parts, &collection, sample, email).await
        }
        _ => Err(Error::invalid("Failed to send the test email.", violations)),
    }
}

/// Whether the storage that the settings name can be written to.
pub async fn storage(cx: &Context<'_>, form: &StorageForm) -> Result<()> {
    let refused = |violation| {
        let violations = Violations::one("filesystem", violation);
        Error::invalid("Failed to test the S3 filesystem.", violations)
    };
    let settings = cx.parts.settings.load();
    let s3 = match form.filesystem.as_deref().unwrap_or_default() {
        "" => return Err(refused(Violation::required())),
        "storage" => &settings.s3,
        "backups" => &settings.backups.s3,
        _ => return Err(refused(Violation::unknown_choice())),
    };
    if !s3.enabled {
        return Err(failed("S3 storage filesystem is not enabled"));
    }
    files::probe(s3).await.map_err(|error| match &error.details {
        Some(details) => failed(details),
        None => failed(&error.message),
    })
}

fn failed(why: &str) -> Error {
    Error::new(Kind::Invalid, format!("Failed to test the S3 filesystem. Raw error: \n{}", sentence(why)))
}
