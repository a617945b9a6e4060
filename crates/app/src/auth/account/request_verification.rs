//! Asking for a mail that proves whose an address is.

use std::sync::Arc;

use model::Collection;

use super::{always_verified, check_email, queue_once, refuse_field};
use crate::error::Result;
use crate::mail::Mail;
use crate::rules::Context;

/// Answers alike, and as soon, whether anybody has the address or nobody.
pub async fn request_verification(cx: &Context<'_>, collection: &Arc<Collection>, email: &str) -> Result<()> {
    if collection.is_superusers() {
        return Err(always_verified());
    }
    refuse_field("email", check_email(email))?;
    let mail = Mail::Verification { collection: collection.id.to_string(), email: email.into() };
    queue_once(cx.parts, "verification", collection, email, mail).await
}
