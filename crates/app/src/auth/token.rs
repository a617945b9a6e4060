//! Tokens: JSON Web Tokens signed (HS256) with the record's own key and the collection's secret, so that a new key
//! ends every older token. Each type has its own secret and duration; a token is never good for another type's purpose.
//! The claims are the reference's: `collectionId`, `email`, `exp`, `id`, `newEmail`, `refreshable`, `type`.

use std::sync::Arc;

use base::limits::TOKEN_CACHE_MAX;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use model::{AuthOptions, Record, TokenOptions};
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::parts::Parts;
use crate::rules::Context;

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Being somebody.
    Auth,
    /// Reading protected files.
    File,
    Verification,
    PasswordReset,
    EmailChange,
}

impl Purpose {
    fn name(self) -> &'static str {
        match self {
            Purpose::Auth => "auth",
            Purpose::File => "file",
            Purpose::Verification => "verification",
            Purpose::PasswordReset => "passwordReset",
            Purpose::EmailChange => "emailChange",
        }
    }

    fn options(self, options: &AuthOptions) -> &TokenOptions {
        match self {
            Purpose::Auth => &options.auth_token,
            Purpose::File => &options.file_token,
            Purpose::Verification => &options.verification_token,
            Purpose::PasswordReset => &options.password_reset_token,
            Purpose::EmailChange => &options.email_change_token,
        }
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claims {
    pub collection_id: String,
    /// The address that a token was mailed to.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub email: String,
    /// Seconds since the epoch.
    pub exp: i64,
    pub id: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub new_email: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refreshable: Option<bool>,
    pub r#type: String,
}

/// Tokens whose signature was found good, with the key it was checked by. Only the signature's check is spared:
/// the record is read and its key compared on every request.
pub struct TokenCache(Cache<String, Arc<Verified>>);

struct Verified {
    claims: Claims,
    key: String,
}

impl Default for TokenCache {
    fn default() -> Self {
        TokenCache(Cache::new(TOKEN_CACHE_MAX))
    }
}

/// A caller known by a token.
#[derive(Clone, Debug)]
pub struct Caller {
    pub record: Arc<Record>,
    pub refreshable: bool,
    /// When the token ends, in seconds.
    pub expires: i64,
}

pub(crate) fn key_of(record: &Record, options: &TokenOptions) -> String {
    format!("{}{}", record.text("tokenKey"), options.secret)
}

/// How long a token lasts.
#[derive(Clone, Copy, Debug)]
pub enum Lasts {
    /// The collection's duration, and it can be exchanged for a new one meanwhile.
    Refreshable,
    /// So many seconds (the collection's duration for 0), and no longer.
    Fixed(i64),
}

/// A new auth token.
pub fn issue(parts: &Parts, record: &Record, lasts: Lasts) -> Result<String> {
    let refreshable = matches!(lasts, Lasts::Refreshable);
    let seconds = if let Lasts::Fixed(seconds) = lasts { seconds } else { 0 };
    sign(parts, record, Purpose::Auth, seconds, |claims| claims.refreshable = Some(refreshable))
}

/// A new token to read protected files.
pub fn issue_file(parts: &Parts, record: &Record) -> Result<String> {
    sign(parts, record, Purpose::File, 0, |_| {})
}

/// A new token for a mail to the record's own address.
pub fn issue_mailed(parts: &Parts, record: &Record, purpose: Purpose) -> Result<String> {
    sign(parts, record, purpose, 0, |claims| claims.email = record.text("email").into())
}

/// A new token for a mail to the address that is to become the record's own.
pub fn issue_email_change(parts: &Parts, record: &Record, new_email: &str) -> Result<String> {
    sign(parts, record, Purpose::EmailChange, 0, |claims| {
        claims.email = record.text("email").into();
        claims.new_email = new_email.into();
    })
}

/// `seconds` of 0 is the collection's own duration.
fn sign(
    parts: &Parts,
    record: &Record,
    purpose: Purpose,
    seconds: i64,
    with: impl FnOnce(&mut Claims),
) -> Result<String> {
    let options = purpose.options(record.collection.auth().ok_or_else(Error::bad_request)?);
    let duration = if seconds > 0 { seconds } else { options.duration };
    let mut claims = Claims {
        collection_id: record.collection.id.to_string(),
        exp: parts.clock.now().seconds().saturating_add(duration),
        id: record.id().to_string(),
        r#type: purpose.name().into(),
        ..Claims::default()
    };
    with(&mut claims);
    let key = key_of(record, options);
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(key.as_bytes()))
        .map_err(|error| Error::bad_request().details(error))
}

/// The record that a token of this purpose was made for, or `None` when it is not (or no longer) good.
pub async fn verify(cx: &Context<'_>, token: &str, purpose: Purpose) -> Result<Option<Record>> {
    let Some(claims) = unverified(token) else { return Ok(None) };
    if claims.r#type != purpose.name() || claims.exp <= cx.parts.clock.now().seconds() {
        return Ok(None);
    }
    // By id only: a token must not come back to life through a collection of that name.
    let Some(collection) = cx.schema.by_id(&claims.collection_id) else { return Ok(None) };
    let Some(options) = collection.auth() else { return Ok(None) };
    let Some(record) = cx.fetch(collection, &claims.id).await? else { return Ok(None) };
    let good = signed_with(token, &key_of(&record, purpose.options(options)));
    Ok(good.then_some(record))
}

/// The caller that an auth token names, or `None` when it is not (or no longer) good.
pub async fn authenticate(parts: &Parts, token: &str) -> Result<Option<Caller>> {
    let known = parts.tokens.0.get(token);
    let claims = match &known {
        Some(verified) => verified.claims.clone(),
        None => match unverified(token) {
            Some(claims) => claims,
            None => return Ok(None),
        },
    };
    if claims.r#type != Purpose::Auth.name() || claims.exp <= parts.clock.now().seconds() {
        return Ok(None);
    }
    let schema = parts.catalog.schema();
    // By id only: a token must not come back to life through a collection of that name.
    let Some(collection) = schema.by_id(&claims.collection_id) else { return Ok(None) };
    let Some(options) = collection.auth() else { return Ok(None) };
    let Some(record) = parts.fetch(collection, &claims.id).await? else { return Ok(None) };
    let key = key_of(&record, &options.auth_token);
    let trusted = known.is_some_and(|verified| verified.key == key);
    if !trusted {
        if !signed_with(token, &key) {
            return Ok(None);
        }
        parts.tokens.0.insert(token.to_string(), Arc::new(Verified { claims: claims.clone(), key }));
    }
    let refreshable = claims.refreshable == Some(true);
    Ok(Some(Caller { record: Arc::new(record), refreshable, expires: claims.exp }))
}

/// The claims of a token that nobody has vouched for yet.
pub fn unverified(token: &str) -> Option<Claims> {
    use base64::Engine;
    let payload = token.split('.').nth(1)?;
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).ok()?;
    serde_json::from_slice(&payload).ok()
}

/// Whether the signature is the key's. When the token ends is not looked at.
fn signed_with(token: &str, key: &str) -> bool {
    let mut validation = Validation::new(Algorithm::HS256);
    // Judged above, by the clock that was handed in.
    validation.validate_exp = false;
    validation.required_spec_claims.clear();
    jsonwebtoken::decode::<Claims>(token, &DecodingKey::from_secret(key.as_bytes()), &validation).is_ok()
}
