//! Setting a new password with a mailed token.

use std::sync::Arc;

use base::Value;
use model::{Collection, FieldKind, Violation, Violations};

use super::super::token::{self, Purpose};
use super::{check_token, prepare, write};
use crate::error::{Error, Result};
use crate::rules::Context;

const FAILED: &str = "Failed to set new password.";
/// Characters of a password in the form, whatever the field allows.
const CHARS_MAX: usize = 255;

pub struct NewPassword {
    pub token: String,
    pub password: String,
    pub confirm: String,
}

/// The token is spent with it: it rests on a key that a new password changes.
pub async fn confirm_password_reset(
    cx: &Context<'_>,
    collection: &Arc<Collection>,
    form: NewPassword,
) -> Result<()> {
    let mut violations = check_password(collection, &form);
    let proven = match form.token.is_empty() {
        true => Err(Violation::required()),
        false => check_token(cx, collection, &form.token, Purpose::PasswordReset).await?,
    };
    let old = match proven {
        Ok(record) if violations.is_empty() => record,
        Ok(_) => return Err(Error::form_with(violations)),
        Err(violation) => {
            violations.add("token", violation);
            return Err(Error::form_with(violations));
        }
    };
    let mut record = old.clone();
    record.set("password", Value::from(form.password.as_str()));
    // The token came by mail: whoever holds it reads what is sent there.
    if token::unverified(&form.token).is_some_and(|claims| claims.email == old.text("email")) {
        record.set("verified", Value::Bool(true));
    }
    prepare(cx, &mut record, &old, FAILED).await?;
    write(cx, &record, &old, FAILED).await
}

fn check_password(collection: &Collection, form: &NewPassword) -> Violations {
    let min = match collection.field("password").map(|field| &field.kind) {
        Some(FieldKind::Password(password)) => usize::try_from(password.min).unwrap_or_default(),
        _ => 0,
    };
    let mut violations = Violations::default();
    let chars = form.password.chars().count();
    if chars == 0 {
        violations.add("password", Violation::required());
    } else if chars < min || chars > CHARS_MAX {
        violations.add("password", Violation::length(min, CHARS_MAX));
    }
    if form.confirm.is_empty() {
        violations.add("passwordConfirm", Violation::required());
    } else if form.confirm != form.password {
        violations
            .add("passwordConfirm", Violation::new("validation_values_mismatch", "Values don't match."));
    }
    violations
}
