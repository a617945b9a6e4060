//! Logging in with a one-time password.

use std::sync::Arc;

use base::limits::PASSWORD_CHARS_MAX;
use base::{Kind, Value};
use model::{Collection, Record, Violation, Violations};
use query::{Batch, Guard, Select};

use super::super::login::{Admitted, Method, admit, audited};
use super::super::{mfa, owned, password};
use super::{TABLE, enabled};
use crate::error::{Error, Result};
use crate::rules::Context;

/// Characters of an id and of a code in the form.
const ID_CHARS: (usize, usize) = (1, 255);
const CODE_CHARS: (usize, usize) = (1, PASSWORD_CHARS_MAX);
const FAILED: &str = "Failed to authenticate.";

fn refused() -> Error {
    Error::new(Kind::Invalid, "Invalid or expired OTP.")
}

/// The code is spent with it, whatever the login comes to.
pub async fn with_otp(
    cx: &Context<'_>,
    collection: &Arc<Collection>,
    id: &str,
    code: &str,
) -> Result<Admitted> {
    let tried = prove(cx, collection, id, code).await;
    audited(cx, collection, "", tried).await
}

async fn prove(cx: &Context<'_>, collection: &Arc<Collection>, id: &str, code: &str) -> Result<Admitted> {
    let options = enabled(collection)?;
    let mut violations = Violations::default();
    for (key, text, (min, max)) in [("otpId", id, ID_CHARS), ("password", code, CODE_CHARS)] {
        if text.is_empty() {
            violations.add(key, Violation::required());
        } else if text.chars().count() > max {
            violations.add(key, Violation::length(min, max));
        }
    }
    if !violations.is_empty() {
        return Err(Error::form_with(violations));
    }
    let now = cx.parts.clock.now();
    if !cx.parts.attempts.may_try(id, now).await? {
        let message = "Too many attempts, please try again later with a new OTP.";
        return Err(Error::new(Kind::TooMany, message));
    }
    let Some((otp, old)) = find(cx, collection, id).await? else {
        // An id that was made up for nobody must not answer sooner.
        let rows = owned::collection(cx, TABLE)?;
        cx.parts.hasher.waste(code, password::cost(&rows)).await?;
        return Err(refused());
    };
    let right = cx.parts.hasher.verify(code, otp.text("password")).await?;
    if mfa::is_over(&otp, now.0, options.duration) {
        cx.store().commit(Batch::op(owned::delete(&otp))).await?;
        return Err(refused());
    }
    if !right {
        return Err(refused());
    }
    let record = spend(cx, &otp, old).await?;
    cx.parts.attempts.used_otp(id).await;
    admit(cx, record, Method::Otp).await
}

/// The one-time password and the record that it belongs to.
async fn find(cx: &Context<'_>, collection: &Arc<Collection>, id: &str) -> Result<Option<(Record, Record)>> {
    let rows = owned::collection(cx, TABLE)?;
    let Some(otp) = cx.fetch(&rows, id).await?.filter(|otp| otp.text("collectionRef") == &*collection.id)
    else {
        return Ok(None);
    };
    let record = cx.fetch(collection, otp.text("recordRef")).await?;
    Ok(record.map(|record| (otp, record)))
}

/// Deletes the code, and notes that its mail was read.
async fn spend(cx: &Context<'_>, otp: &Record, old: Record) -> Result<Record> {
    let there = Select::by_ids(TABLE, Vec::new(), vec![otp.id().into()]);
    let batch = Batch { guards: vec![Guard::Exists(there)], ..Batch::op(owned::delete(otp)) };
    cx.store().commit(batch).await.map_err(|error| match error {
        // The same code twice at once: the first was good.
        store::Error::Guard(_) => refused(),
        other => other.into(),
    })?;
    let sent_to = otp.text("sentTo");
    if old.get("verified").as_bool() || sent_to.is_empty() || sent_to != old.text("email") {
        return Ok(old);
    }
    let mut record = old.clone();
    record.set("verified", Value::Bool(true));
    cx.generate(&mut record, false);
    match cx.write_changes(&record, &old, FAILED).await?.is_done() {
        true => Ok(record),
        false => Err(refused()),
    }
}
