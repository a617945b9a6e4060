//! Tokens: JSON Web Tokens signed (HS256) with the record's own key and the collection's secret, so that a new key
//! ends every older token. The claims are the reference's: `collectionId`, `exp`, `id`, `refreshable`, `type`.

use std::sync::Arc;

use base::limits::TOKEN_CACHE_MAX;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use model::{Record, TokenOptions};
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::parts::Parts;

pub const TYPE_AUTH: &str = "auth";

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Claims {
    collection_id: String,
    exp: i64,
    id: String,
    #[serde(default)]
    refreshable: bool,
    r#type: String,
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
    let options = record.collection.auth().ok_or_else(Error::bad_request)?;
    let duration = match lasts {
        Lasts::Fixed(seconds) if seconds > 0 => seconds,
        _ => options.auth_token.duration,
    };
    let claims = Claims {
        collection_id: record.collection.id.to_string(),
        exp: parts.clock.now().seconds() + duration,
        id: record.id().to_string(),
        refreshable: matches!(lasts, Lasts::Refreshable),
        r#type: TYPE_AUTH.into(),
    };
    let key = key_of(record, &options.auth_token);
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(key.as_bytes()))
        .map_err(|error| Error::bad_request().details(error))
}

/// The caller that an auth token names, or `None` when it is not (or no longer) good.
pub async fn authenticate(parts: &Parts, token: &str) -> Result<Option<Caller>> {
    let known = parts.tokens.0.get(token);
    let claims = match &known {
        Some(verified) => verified.claims.clone(),
        None => match payload::<Claims>(token) {
            Some(claims) => claims,
            None => return Ok(None),
        },
    };
    if claims.r#type != TYPE_AUTH || claims.exp <= parts.clock.now().seconds() {
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
        if !signed_with::<Claims>(token, &key) {
            return Ok(None);
        }
        parts.tokens.0.insert(token.to_string(), Arc::new(Verified { claims: claims.clone(), key }));
    }
    Ok(Some(Caller { record: Arc::new(record), refreshable: claims.refreshable }))
}

/// The claims of a token that nobody has vouched for yet.
pub(crate) fn payload<T: serde::de::DeserializeOwned>(token: &str) -> Option<T> {
    use base64::Engine;
    let payload = token.split('.').nth(1)?;
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).ok()?;
    serde_json::from_slice(&payload).ok()
}

/// Whether the signature is the key's. When the token ends is not looked at.
pub(crate) fn signed_with<T: serde::de::DeserializeOwned>(token: &str, key: &str) -> bool {
    let mut validation = Validation::new(Algorithm::HS256);
    // Judged above, by the clock that was handed in.
    validation.validate_exp = false;
    validation.required_spec_claims.clear();
    jsonwebtoken::decode::<T>(token, &DecodingKey::from_secret(key.as_bytes()), &validation).is_ok()
}
