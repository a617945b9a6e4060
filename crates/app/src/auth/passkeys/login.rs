//! Signing in with a key, with or without saying first who one is.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use model::Collection;
use query::Batch;
use serde_json::{Value as Json, json};
use sha2::Sha256;
use webauthn_rs::prelude::{DiscoverableAuthentication, DiscoverableKey, PublicKeyCredential};

use super::ceremony::{self, Purpose};
use super::stored::{self, Passkey};
use super::{Challenge, failed, party};
use crate::auth::login::{Admitted, Method, admit, find_by};
use crate::error::Result;
use crate::rules::Context;

/// With an empty identity the device offers what it has. With one, the keys of that account are named; an account
/// without keys, or none at all, looks the same from outside.
pub async fn begin(cx: &Context<'_>, collection: &Arc<Collection>, identity: &str) -> Result<Challenge> {
    let (challenge, state) = party::of(cx.parts)?.start_discoverable_authentication().map_err(failed)?;
    let mut public_key = json!(challenge.public_key);
    let mut owner = String::new();
    if !identity.is_empty() {
        let keys = keys_of(cx, collection, identity).await?;
        owner = keys.first().map_or_else(|| NOBODY.to_owned(), |key| key.record.clone());
        let mut ids: Vec<String> = keys.into_iter().map(|key| key.credential_id).collect();
        if ids.is_empty() {
            ids.push(made_up(collection, identity)?);
        }
        let named: Vec<Json> = ids.iter().map(|id| json!({"type": "public-key", "id": id})).collect();
        public_key["allowCredentials"] = named.into();
    }
    let id = ceremony::begin(cx, Purpose::Login, collection, &owner, &state).await?;
    Ok(Challenge { id, public_key })
}

/// No record's id: ids have no blanks.
const NOBODY: &str = " ";

async fn keys_of(cx: &Context<'_>, collection: &Arc<Collection>, identity: &str) -> Result<Vec<Passkey>> {
    let Some(options) = collection.auth() else { return Ok(Vec::new()) };
    let mut fields: Vec<&str> = options.password_auth.identity_fields.iter().map(String::as_str).collect();
    if fields.is_empty() {
        fields.push("email");
    }
    for field in fields {
        if let Some(record) = find_by(cx, collection, field, identity).await? {
            return stored::all(cx, &record).await;
        }
    }
    // Asked all the same, so that the time tells as little as the answer.
    stored::all(cx, &model::Record::blank(collection.clone())).await
}

/// A credential's id for an identity that has none: always the same, and known to nobody else.
fn made_up(collection: &Collection, identity: &str) -> Result<String> {
    let secret = collection.auth().map(|options| options.auth_token.secret.as_str()).unwrap_or_default();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).map_err(failed)?;
    mac.update(b"passkey");
    mac.update(identity.to_lowercase().as_bytes());
    Ok(URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

pub async fn finish(
    cx: &Context<'_>,
    collection: &Arc<Collection>,
    challenge_id: &str,
    credential: Json,
) -> Result<Admitted> {
    let taken = ceremony::take::<DiscoverableAuthentication>(cx, Purpose::Login, collection, challenge_id);
    let Some((owner, state)) = taken.await? else { return Err(failed("no such challenge, or it is over")) };
    let answer: PublicKeyCredential = serde_json::from_value(credential).map_err(failed)?;
    let Some(key) = stored::by_credential(cx, collection, answer.get_credential_id()).await? else {
        return Err(failed("no such credential"));
    };
    if !owner.is_empty() && owner != key.record {
        return Err(failed("the credential is not of the record that was named"));
    }
    let Some(record) = cx.fetch(collection, &key.record).await? else {
        return Err(failed("the credential's record is gone"));
    };
    let handle = stored::handle(&record);
    match answer.get_user_unique_id() {
        Some(given) if given != handle.as_bytes() => return Err(failed("the credential is of another user")),
        None if owner.is_empty() => return Err(failed("the device does not say whose the credential is")),
        _ => {}
    }
    let Some(mut stored_key) = key.credential() else { return Err(failed("the credential cannot be read")) };
    let result = party::of(cx.parts)?
        .finish_discoverable_authentication_v2(&answer, state, DiscoverableKey::from(&stored_key))
        .map_err(failed)?;
    stored_key.update_credential(&result);
    let changed = serde_json::to_string(&stored_key).map_err(failed)?;
    let used = stored::time(cx.parts.clock.now());
    let set = [("credential", changed.as_str()), ("used", used.as_str())];
    // Two answers with one key at once may be two copies of it: their counters must not pass each other.
    let batch = Batch { guards: vec![stored::unchanged(&key)], ..Batch::op(stored::update(&key.id, &set)) };
    cx.store().commit(batch).await.map_err(|error| match error {
        store::Error::Guard(_) => failed("the credential was used or taken away meanwhile"),
        other => other.into(),
    })?;
    admit(cx, record, Method::Passkey).await
}
