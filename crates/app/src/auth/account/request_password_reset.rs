//! Asking for a mail by which a new password can be set.

use std::sync::Arc;

use model::Collection;

use super::{check_email, no_password_auth, queue_once, refuse_field};
use crate::error::Result;
use crate::mail::Mail;
use crate::rules::Context;

/// Answers alike, and as soon, whether anybody has the address or nobody.
pub async fn request_password_reset(
    cx: &Context<'_>,
    collection: &Arc<Collection>,
    email: &str,
) -> Result<()> {
    if !collection.auth().is_some_and(|options| options.password_auth.enabled) {
        return Err(no_password_auth());
    }
    refuse_field("email", check_email(email))?;
    let mail = Mail::PasswordReset { collection: collection.id.to_string(), email: email.into() };
    queue_once(cx.parts, "passwordReset", collection, email, mail).await
}
