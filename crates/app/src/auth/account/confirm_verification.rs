//! Proving with a mailed token whose an address is.

use std::sync::Arc;

use base::Value;
use model::{Collection, Violation};

use super::super::token::{self, Purpose};
use super::{always_verified, check_token, refuse_field, write};
use crate::error::Result;
use crate::rules::Context;

const FAILED: &str = "An error occurred while saving the verified state.";

pub async fn confirm_verification(cx: &Context<'_>, collection: &Arc<Collection>, text: &str) -> Result<()> {
    if collection.is_superusers() {
        return Err(always_verified());
    }
    if text.is_empty() {
        return refuse_field("token", Some(Violation::required()));
    }
    let claimed = token::unverified(text).map(|claims| claims.email).unwrap_or_default();
    if claimed.is_empty() {
        let missing = Violation::new("validation_invalid_token_claims", "Missing email token claim.");
        return refuse_field("token", Some(missing));
    }
    let old = match check_token(cx, collection, text, Purpose::Verification).await? {
        Ok(record) if record.text("email") != claimed => {
            let other = Violation::new(
                "validation_token_email_mismatch",
                "The record email doesn't match with the requested token claims.",
            );
            return refuse_field("token", Some(other));
        }
        Ok(record) => record,
        Err(violation) => return refuse_field("token", Some(violation)),
    };
    if old.get("verified").as_bool() {
        return Ok(());
    }
    let mut record = old.clone();
    record.set("verified", Value::Bool(true));
    cx.generate(&mut record, false);
    write(cx, &record, &old, FAILED).await
}
