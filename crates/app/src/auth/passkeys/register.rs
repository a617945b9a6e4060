//! Adding a key to the caller's own record.

use std::sync::Arc;

use base::Kind;
use base::limits::{PASSKEY_NAME_CHARS_MAX, PASSKEYS_MAX};
use model::{Collection, Record, Violation};
use serde_json::{Value as Json, json};
use webauthn_rs::prelude::{PasskeyRegistration, RegisterPublicKeyCredential};

use super::ceremony::{self, Purpose};
use super::stored::{self, Passkey};
use super::{Challenge, manage, party};
use crate::error::{Error, Result};
use crate::rules::Context;

fn refused(details: impl std::fmt::Display) -> Error {
    Error::new(Kind::Invalid, "Failed to register the passkey.").details(details)
}

pub async fn begin(cx: &Context<'_>, collection: &Arc<Collection>) -> Result<Challenge> {
    let record = manage::caller(cx, collection)?;
    let known = stored::all(cx, &record).await?;
    if known.len() >= PASSKEYS_MAX {
        return Err(Error::new(Kind::Invalid, "The record has as many passkeys as it may have."));
    }
    let exclude = known.iter().filter_map(Passkey::credential).map(|key| key.cred_id().clone()).collect();
    let (challenge, state) = party::of(cx.parts)?
        .start_passkey_registration(stored::handle(&record), name(&record), name(&record), Some(exclude))
        .map_err(refused)?;
    let mut public_key = json!(challenge.public_key);
    // A key that the device can offer by itself spares typing a name; those that cannot are welcome too.
    public_key["authenticatorSelection"]["residentKey"] = "preferred".into();
    let id = ceremony::begin(cx, Purpose::Register, collection, record.id(), &state).await?;
    Ok(Challenge { id, public_key })
}

/// What the device shows for the account.
fn name(record: &Record) -> &str {
    let shown = ["email", "username", "name"].into_iter().map(|field| record.text(field));
    shown.into_iter().find(|text| !text.is_empty()).unwrap_or(record.id())
}

pub async fn finish(
    cx: &Context<'_>,
    collection: &Arc<Collection>,
    challenge_id: &str,
    credential: Json,
    name: &str,
) -> Result<Passkey> {
    let record = manage::caller(cx, collection)?;
    check_name(name)?;
    let taken = ceremony::take::<PasskeyRegistration>(cx, Purpose::Register, collection, challenge_id);
    let Some((owner, state)) = taken.await? else {
        return Err(refused("no such challenge, or it is over"));
    };
    if owner != record.id() {
        return Err(refused("the challenge is somebody else's"));
    }
    let answer: RegisterPublicKeyCredential = serde_json::from_value(credential).map_err(refused)?;
    let credential = party::of(cx.parts)?.finish_passkey_registration(&answer, &state).map_err(refused)?;
    let key = Passkey {
        id: base::id::record(),
        record: record.id().to_owned(),
        credential_id: stored::spelled(credential.cred_id()),
        credential: serde_json::to_string(&credential).map_err(refused)?,
        name: if name.is_empty() { "Passkey".into() } else { name.into() },
        created: stored::time(cx.parts.clock.now()),
        used: String::new(),
    };
    let batch = query::Batch::op(stored::insertion(&record, &key));
    match cx.store().commit(batch).await {
        Ok(_) => Ok(key),
        // A device that gives two accounts the same id, or somebody who claims another's.
        Err(store::Error::Taken { .. }) => Err(refused("the credential is registered already")),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn check_name(name: &str) -> Result<()> {
    match name.chars().count() > PASSKEY_NAME_CHARS_MAX {
        true => Err(Error::form("name", Violation::length(0, PASSKEY_NAME_CHARS_MAX))),
        false => Ok(()),
    }
}
