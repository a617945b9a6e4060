//! Asking for a one-time password by mail.

use std::sync::Arc;

use model::{Collection, Violations};

use super::super::account::check_email;
use super::enabled;
use crate::error::{Error, Result};
use crate::mail::Mail;
use crate::rules::Context;

/// The id to log in with. Nobody is looked up: an address that nobody has gets an answer alike, and as soon.
pub async fn request_otp(cx: &Context<'_>, collection: &Arc<Collection>, email: &str) -> Result<String> {
    let options = enabled(collection)?;
    if let Some(violation) = check_email(email) {
        return Err(Error::form_with(Violations::one("email", violation)));
    }
    let parts = cx.parts;
    let now = parts.clock.now();
    let otp = base::id::record();
    let lasts_ms = options.duration.saturating_mul(1000);
    if let Some(newest) = parts.attempts.open_otp(&collection.id, email, &otp, now, lasts_ms).await? {
        return Ok(newest);
    }
    let mail =
        Mail::Otp { collection: collection.id.to_string(), email: email.into(), otp: otp.clone(), at: now.0 };
    if let Err(error) = mail.queue(parts).await {
        parts.attempts.not_sent_otp(&otp).await;
        return Err(error);
    }
    Ok(otp)
}
